"""Assigns recordings to splits: train, dev or test."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kws.data.manifest import SPLITS
from kws.data.prepare.clip import Clip, Fault, Listing


def hash_split(name: str) -> str:
    """train, dev or test (about 80, 10 and 10 of 100 names), from the SHA-1 of a name
    alone.

    The rule of Speech Commands (Warden 2018, section 7, `which_set`): a name keeps its
    split when others come or go.
    """
    most = 2**27 - 1
    percent = int(hashlib.sha1(name.encode(errors="surrogateescape")).hexdigest(), 16) % (most + 1) * (100.0 / most)
    return "dev" if percent < 10 else "test" if percent < 20 else "train"


def split_by_file(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Each file with a split from its bytes: copies of one recording, whatever their
    names, share a side.
    """
    for path in paths:
        try:
            name = hashlib.sha1(path.read_bytes()).hexdigest()
        except OSError:
            name = path.name  # it is named as unreadable later
        yield path, hash_split(name)


def keep_held_out(clips: Sequence[Clip]) -> Listing:
    """Sets aside the clips that a published split gives to training although their
    speaker is held out in dev or test.

    A speaker stays in the last of train, dev, test that holds him; his clips elsewhere
    get a fault. Published lists are not always disjoint, and moving clips instead would
    change the published test set.
    """
    place: dict[str, str] = {}
    for clip in clips:
        if clip.speaker:
            place[clip.speaker] = max(place.get(clip.speaker, clip.split), clip.split, key=SPLITS.index)
    kept, aside = [], 0
    for clip in clips:
        home = place.get(clip.speaker, clip.split)
        if home != clip.split and clip.fault is None:
            aside += 1
            fault = Fault("shared speaker", f"its speaker {clip.speaker} is in {home}, and this clip in {clip.split}")
            clip = replace(clip, fault=fault)
        kept.append(clip)
    note = f"{aside} clips set aside: the published split has their speakers on a side that is held out"
    return kept, [note] if aside else []
