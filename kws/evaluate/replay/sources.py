"""Reads the SOURCEs that a user names (manifests, splits of manifests, folders) into
test items.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kws.data.manifest import Utterance, place_of, rows_of
from kws.errors import KwsError
from kws.evaluate.replay.recording import CLEAN, Label, Role, TestItem
from kws.lexicon.text import says
from kws.units import samples

_PARTS = 3  # of a path that is below no corpus: corpus, folder, file


def sources_of(
    positives: Sequence[str],
    negatives: Sequence[str],
    confusables: Sequence[str],
    repeated: list[str],
    faults: list[str] | None = None,
) -> list[TestItem]:
    """The test items of three lists of SOURCEs: positives, negatives, confusables.

    Each recording is taken once, however often and by whatever path it is named,
    because hearing it again adds no hours. The rows of a recording become the labels of
    one item. `repeated` gets a line for each recording that is named again for another
    purpose. faults: as `rows_of` takes them. Raises KwsError for rows that contradict
    each other.
    """
    found: dict[Path, TestItem] = {}
    depths: dict[Path, int] = {}
    roles: list[tuple[Role, Sequence[str]]] = [
        ("positive", positives),
        ("confusable", confusables),
        ("negative", negatives),
    ]
    for role, named in roles:
        for place in named:
            for real, audio, labels in _recordings(place, faults):
                if real not in found:
                    found[real] = TestItem(audio, "", role, labels)
                    depths[real] = _depth(real, place)
                elif found[real].labels != labels or found[real].role != role:
                    repeated.append(f"{audio} is named again, as {role}: it counts once, as {found[real].role}")
    names = _names(depths)
    return [replace(source, name=names[real]) for real, source in found.items()]


def _recordings(place: str, faults: list[str] | None) -> Iterator[tuple[Path, Path, tuple[Label, ...]]]:
    """The file, its path as the user names it, and the labels of each recording. Two
    paths may lead to one file.
    """
    rows: dict[Path, list[Utterance]] = {}
    for row in rows_of([place], faults):
        rows.setdefault(row.audio.resolve(), []).append(row)
    for real, said in rows.items():
        audio, labels = said[0].audio, tuple(dict.fromkeys(map(_label, said)))
        if len(labels) > 1 and any(label.start is None for label in labels):
            raise KwsError(f"{place} names {audio} in {len(said)} rows: each needs start and end")
        yield real, audio, labels


def _label(row: Utterance) -> Label:
    if row.span and not all(map(math.isfinite, row.span)):
        raise KwsError(f"{row.audio} has '{row.text}' from {row.span[0]:g} to {row.span[1]:g} s: that is no span")
    start, end = (samples(second) for second in row.span) if row.span else (None, None)
    return Label(row.text, row.speaker, start, end)


def _depth(real: Path, place: str) -> int:
    """The number of parts of a path, counted from its end, that are the same on every
    machine and for every manifest that names it. They begin with its corpus, which is
    the nearest folder with a manifest.csv, or else the folder that `place` means.
    """
    for depth, folder in enumerate(real.parents, 2):
        if (folder / "manifest.csv").is_file():
            return depth
    path, _ = place_of(place)
    folder = (path if path.is_dir() else path.parent).resolve()
    return len(real.relative_to(folder).parts) + 1 if real.is_relative_to(folder) else _PARTS


def _names(depths: Mapping[Path, int]) -> dict[Path, str]:
    """A unique name for each file: the last parts of its path, `depths` of them or as
    many more as it takes.
    """
    depths = dict(depths)
    while True:
        names = {real: "/".join(real.parts[-depth:]) for real, depth in depths.items()}
        times = Counter(names.values())
        if len(times) == len(names):
            return names
        depths = {real: depth + (times[names[real]] > 1) for real, depth in depths.items()}


def under_conditions(sources: Sequence[TestItem], conditions: Sequence[str], keywords: Sequence[str]) -> list[TestItem]:
    """The test items as they are, and a copy for each further condition of those
    positives that say one of `keywords`.
    """
    further = [condition for condition in conditions if condition != CLEAN]
    copies = [
        replace(source, condition=condition)
        for condition in further
        for source in sources
        if source.role == "positive"
        and any(says(label.text, keyword) for label in source.labels for keyword in keywords)
    ]
    return [*sources, *copies]
