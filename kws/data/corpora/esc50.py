"""ESC-50 (Piczak 2015): audio/*.wav of 5 s, and meta/esc50.csv with filename, fold, category, esc10.

The folds keep clips of one source recording together, so they are the split: 4 is dev, 5 is test. The whole set is
for non-commercial use; its subset esc10 is not.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kws.data.corpora.base import Clip, Fault, Listing, Prepared, build, check_parts, files_below, first_folder
from kws.data.download import Archive, bring
from kws.errors import KwsError

PARTS = ("esc10", "esc50")
SPLIT_OF_FOLD = {"1": "train", "2": "train", "3": "train", "4": "dev", "5": "test"}
# GitHub packs this when it is asked for and publishes no checksum: the first fetch's is kept.
ARCHIVE = Archive("https://github.com/karolpiczak/ESC-50/archive/master.zip", name="ESC-50-master.zip")


def download(root: Path, parts: Sequence[str] = ()) -> None:
    """Fetches all of it (0.6 GB)."""
    check_parts("esc50", parts, PARTS)
    bring(ARCHIVE, root, root)


def prepare(root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
    """A noise set, without text, of esc10 unless esc50 is named."""
    check_parts("esc50", parts, PARTS)
    advice = "add --download to fetch it (0.6 GB), or give its folder with --from"
    places = ("ESC-50-master/meta/esc50.csv", "meta/esc50.csv")
    folder = first_folder("esc50", source or root, places, advice).parent.parent
    everything = "esc50" in parts
    return build(root, folder, partial(_clips, folder, everything), everything=everything)


def _clips(folder: Path, everything: bool) -> Listing:
    clips, listed = [], set()
    with (folder / "meta" / "esc50.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                path = folder / "audio" / row["filename"]
                split, small = SPLIT_OF_FOLD[row["fold"]], row["esc10"] == "True"
            except KeyError as error:
                raise KwsError(f"{file.name} has a row without {error}: unpack the corpus again") from error
            listed.add(path)
            if everything or small:
                clips.append(Clip(path, split=split))
    unlisted = [path for path in files_below(folder / "audio") if path not in listed]
    clips += [Clip(path, fault=Fault("unlabelled", "esc50.csv does not list it")) for path in unlisted]
    return clips, ["split by the published folds: 1 to 3 train, 4 dev, 5 test"]
