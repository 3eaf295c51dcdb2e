"""ESC-50 (Piczak 2015): audio/*.wav of 5 s, and meta/esc50.csv with filename, fold,
category, esc10.

The folds keep clips of one source recording together, so they are the split: 4 is dev,
5 is test. The whole set is for non-commercial use; its subset esc10 is not.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import Corpus, first_folder
from kws.data.download import Archive
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.errors import KwsError

SPLIT_OF_FOLD = {"1": "train", "2": "train", "3": "train", "4": "dev", "5": "test"}
# GitHub packs this when it is asked for and publishes no checksum: the first fetch's is kept.
ARCHIVE = Archive("https://github.com/karolpiczak/ESC-50/archive/master.zip", name="ESC-50-master.zip")


def _clips(source: Path, parts: Sequence[str]) -> Listing:
    """A noise set, without text, of the subset unless the whole is named."""
    folder = first_folder("esc50", source, ("ESC-50-master/meta/esc50.csv", "meta/esc50.csv")).parent.parent
    clips, listed = [], set()
    with (folder / "meta" / "esc50.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                path = folder / "audio" / row["filename"]
                split, small = SPLIT_OF_FOLD[row["fold"]], row["esc10"] == "True"
            except KeyError as error:
                raise KwsError(f"{file.name} has a row without {error}: unpack the corpus again") from error
            listed.add(path)
            if small or "esc50" in parts:
                clips.append(Clip(path, split=split))
    unlisted = [path for path in files_below(folder / "audio") if path not in listed]
    clips += [Clip(path, fault=Fault("unlabelled", "esc50.csv does not list it")) for path in unlisted]
    return clips, ["split by the published folds: 1 to 3 train, 4 dev, 5 test"]


CORPUS = Corpus(
    name="esc50",
    holds="environmental sounds, 5 s each: 0.6 h (esc10), 2.8 h (esc50)",
    licence="CC BY 3.0 (esc10), CC BY-NC 3.0 (esc50)",
    archives={"esc10": ARCHIVE, "esc50": ARCHIVE},  # 0.6 GB
    default=("esc10",),
    list=_clips,
)
