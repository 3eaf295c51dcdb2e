"""Which events are right: each keyword that is said has a window, and its first event inside is the hit.

N kept frames of a recording; T thresholds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from kws.evaluate.recording import Label, Recording, Source
from kws.lexicon import contains, says
from kws.trigger import Trigger
from kws.units import samples

if TYPE_CHECKING:  # training counts too, and opens no system
    from kws.evaluate.systems import System

LATE_S = 0.75  # an event this long after the end of its word is still the word's
_ALWAYS = 2**62


class Window(NamedTuple):
    """Samples from `start` to `end`, both included, in which an event of a keyword is no false accept.

    label: what is said there; None where the keyword is only a part of what is said, so that an event is neither right
    nor wrong.
    """

    start: int
    end: int
    label: Label | None


class Verdict(NamedTuple):
    """hits: pairs (window, event), by their numbers; false_accepts: events in no window; repeats: events after a hit in
    the same window.
    """

    hits: list[tuple[int, int]]
    false_accepts: list[int]
    repeats: list[int]


@dataclass(frozen=True)
class Counting:
    """What makes an event: frames of `frame_samples`, a refractory, and how late an event may come."""

    refractory_frames: int
    frame_samples: int
    late_samples: int = samples(LATE_S)

    @classmethod
    def of(cls, system: "System") -> "Counting":
        """As a system's own trigger counts."""
        return cls(system.refractory_frames, system.frame_samples)


def windows(source: Source, keyword: str, counting: Counting) -> list[Window]:
    """The windows of a keyword in a source, in order of time: from the start of the word to `late_samples` after it.

    Where it is not known when the word is said, the window is the whole recording.
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
    """Judges events at `times` (samples, ascending) by windows that are sorted by their end.

    An event takes the open window around it that ends first, which gives as many hits as any other assignment.
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


def negative_samples(recording: Recording, found: Sequence[Window]) -> int:
    """How much of a recording, silence around it aside, lies outside of all windows."""
    left, covered = recording.samples, 0
    for window in sorted(found, key=lambda window: window.start):
        start, end = max(covered, window.start), min(recording.samples, window.end)
        left -= max(0, end - start)
        covered = max(covered, end)
    return left


def events(recording: Recording, index: int, threshold: float, counting: Counting) -> list[int]:
    """The rows of `recording` in which keyword `index` fires at `threshold`, with the trigger of the device."""
    loud = np.flatnonzero(recording.scores[:, index] >= threshold)
    if not len(loud):
        return []
    trigger = Trigger([threshold], counting.refractory_frames)
    one = slice(index, index + 1)
    scores, ages = recording.scores[loud, one], recording.ages[loud, one]
    fired, _ = trigger.run(scores, ages, recording.frames[loud], trigger.init_state())
    return [int(loud[row]) for row, _ in fired]


def end_samples(recording: Recording, rows: Sequence[int], counting: Counting) -> list[int]:
    """When the frames of these rows end, in samples since the recording began."""
    return [(int(recording.frames[row]) + 1) * counting.frame_samples for row in rows]


def tally(
    recording: Recording, index: int, found: Sequence[Window], thresholds: npt.NDArray[np.float64], counting: Counting
) -> npt.NDArray[np.int64]:
    """(3, T): misses, false accepts and repeats of keyword `index` at each threshold."""
    levels = np.sort(recording.scores[:, index])
    loud = len(levels) - np.searchsorted(levels, thresholds)  # frames that reach each threshold
    counts, where = np.unique(loud, return_inverse=True)
    return np.array([_judged(recording, index, found, levels, int(n), counting) for n in counts]).T[:, where]


def _judged(
    recording: Recording, index: int, found: Sequence[Window], levels: npt.NDArray[np.float64], n: int, by: Counting
) -> tuple[int, int, int]:
    """The counts where the `n` loudest frames reach the threshold."""
    words = sum(window.label is not None for window in found)
    if n == 0:
        return words, 0, 0
    rows = events(recording, index, float(levels[-n]), by)
    verdict = match(end_samples(recording, rows, by), found)
    return words - len(verdict.hits), len(verdict.false_accepts), len(verdict.repeats)


class Trial(NamedTuple):
    """One occurrence of a keyword. score: the best in its window; row: the frame of the hit, None where missed."""

    recording: Recording
    label: Label
    score: float
    row: int | None


def trials(recording: Recording, index: int, keyword: str, threshold: float, counting: Counting) -> Iterator[Trial]:
    """Each occurrence of a keyword in a recording, and whether it is heard at `threshold`."""
    found = windows(recording.source, keyword, counting)
    if not any(window.label for window in found):
        return
    rows = events(recording, index, threshold, counting)
    hits = dict(match(end_samples(recording, rows, counting), found).hits)
    times = (recording.frames + 1) * counting.frame_samples
    for number, window in enumerate(found):
        if window.label is not None:
            inside = (times >= window.start) & (times <= window.end)
            best = float(recording.scores[inside, index].max(initial=0.0))
            yield Trial(recording, window.label, best, rows[hits[number]] if number in hits else None)
