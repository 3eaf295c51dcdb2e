"""From what a user names (manifests, one split of one, folders) to the recordings that are to be heard."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kws.data.manifest import Utterance, place_of, rows_of
from kws.errors import KwsError
from kws.evaluate.recording import CLEAN, Label, Role, Source
from kws.lexicon import says
from kws.units import samples

_PARTS = 3  # of a path that is not below its manifest: corpus, folder, file


def sources_of(
    positives: Sequence[str], negatives: Sequence[str], confusables: Sequence[str], repeated: list[str]
) -> list[Source]:
    """The recordings of all three kinds, each once however often it is named: hearing it again adds no hours.

    Rows of one recording are the labels of one source. What is named again for another purpose is added to
    `repeated`, one line each.
    """
    found: dict[Path, Source] = {}
    roles: list[tuple[Role, Sequence[str]]] = [
        ("positive", positives),
        ("confusable", confusables),
        ("negative", negatives),
    ]
    for role, named in roles:
        for source in named:
            for audio, name, labels in _recordings(source):
                if audio not in found:
                    found[audio] = Source(audio, name, role, labels)
                elif found[audio].labels != labels or found[audio].role != role:
                    repeated.append(f"{audio} is named again, as {role}: it counts once, as {found[audio].role}")
    return list(found.values())


def _recordings(source: str) -> Iterator[tuple[Path, str, tuple[Label, ...]]]:
    """(audio, name, labels) of each recording; a name is the part of the path that is the same on every machine."""
    path, _ = place_of(source)
    folder = path if path.is_dir() else path.parent
    rows: dict[Path, list[Utterance]] = {}
    for row in rows_of([source]):
        rows.setdefault(row.audio, []).append(row)
    for audio, said in rows.items():
        if audio.is_relative_to(folder):
            name = f"{folder.resolve().name}/{audio.relative_to(folder).as_posix()}"
        else:
            name = "/".join(audio.parts[-_PARTS:])
        if len(said) > 1 and not all(row.span for row in said):
            raise KwsError(f"{source} names {audio} in {len(said)} rows: each needs start and end")
        yield audio, name, tuple(dict.fromkeys(map(_label, said)))


def _label(row: Utterance) -> Label:
    start, end = (samples(second) for second in row.span) if row.span else (None, None)
    return Label(row.text, row.speaker, start, end)


def under_conditions(sources: Sequence[Source], conditions: Sequence[str], keywords: Sequence[str]) -> list[Source]:
    """The sources as they are and, of the positives that are one of `keywords`, a copy for each further condition."""
    further = [condition for condition in conditions if condition != CLEAN]
    copies = [
        replace(source, condition=condition)
        for condition in further
        for source in sources
        if source.role == "positive"
        and any(says(label.text, keyword) for label in source.labels for keyword in keywords)
    ]
    return [*sources, *copies]
