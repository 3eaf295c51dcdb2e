"""Tells which events are hits: each occurrence of a keyword has a window, and the first
event inside it is the hit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kws.decoding.trigger import Trigger
from kws.evaluate.replay.recording import Label, Replayed, TestItem
from kws.lexicon.text import contains, says
from kws.units import samples

if TYPE_CHECKING:  # training counts too, and opens no system
    from kws.evaluate.replay.systems import System

LATE_S = 0.75  # an event this long after the end of its word is still the word's
_ALWAYS = 2**62


class Window(NamedTuple):
    """The samples from `start` to `end`, both included, in which an event of a keyword
    is no false accept.

    label: the occurrence of the keyword. None where the keyword is only part of another
    phrase: an event there counts neither as a hit nor as a false accept.
    """

    start: int
    end: int
    label: Label | None


class Verdict(NamedTuple):
    """hits: pairs (window, event), by their numbers. false_accepts: events in no
    window. repeats: events after a hit in the same window.
    """

    hits: list[tuple[int, int]]
    false_accepts: list[int]
    repeats: list[int]


@dataclass(frozen=True)
class Counting:
    """The rules of counting: frames of `frame_samples`, the refractory time of an
    event, and how late an event may come.
    """

    refractory_frames: int
    frame_samples: int
    late_samples: int = samples(LATE_S)

    @classmethod
    def of(cls, system: "System") -> "Counting":
        """The rules by which a system's own trigger counts."""
        return cls(system.refractory_frames, system.frame_samples)


def windows(source: TestItem, keyword: str, counting: Counting) -> list[Window]:
    """The windows of a keyword in a test item, in order of time: from the start of the
    word to `late_samples` after its end.

    Where the time of the word is not known, the window is the whole recording.
    """
    found = []
    for label in source.labels:
        if not contains(label.text, keyword):
            continue
        known = label if says(label.text, keyword) else None
        if label.start is None or label.end is None:
            found.append(Window(-_ALWAYS, _ALWAYS, known))
        else:
            found.append(Window(label.start, label.end + counting.late_samples, known))
    return sorted(found, key=lambda window: (window.end, window.start))


def match(times: Sequence[int], found: Sequence[Window]) -> Verdict:
    """Judges events at `times` (samples, ascending) by windows that are sorted by their
    end.

    An event takes the open window around it that ends first, which gives as many hits
    as any other assignment.
    """
    verdict = Verdict([], [], [])
    closed = set()
    for event, time in enumerate(times):
        around = [number for number, window in enumerate(found) if window.start <= time <= window.end]
        known = [number for number in around if found[number].label is not None]
        free = [number for number in known if number not in closed]
        if free:
            closed.add(free[0])
            verdict.hits.append((free[0], event))
        elif known:
            verdict.repeats.append(event)
        elif not around:
            verdict.false_accepts.append(event)
    return verdict


def negative_samples(recording: Replayed, found: Sequence[Window]) -> int:
    """How many samples of a recording, without the silence around it, lie outside of
    all windows.
    """
    left, covered = recording.samples, 0
    for window in sorted(found, key=lambda window: window.start):
        start, end = max(covered, window.start), min(recording.samples, window.end)
        left -= max(0, end - start)
        covered = max(covered, end)
    return left


def events(recording: Replayed, index: int, threshold: float, counting: Counting) -> list[int]:
    """The rows of `recording` in which keyword `index` fires at `threshold`, with the
    trigger of the device.
    """
    loud = np.flatnonzero(recording.scores[:, index] >= threshold)
    if not len(loud):
        return []
    trigger = Trigger([threshold], counting.refractory_frames)
    one = slice(index, index + 1)
    scores, ages = recording.scores[loud, one], recording.ages[loud, one]
    fired, _ = trigger.run(scores, ages, recording.frames[loud], trigger.init_state())
    return [int(loud[row]) for row, _ in fired]


def peak(recording: Replayed, row: int, index: int, counting: Counting) -> float:
    """The peak of the event of keyword `index` in this row, as in `Detection`: the
    highest score from there on until the keyword may fire again.
    """
    end = np.searchsorted(recording.frames, recording.frames[row] + max(1, counting.refractory_frames))
    return float(recording.scores[row:end, index].max())


def end_samples(recording: Replayed, rows: Sequence[int], counting: Counting) -> list[int]:
    """The ends of the frames of these rows, in samples since the recording began."""
    return [(int(recording.frames[row]) + 1) * counting.frame_samples for row in rows]


def words(found: Sequence[Window]) -> int:
    """How many occurrences of the keyword have a window."""
    return sum(window.label is not None for window in found)


class Occurrence(NamedTuple):
    """One occurrence of a keyword. score: the best in its window; row: the frame of the
    hit, None where missed.
    """

    recording: Replayed
    label: Label
    score: float
    row: int | None


def occurrences(
    recording: Replayed, index: int, keyword: str, threshold: float, counting: Counting
) -> Iterator[Occurrence]:
    """Each occurrence of a keyword in a recording, and whether it is heard at
    `threshold`.
    """
    found = windows(recording.item, keyword, counting)
    if not any(window.label for window in found):
        return
    rows = events(recording, index, threshold, counting)
    hits = dict(match(end_samples(recording, rows, counting), found).hits)
    times = (recording.frames + 1) * counting.frame_samples
    for number, window in enumerate(found):
        if window.label is not None:
            inside = (times >= window.start) & (times <= window.end)
            best = float(recording.scores[inside, index].max(initial=0.0))
            yield Occurrence(recording, window.label, best, rows[hits[number]] if number in hits else None)
