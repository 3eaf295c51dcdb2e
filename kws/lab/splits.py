"""Deals the speakers of a study to its training, its search for learning rates and its
test: no speaker to two of them.

The split of a speaker follows from a hash of the name alone. A speaker of several
corpora therefore has the same split in all of them, and adding a corpus moves nobody.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from kws.data.manifest import SPLITS, Utterance, describe, read_manifest, write_manifest
from kws.lab.study import Study


def deal(study: Study, folder: Path) -> list[str]:
    """Write a manifest with new splits for every corpus of the study, below `folder`.

    A corpus in `study.dealt`: its speakers are dealt to train, dev and test.
    Another corpus of the training, or the noise: its dev split becomes the test split.
    A corpus of the test alone: every speaker who is in no training goes to the test.

    Returns a line about each split of each corpus.
    """
    root = Path(study.recipe.task.data)
    trained = {corpus.folder for corpus in study.recipe.task.speech}
    names = dict.fromkeys([*trained, *study.dealt, study.noise, *study.positives, *study.negatives])
    learned: set[str] = set()
    lines = []
    for name in sorted(names, key=lambda name: (name not in trained, name)):
        rows = read_manifest(root / name)
        if name in study.dealt:
            rows = [replace(row, split=part_of(row.speaker, study)) for row in rows]
        elif name in trained or name == study.noise:
            rows = [replace(row, split="test" if row.split == "dev" else row.split) for row in rows]
        else:
            rows = [replace(row, split="test") for row in rows if row.speaker not in learned]
        if name in trained:
            learned |= {row.speaker for row in rows if row.split != "test" and row.speaker}
        lines += write(rows, folder / name)
    return lines


def part_of(speaker: str, study: Study) -> str:
    """The split of a speaker of a dealt corpus, by the hash of the name."""
    place = int.from_bytes(hashlib.blake2b(speaker.encode(), digest_size=8).digest(), "big") / 2**64
    if place < study.test_share:
        return "test"
    return "dev" if place < study.test_share + study.dev_share else "train"


def write(rows: list[Utterance], folder: Path) -> list[str]:
    """Write the manifest of a corpus; returns a line about each of its splits."""
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder / "manifest.csv", rows)
    parts = {split: [row for row in rows if row.split == split] for split in SPLITS}
    return [f"{folder.name}@{split}: {describe(part)}" for split, part in parts.items() if part]
