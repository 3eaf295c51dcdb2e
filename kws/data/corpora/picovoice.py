"""The wake words of Picovoice's wake-word-benchmark: audio/KEYWORD/* (flac or wav),
more than 50 unnamed speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import Corpus, first_folder
from kws.data.corpora.folder import from_folders
from kws.data.download import Archive
from kws.data.prepare.clip import Listing

# GitHub packs this when it is asked for and publishes no checksum: the first fetch's is kept.
ARCHIVE = Archive(
    "https://github.com/Picovoice/wake-word-benchmark/archive/refs/heads/master.zip", name="wake-word-benchmark.zip"
)
_KEYWORD = "alexa"  # tells the folder of recordings from others


def audio_folder(source: Path) -> Path:
    """The folder below `source` that holds a folder for each keyword."""
    places = [f"{place}{_KEYWORD}" for place in ("wake-word-benchmark-master/audio/", "audio/", "")]
    return first_folder("picovoice", source, places).parent


def _clips(source: Path, _: Sequence[str]) -> Listing:
    """Split by file: nothing in names or headers tells who speaks, and a note says
    so.
    """
    return from_folders(audio_folder(source))


CORPUS = Corpus(
    name="picovoice",
    holds="alexa, computer, jarvis, smart mirror, snowboy, view glass (no speaker labels)",
    licence="Apache-2.0",
    archives={"all": ARCHIVE},
    default=("all",),
    list=_clips,
)
