"""False accepts and false rejects, counted in events.

K keywords, T frames. A recording's scores are kept where they exceed a floor, so that every threshold above it can be
tried without running the model again, with the trigger of the device.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kws.trigger import Trigger
from kws.units import SAMPLE_RATE

FLOOR = 1e-2  # scores below are never thresholds: they come by the hundred an hour, and a sweep would take minutes


@dataclass(frozen=True)
class Recording:
    """One recording's scores. keyword: what is said in it, None where no keyword is (a negative).

    frames (N,): those in which some keyword's score exceeds FLOOR; scores and ages (N, K) in them.
    """

    keyword: str | None
    samples: int
    frames: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    ages: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, scores: npt.NDArray[np.float64], ages: npt.NDArray[np.int64], samples: int, keyword: str | None
    ) -> "Recording":
        """From the scores (T, K) and ages (T, K) of all frames."""
        frames = np.flatnonzero((scores > FLOOR).any(axis=1))
        return cls(keyword, samples, frames, scores[frames], ages[frames])

    def peaks(self, index: int) -> npt.NDArray[np.float64]:
        """The local maxima of keyword `index` over FLOOR."""
        scores = np.pad(self.scores[:, index], 1)
        follows = np.pad(np.diff(self.frames) == 1, 1)  # whether a kept frame comes right before, right after
        before = np.where(follows[:-1], scores[:-2], 0.0)
        after = np.where(follows[1:], scores[2:], 0.0)
        here = scores[1:-1]
        return here[(here >= before) & (here > after) & (here > FLOOR)]

    def events(self, index: int, threshold: float, refractory_frames: int) -> int:
        """How often keyword `index` fires at `threshold`."""
        loud = np.flatnonzero(self.scores[:, index] >= threshold)
        if not len(loud):
            return 0
        trigger = Trigger([threshold], refractory_frames)
        state, fired = trigger.init_state(), 0
        for i in loud:
            one = slice(index, index + 1)
            keywords, state = trigger.step(self.scores[i, one], self.ages[i, one], int(self.frames[i]), state)
            fired += len(keywords)
        return fired


@dataclass(frozen=True)
class KeywordRates:
    """Counts of one keyword at one threshold."""

    keyword: str
    threshold: float
    positives: int
    misses: int
    false_accepts: int
    hours: float


def hours(recordings: Sequence[Recording]) -> float:
    """Length of recordings."""
    return sum(r.samples for r in recordings) / SAMPLE_RATE / 3600


def det(
    recordings: Sequence[Recording], keywords: Sequence[str], index: int, refractory_frames: int
) -> Iterator[KeywordRates]:
    """The operating points of keyword `index`, from the highest threshold down, counted when they are asked for.

    Positives are the recordings of the keyword, a miss is one in which it never fires. Negatives are the recordings of
    no keyword and of other keywords; their events are false accepts, after the refractory. The thresholds are the peaks
    of all scores: where an event or a hit appears.
    """
    name = keywords[index]
    positives = [r for r in recordings if r.keyword == name]
    negatives = [r for r in recordings if r.keyword != name]
    best = np.array([r.scores[:, index].max(initial=0.0) for r in positives])
    loud = [(r, r.scores[:, index].max(initial=0.0)) for r in negatives]
    total = hours(negatives)
    for threshold in np.unique(np.concatenate([[FLOOR], best, *(r.peaks(index) for r in negatives)]))[::-1]:
        if threshold >= FLOOR:
            yield KeywordRates(
                name,
                float(threshold),
                len(positives),
                int((best < threshold).sum()),
                sum(r.events(index, float(threshold), refractory_frames) for r, top in loud if top >= threshold),
                total,
            )


def at_rate(points: Iterable[KeywordRates], fa_per_hour: float) -> KeywordRates:
    """The counts at the lowest threshold with at most `fa_per_hour`, no higher one having more.

    points: from the highest threshold down. The threshold returned lies just above the first score that is too many.
    """
    chosen = None
    for point in points:
        if point.false_accepts > fa_per_hour * point.hours:
            if chosen is None:
                chosen = replace(point, misses=point.positives, false_accepts=0)
            return replace(chosen, threshold=min(1.0, float(np.nextafter(point.threshold, 2.0))))
        chosen = point
    if chosen is None:
        raise ValueError("no operating points")
    return chosen


def at_threshold(points: Sequence[KeywordRates], threshold: float) -> KeywordRates:
    """The counts at any threshold from FLOOR up, from points as `det` gives them: those of the next higher one."""
    reached = [point for point in points if point.threshold >= threshold]
    if reached:
        return replace(reached[-1], threshold=threshold)
    return replace(points[0], threshold=threshold, misses=points[0].positives, false_accepts=0)


def rates_at(
    recordings: Sequence[Recording], keywords: Sequence[str], fa_per_hour: float, refractory_frames: int
) -> list[KeywordRates]:
    """Each keyword's counts at its own threshold for `fa_per_hour`."""
    return [at_rate(det(recordings, keywords, index, refractory_frames), fa_per_hour) for index in range(len(keywords))]
