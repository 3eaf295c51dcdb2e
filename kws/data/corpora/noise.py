"""Noise of one's own: any folder of sounds, however deep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import Corpus
from kws.data.prepare.clip import Clip, Listing, files_below
from kws.data.prepare.splits import split_by_file


def _clips(source: Path, _: Sequence[str]) -> Listing:
    """A noise set, without text, split by the hash of each file."""
    clips = [Clip(path, split=split) for path, split in split_by_file(files_below(source))]
    return clips, ["split by the hash of the file"]


CORPUS = Corpus(
    name="noise",
    holds="your noise: any folder of sounds",
    licence="yours",
    list=_clips,
    ask="give noise of your own with --from, or take musan, esc50 or demand",
)
