"""The clips that a corpus lists before anything is decoded, and their faults."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kws.data.manifest import AUDIO_SUFFIXES


class Fault(NamedTuple):
    """The reason why a file is left out: a kind to count by, and a sentence."""

    kind: str
    why: str


@dataclass(frozen=True)
class Clip:
    """One file that a corpus lists. fault: set where the file is known to be useless
    before it is decoded. span: seconds in which the text is said, where that is known.
    """

    audio: Path
    text: str = ""
    speaker: str = ""
    split: str = "train"
    fault: Fault | None = None
    span: tuple[float, float] | None = None


Listing = tuple[Sequence[Clip], Sequence[str]]  # clips, and notes for the reader of the report


def printable(path: Path) -> str:
    """The path with whatever is not UTF-8 in it written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def files_below(folder: Path, suffixes: Iterable[str] | None = AUDIO_SUFFIXES) -> list[Path]:
    """Files below a folder, sorted, but for hidden ones.

    suffixes: the endings wanted, in lower case; None for all. Links to folders are
    followed, each folder once.
    """
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [here / name for name in names if not name.startswith(".")]
    wanted = None if suffixes is None else frozenset(suffixes)
    return sorted(path for path in found if wanted is None or path.suffix.lower() in wanted)
