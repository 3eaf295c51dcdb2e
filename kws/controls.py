"""Control characters in text that others wrote: a terminal would obey them."""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # of Unicode's category Cc, which is all of them


def escaped(text: str, kept: str = "") -> str:
    r"""The text with its control characters as escapes, such as `\x1b`.

    kept: control characters that stay as they are.
    """
    return _CONTROLS.sub(lambda found: found[0] if found[0] in kept else f"\\x{ord(found[0]):02x}", text)
