"""Noise of one's own: any folder of sounds, however deep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kws.data.corpora.base import Clip, Listing, Prepared, build, check_parts, files_below, split_by_file
from kws.errors import KwsError


def download(root: Path, parts: Sequence[str] = ()) -> None:
    """Always raises KwsError: there is nothing to fetch."""
    check_parts("noise", parts, ())
    raise KwsError(f"nothing is fetched to {root}: give noise of your own with --from, or take musan, esc50 or demand")


def prepare(root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
    """A noise set, without text, split by the hash of each file."""
    check_parts("noise", parts, ())
    source = (source or root).absolute()
    return build(root, source, partial(_clips, source))


def _clips(source: Path) -> Listing:
    clips = [Clip(path, split=split) for path, split in split_by_file(files_below(source))]
    return clips, ["split by the hash of the file"]
