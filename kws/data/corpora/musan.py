"""MUSAN (Snyder et al. 2015, arXiv:1510.08484; openslr.org/17): musan/{noise,music,speech}/SOURCE/*.wav."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kws.data.corpora.base import (
    Clip,
    Listing,
    Prepared,
    build,
    check_parts,
    files_below,
    first_folder,
    hash_split,
)
from kws.data.download import Archive, bring

PARTS = ("noise", "music", "speech")
DEFAULT = ("noise", "music")  # speech holds any words, keywords included
# MD5 as OpenSLR's users check it (WeNet, PaddleSpeech).
ARCHIVE = Archive("https://www.openslr.org/resources/17/musan.tar.gz", "md5:0c472d4fc0c5141eca47ad1ffeb2a7df")


def download(root: Path, parts: Sequence[str] = ()) -> None:
    """Fetches all of it (11 GB): there is one archive."""
    check_parts("musan", parts, PARTS)
    bring(ARCHIVE, root, root)


def prepare(root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
    """A noise set, without text, split by the hash of the file's name."""
    check_parts("musan", parts, PARTS)
    parts = parts or DEFAULT
    advice = "add --download to fetch it (11 GB), or give its folder with --from"
    folder = first_folder("musan", source or root, [f"{place}{parts[0]}" for place in ("musan/", "")], advice).parent
    return build(root, folder, partial(_clips, folder, parts), parts=sorted(parts))


def _clips(folder: Path, parts: Sequence[str]) -> Listing:
    files = [path for part in parts for path in files_below(folder / part)]
    return [Clip(path, split=hash_split(path.name)) for path in files], ["split by the hash of the file's name"]
