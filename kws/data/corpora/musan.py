"""MUSAN (Snyder et al. 2015, arXiv:1510.08484; openslr.org/17):
musan/{noise,music,speech}/SOURCE/*.wav.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import Corpus, first_folder
from kws.data.download import Archive
from kws.data.prepare.clip import Clip, Listing, files_below
from kws.data.prepare.splits import hash_split

# MD5 as OpenSLR's users check it (WeNet, PaddleSpeech).
ARCHIVE = Archive("https://www.openslr.org/resources/17/musan.tar.gz", "md5:0c472d4fc0c5141eca47ad1ffeb2a7df")


def _clips(source: Path, parts: Sequence[str]) -> Listing:
    """A noise set, without text, split by the hash of the file's name."""
    folder = first_folder("musan", source, [f"{place}{parts[0]}" for place in ("musan/", "")]).parent
    files = [path for part in parts for path in files_below(folder / part)]
    return [Clip(path, split=hash_split(path.name)) for path in files], ["split by the hash of the file's name"]


CORPUS = Corpus(
    name="musan",
    holds="noise, music and speech as background: 109 h",
    licence="see its LICENSE files",
    archives=dict.fromkeys(("noise", "music", "speech"), ARCHIVE),  # 11 GB
    default=("noise", "music"),  # speech holds any words, keywords included
    list=_clips,
)
