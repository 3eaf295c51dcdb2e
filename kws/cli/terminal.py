"""The standard streams of `kws`: what others wrote, such as the names in a model or of
files, cannot command the terminal.
"""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from kws.controls import escaped

# What begins a line of progress anew, of ours and of tqdm: at the begin of what is written it overwrites nothing else.
_ANEW = re.compile(r"(?:\x1b\[A)+\Z|\r(?:\x1b\[K)?|")


@contextmanager
def plain_streams() -> Iterator[None]:
    """Standard streams that take any text and escape control characters in it, but for
    line feeds and tabs.

    A traceback comes when they are as before, for Python may colour it.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_opened, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Plain:
    """A stream that escapes control characters in what is written."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # where rich draws, which has escapes of its own to write

    def write(self, text: str) -> int:
        """Write the text, escaped."""
        anew = _ANEW.match(text)
        own = anew.end() if anew else 0
        self.rich_proxied_file.write(text[:own] + escaped(text[own:], kept="\n\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def _opened(stream: TextIO | None) -> TextIO:
    """A stream that takes any text: letters that its encoding lacks are escaped. A
    stream that the caller has closed leads nowhere; its number is taken, so that no
    file that is opened next gets the printed text.
    """
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, _Plain):
        return stream
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")
    return cast("TextIO", _Plain(stream))
