"""Counts a keyword at every threshold in one pass: the threshold falls from the highest
score on, and only a row that fires changes the events.

T thresholds.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt

from kws.decoding.trigger import may_fire
from kws.evaluate.count.matching import Counting, Window, end_samples, match, words
from kws.evaluate.replay.recording import FLOOR, Replayed


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
        above = np.array([words(own), 0, 0])
        scores = part.scores[:, index]
        order = np.argsort(-scores, kind="stable")
        reached = np.searchsorted(thresholds, scores, side="right").tolist()  # how many thresholds: the lowest ones
        falling = _FallingThreshold(part.frames, part.ages[:, index], counting.refractory_frames)
        for t, rows in groupby(order.tolist(), key=reached.__getitem__):
            if t == 0:
                break
            if sum(falling.reach(row) for row in rows):  # not any(): every row has to be reached
                verdict = match(end_samples(part, falling.events, counting), own)
                counts = np.array([words(own) - len(verdict.hits), len(verdict.false_accepts), len(verdict.repeats)])
                yield t, above - counts
                above = counts
        yield 0, above


class _FallingThreshold:
    """The events of one keyword while its threshold falls from row to row.

    frames, ages: (N,), of rows in order of time. Attribute events: the rows that fire.
    """

    def __init__(self, frames: npt.NDArray[np.int64], ages: npt.NDArray[np.int64], refractory_frames: int) -> None:
        self._frames: list[int] = frames.tolist()
        self._starts: list[int] = (frames + 1 - ages).tolist()
        self._refractory = refractory_frames
        self._reached: list[int] = []
        self.events: list[int] = []

    def reach(self, row: int) -> bool:
        """Lets the threshold fall to the score of one more row. Whether that changes
        the events.
        """
        insort(self._reached, row)
        number = bisect_left(self.events, row)
        if number and not self._may_fire(row, self.events[number - 1]):
            return False
        later, fired = self.events[number:], [row]
        for following in self._reached[bisect_left(self._reached, row) + 1 :]:
            if self._may_fire(following, fired[-1]):
                at = bisect_left(later, following)
                if at < len(later) and later[at] == following:  # from an event that fired before, all goes on as before
                    fired += later[at:]
                    break
                fired.append(following)
        self.events[number:] = fired
        return True

    def _may_fire(self, row: int, last: int) -> bool:
        return may_fire(self._frames[row], self._starts[row], self._frames[last], self._starts[last], self._refractory)


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
