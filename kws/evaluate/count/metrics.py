"""False accepts and false rejects, counted in events, at any number of thresholds.

K keywords, T thresholds. Counting does what the device's trigger would do with the
scores that were kept, so every threshold above FLOOR can be tried without running the
model again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kws.errors import KwsError
from kws.evaluate.count.matching import Counting, negative_samples, windows, words
from kws.evaluate.count.sweep import tally
from kws.evaluate.replay.recording import FLOOR, Replayed
from kws.units import SAMPLE_RATE

# A threshold is set this much (in score) above the first false accept that would be too
# many. The score of the same audio moves by about 0.02 when it is shifted against the
# frame grid; a larger margin only adds misses.
SAFETY_MARGIN = 0.02


@dataclass(frozen=True)
class KeywordRates:
    """Counts of one keyword at one threshold.

    hours: audio in which an event is a false accept. repeats: events after a hit in the
    same window, which count neither as hits nor as false accepts.
    """

    keyword: str
    threshold: float
    positives: int
    misses: int
    false_accepts: int
    hours: float
    repeats: int = 0


def hours(recordings: Sequence[Replayed]) -> float:
    """The length of recordings in hours."""
    return sum(r.samples for r in recordings) / SAMPLE_RATE / 3600


def count(
    recordings: Sequence[Replayed],
    keywords: Sequence[str],
    index: int,
    thresholds: Sequence[float] | npt.NDArray[np.float64],
    counting: Counting,
) -> list[KeywordRates]:
    """The counts of keyword `index` at each of the thresholds, by the trigger that the
    device runs.

    Raises KwsError for a threshold below FLOOR, where scores are not kept.
    """
    keyword, tried = keywords[index], np.asarray(thresholds, np.float64)
    if len(tried) and tried.min() < FLOOR:
        raise KwsError(f"the threshold of '{keyword}' is {tried.min():g}: thresholds below {FLOOR} cannot be counted")
    ascending = np.sort(tried)
    changes = np.zeros((3, len(tried) + 1), np.int64)
    positives = negative = 0
    for recording in recordings:
        found = windows(recording.item, keyword, counting)
        for at, change in tally(recording, index, found, ascending, counting):
            changes[:, at] += change
        positives += words(found)
        negative += negative_samples(recording, found)
    counts = changes.cumsum(axis=1)[:, np.searchsorted(ascending, tried)]
    length = negative / SAMPLE_RATE / 3600
    return [
        KeywordRates(keyword, float(threshold), positives, int(misses), int(accepts), length, int(repeats))
        for threshold, misses, accepts, repeats in zip(tried, *counts, strict=True)
    ]


def det(recordings: Sequence[Replayed], keywords: Sequence[str], index: int, counting: Counting) -> list[KeywordRates]:
    """The DET curve of keyword `index`: every threshold at which a count changes, from
    the highest down to FLOOR.

    Every score is tried as a threshold, not only the peaks: a lower threshold fires
    earlier, so its refractory ends earlier, which can change a count. The counts of a
    point hold from its threshold down to that of the next point. If the highest score
    is a false accept, the first point lies above it, where nothing fires.
    """
    scores = [recording.scores[:, index] for recording in recordings]
    thresholds = np.unique(np.concatenate([[FLOOR], *(heard[heard > FLOOR] for heard in scores)]))[::-1]
    points = count(recordings, keywords, index, thresholds, counting)
    if points[0].false_accepts:
        nothing = 1.0 if points[0].threshold < 1.0 else float(np.nextafter(1.0, 2.0))  # is reached by no score
        points = [*count(recordings, keywords, index, [nothing], counting), *points]
    return [
        point
        for point, higher in zip(points, [None, *points[:-1]], strict=True)
        if point is points[-1] or higher is None or replace(point, threshold=0.0) != replace(higher, threshold=0.0)
    ]


def at_rate(points: Sequence[KeywordRates], fa_per_hour: float) -> KeywordRates:
    """The lowest operating point with at most `fa_per_hour`, where no higher point has
    more.

    points: as `det` gives them. The threshold returned has the counts of that point. It
    lies halfway between that point and the next lower one, which has too many false
    accepts, but at most SAFETY_MARGIN above the latter.
    """
    if not points:
        raise ValueError("no operating points")
    chosen = points[0]
    for point in points:
        if point.false_accepts > fa_per_hour * point.hours:
            aside = min((point.threshold + chosen.threshold) / 2, point.threshold + SAFETY_MARGIN)
            return replace(chosen, threshold=max(aside, float(np.nextafter(point.threshold, 2.0))))
        chosen = point
    return chosen


def rates_at(
    recordings: Sequence[Replayed], keywords: Sequence[str], fa_per_hour: float, counting: Counting
) -> list[KeywordRates]:
    """Each keyword's counts at its own threshold for `fa_per_hour`."""
    return [at_rate(det(recordings, keywords, index, counting), fa_per_hour) for index in range(len(keywords))]
