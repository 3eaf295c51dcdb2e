"""Tells which events are hits: each occurrence of a keyword has a window, and the first
event inside it is the hit.

T thresholds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from kws.decoding.trigger import Trigger
from kws.evaluate.replay.recording import FLOOR, Label, Replayed, TestItem
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


def tally(
    recording: Replayed, index: int, found: Sequence[Window], thresholds: npt.NDArray[np.float64], counting: Counting
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """The changes of the counts of keyword `index` along ascending thresholds (T,), all
    of FLOOR or more.

    Yields pairs (t, change). t: the number of a threshold, or T for "above all of
    them". change (3,): by how much misses, false accepts and repeats at threshold t
    differ from those at threshold t - 1; before threshold 0 all counts are 0. Several
    pairs may have the same t; their changes add up.
    """
    for part, own in _segments(recording, index, found, counting):
        levels = np.unique(part.scores[:, index])
        before, at = np.zeros(3, np.int64), 0
        for level, end in zip(levels, np.searchsorted(thresholds, levels, side="right").tolist(), strict=True):
            if end > at:  # some threshold is reached by this score and not by the next lower one
                counts = _judged(part, index, own, float(level), counting)
                yield at, counts - before
                before, at = counts, end
        yield at, np.array([_words(own), 0, 0]) - before


def _segments(
    recording: Replayed, index: int, found: Sequence[Window], by: Counting
) -> Iterator[tuple[Replayed, list[Window]]]:
    """Splits a recording into segments, each with its windows, that can be counted
    apart at every threshold.

    Two segments lie at least the refractory time apart, and no path of a score and no
    window spans both. A sweep over hours of audio thus costs no more than one over
    short clips.
    """
    loud = np.flatnonzero(recording.scores[:, index] >= FLOOR)
    frames = recording.frames[loud]
    began, ends = frames + 1 - recording.ages[loud, index], (frames + 1) * by.frame_samples
    first = np.searchsorted(ends, [window.start for window in found])
    last = np.searchsorted(ends, [window.end for window in found], side="right")
    newest = np.maximum.accumulate(began)[:-1]  # latest begin of a path so far, and the earliest that is still to come
    oldest = np.minimum.accumulate(began[::-1])[::-1][1:]
    apart = (np.diff(frames) >= by.refractory_frames) & (oldest > newest)
    for begin, end in zip(first, last, strict=True):
        apart[begin : max(begin, end - 1)] = False
    borders = [0, *(np.flatnonzero(apart) + 1).tolist(), len(loud)]
    for begin, end in pairwise(borders):
        rows = loud[begin:end]
        part = replace(recording, frames=frames[begin:end], scores=recording.scores[rows], ages=recording.ages[rows])
        yield part, [w for w, a, b in zip(found, first, last, strict=True) if begin <= a < min(b, end)]
    none = replace(recording, frames=frames[:0], scores=recording.scores[:0], ages=recording.ages[:0])
    yield none, [w for w, a, b in zip(found, first, last, strict=True) if a == b]


def _judged(
    recording: Replayed, index: int, found: Sequence[Window], threshold: float, by: Counting
) -> npt.NDArray[np.int64]:
    """Misses, false accepts and repeats at a threshold."""
    verdict = match(end_samples(recording, events(recording, index, threshold, by), by), found)
    return np.array([_words(found) - len(verdict.hits), len(verdict.false_accepts), len(verdict.repeats)])


def _words(found: Sequence[Window]) -> int:
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
