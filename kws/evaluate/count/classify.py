"""Accuracy on clips of single words: the class that each clip is taken for, and the
counts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from kws.audio import read
from kws.data.corpora.speech_commands import WORDS, label
from kws.data.manifest import rows_of
from kws.data.prepare.clip import files_below
from kws.errors import KwsError
from kws.evaluate.count.intervals import wilson
from kws.lexicon import SILENCE, UNKNOWN, Spelling, load_cmudict
from kws.runtime.classifier import Classifier
from kws.runtime.detector import Detector

Confusion = dict[str, dict[str, int]]  # class that a clip is of -> class that was heard -> clips


def find_clips(
    sources: Sequence[str], task: Literal[12, 35] | None, skipped: list[str] | None = None
) -> dict[str, list[Path]]:
    """The audio files of each class: the sub folders of a folder, or the rows of a
    manifest by their text.

    skipped: gets a sentence for each row that cannot be used; without it such a row is
    an error.
    """
    clips: dict[str, list[Path]] = {}
    for source in sources:
        for name, file in _labelled(source, task, skipped):
            clips.setdefault(name, []).append(file)
    return dict(sorted(clips.items()))


def _labelled(source: str, task: Literal[12, 35] | None, skipped: list[str] | None) -> list[tuple[str, Path]]:
    """(class, file) of every clip of one source; KwsError when there is none."""
    directory = Path(source)
    if not directory.exists() and "@" not in source:
        raise KwsError(f"{source} does not exist: give a folder that holds a folder of clips per class, or a manifest")
    if directory.is_dir() and not (directory / "manifest.csv").is_file():
        folders = [path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if found := [(folder.name, file) for folder in sorted(folders) for file in files_below(folder)]:
            return found
        raise KwsError(f"no folder in {directory} holds audio: each class has a folder, named by its word")
    if rows := rows_of([source], skipped):
        return [(label(row.text, task) if task else row.text or SILENCE, row.audio) for row in rows]
    raise KwsError(f"{source} has no row: check the split")


def spell_classes(detector: Detector, names: Sequence[str], rivals: Sequence[str] | None) -> dict[str, list[Spelling]]:
    """Spellings of each class: the model's own where it has the word as a keyword, the
    dictionary's otherwise.
    """
    own = {keyword.name: list(keyword.spellings) for keyword in detector.keywords}
    words = [name for name in names if name not in (UNKNOWN, SILENCE)]
    others = [word for word in rivals or list(own) or WORDS if word not in words]
    lexicon = load_cmudict() if any(word not in own for word in (*words, *others)) else None
    spelled = {word: own.get(word) or (lexicon.spell(word) if lexicon else []) for word in (*words, *others)}
    special: dict[str, list[Spelling]] = {
        SILENCE: [],
        UNKNOWN: [spelling for word in others for spelling in spelled[word]],
    }
    return {name: special[name] if name in special else spelled[name] for name in names}


def confusion_of(classifier: Classifier, clips: Mapping[str, Sequence[Path]], skipped: list[str]) -> Confusion:
    """Classifies every clip; those that cannot be read are added to `skipped`."""
    confusion: Confusion = {name: {} for name in clips}
    for name, file in _progress(clips):
        try:
            heard = classifier(read(file))
        except KwsError as error:
            skipped.append(str(error))
            continue
        confusion[name][heard] = confusion[name].get(heard, 0) + 1
    return confusion


def _progress(clips: Mapping[str, Sequence[Path]]) -> Iterator[tuple[str, Path]]:
    files = [(name, file) for name, found in clips.items() for file in found]
    yield from tqdm(files, "classifying", unit="clip", leave=False, disable=None)


@dataclass(frozen=True)
class ClassCount:
    """The clips of one class, and how many of them were taken for it."""

    correct: int
    total: int


@dataclass(frozen=True)
class Classification:
    """The counts of classified clips of single words. interval95: of the accuracy
    (Wilson).
    """

    accuracy: float | None
    correct: int
    total: int
    interval95: tuple[float, float]
    skipped: int
    per_class: Mapping[str, ClassCount]
    confusion: Confusion

    @classmethod
    def of(cls, confusion: Confusion, skipped: int) -> "Classification":
        """The counts of a confusion matrix; skipped: clips that could not be read."""
        counts = {name: ClassCount(heard.get(name, 0), sum(heard.values())) for name, heard in confusion.items()}
        correct, total = sum(one.correct for one in counts.values()), sum(one.total for one in counts.values())
        accuracy = correct / total if total else None
        return cls(accuracy, correct, total, wilson(correct, total), skipped, counts, confusion)

    def to_json(self) -> str:
        """One JSON object with the names of the fields."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        """A text for people: a line per class with the classes it was taken for, then
        the accuracy.
        """
        lines = [f"{'class':<12}{'right':>11}{'':>9}  taken for"]
        for name, counts in self.per_class.items():
            heard = sorted(self.confusion[name].items(), key=lambda item: -item[1])
            wrong = ", ".join(f"{other} {count}" for other, count in heard if other != name)
            share = counts.correct / max(1, counts.total)
            lines.append(f"{name:<12}{counts.correct:>5}/{counts.total:<5}{share:>9.1%}  {wrong}".rstrip())
        low, high = self.interval95
        lines.append(
            f"accuracy {self.correct}/{self.total} = {self.correct / max(1, self.total):.2%} "
            f"(95 %: {low:.2%} to {high:.2%}), {self.skipped} skipped"
        )
        return "\n".join(lines)
