"""The wake words of Picovoice's wake-word-benchmark: audio/KEYWORD/* (flac or wav), more than 50 unnamed speakers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kws.data.corpora.base import Prepared, build, check_parts, first_folder
from kws.data.corpora.folder import from_folders
from kws.data.download import Archive, bring

# GitHub packs this when it is asked for and publishes no checksum: the first fetch's is kept.
ARCHIVE = Archive(
    "https://github.com/Picovoice/wake-word-benchmark/archive/refs/heads/master.zip", name="wake-word-benchmark.zip"
)
_KEYWORD = "alexa"  # tells the folder of recordings from others


def download(root: Path, parts: Sequence[str] = ()) -> None:
    """Fetches the repository."""
    check_parts("picovoice", parts, ())
    bring(ARCHIVE, root, root)


def prepare(root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
    """The manifest, split by file: nothing in names or headers tells who speaks, and a note says so."""
    check_parts("picovoice", parts, ())
    advice = "add --download to fetch it, or give the repository's folder with --from"
    places = [f"{place}{_KEYWORD}" for place in ("wake-word-benchmark-master/audio/", "audio/", "")]
    folder = first_folder("picovoice", source or root, places, advice).parent
    return build(root, folder, partial(from_folders, folder))
