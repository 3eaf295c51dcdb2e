"""The type of a callback that takes progress lines, so that library code need not
print.
"""

from collections.abc import Callable

Log = Callable[[str], None]


def silent(line: str) -> None:
    """A `Log` that drops every line."""
