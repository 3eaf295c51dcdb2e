"""False accepts and false rejects, counted in events.

K keywords, T thresholds. Every threshold above FLOOR can be tried on scores that were kept, without running the model
again, with the trigger of the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kws.errors import KwsError
from kws.evaluate.matching import Counting, negative_samples, tally, trials, windows
from kws.evaluate.recording import FLOOR, Recording
from kws.units import SAMPLE_RATE


@dataclass(frozen=True)
class KeywordRates:
    """Counts of one keyword at one threshold.

    hours: audio in which an event is a false accept. repeats: events after a hit in the same window, which are none.
    """

    keyword: str
    threshold: float
    positives: int
    misses: int
    false_accepts: int
    hours: float
    repeats: int = 0


def hours(recordings: Sequence[Recording]) -> float:
    """Length of recordings."""
    return sum(r.samples for r in recordings) / SAMPLE_RATE / 3600


def count(
    recordings: Sequence[Recording],
    keywords: Sequence[str],
    index: int,
    thresholds: Sequence[float] | npt.NDArray[np.float64],
    counting: Counting,
) -> list[KeywordRates]:
    """The counts of keyword `index` at each of the thresholds, exactly what the device would do there.

    Raises KwsError for a threshold below FLOOR, where scores are not kept.
    """
    keyword, tried = keywords[index], np.asarray(thresholds, np.float64)
    if len(tried) and tried.min() < FLOOR:
        raise KwsError(f"the threshold of '{keyword}' is {tried.min():g}: thresholds below {FLOOR} cannot be counted")
    counts = np.zeros((3, len(tried)), np.int64)
    positives = negative = 0
    for recording in recordings:
        found = windows(recording.source, keyword, counting)
        counts += tally(recording, index, found, tried, counting)
        positives += sum(window.label is not None for window in found)
        negative += negative_samples(recording, found)
    length = negative / SAMPLE_RATE / 3600
    return [
        KeywordRates(keyword, float(threshold), positives, int(misses), int(accepts), length, int(repeats))
        for threshold, misses, accepts, repeats in zip(tried, *counts, strict=True)
    ]


def det(recordings: Sequence[Recording], keywords: Sequence[str], index: int, counting: Counting) -> list[KeywordRates]:
    """The operating points of keyword `index` at which a count changes, from the highest threshold down to FLOOR.

    The thresholds tried are the peaks of all scores, and the best score in each window.
    """
    tried = [candidates(recording, keywords[index], index, counting) for recording in recordings]
    thresholds = np.unique(np.concatenate([[FLOOR], *tried]))[::-1]
    points = count(recordings, keywords, index, thresholds, counting)
    return [
        point
        for point, higher in zip(points, [None, *points[:-1]], strict=True)
        if point is points[-1] or higher is None or replace(point, threshold=0.0) != replace(higher, threshold=0.0)
    ]


def candidates(recording: Recording, keyword: str, index: int, counting: Counting) -> npt.NDArray[np.float64]:
    """The local maxima of keyword `index` over FLOOR, and the best score in each of its windows."""
    scores = np.pad(recording.scores[:, index], 1)
    follows = np.pad(np.diff(recording.frames) == 1, 1)  # whether a kept frame comes right before, right after
    before = np.where(follows[:-1], scores[:-2], 0.0)
    after = np.where(follows[1:], scores[2:], 0.0)
    here = scores[1:-1]
    peaks = here[(here >= before) & (here > after)]
    best = [trial.score for trial in trials(recording, index, keyword, 1.0, counting)]
    found = np.concatenate([peaks, best])
    return found[found > FLOOR]


def at_rate(points: Sequence[KeywordRates], fa_per_hour: float) -> KeywordRates:
    """The counts at the lowest threshold with at most `fa_per_hour`, no higher one having more.

    points: as `det` gives them. The threshold returned lies just above the first score that is too many.
    """
    if not points:
        raise ValueError("no operating points")
    chosen = replace(points[0], misses=points[0].positives, false_accepts=0, repeats=0)
    for point in points:
        if point.false_accepts > fa_per_hour * point.hours:
            return replace(chosen, threshold=float(np.nextafter(point.threshold, 2.0)))
        chosen = point
    return chosen


def rates_at(
    recordings: Sequence[Recording], keywords: Sequence[str], fa_per_hour: float, counting: Counting
) -> list[KeywordRates]:
    """Each keyword's counts at its own threshold for `fa_per_hour`."""
    return [at_rate(det(recordings, keywords, index, counting), fa_per_hour) for index in range(len(keywords))]
