"""A threshold for a rate of false accepts from the few peaks that hours of speech give.

Half a false accept an hour is one event in two hours, and a threshold that rests on one
event is chance. So the threshold is read off the tail of the peaks instead: the
log-odds of the highest peaks exceed a level by amounts that are nearly exponential, and
their mean excess says how fast events become rare (the method of peaks over threshold:
Pickands 1975, Davison and Smith 1990, with the shape 0; on this scale it is Hill's
estimator, 1975). Where more sounds alike than that rate allows, and stands out of the
tail, the threshold is above it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kws.arrays import Float64Array

_TAIL = 30  # peaks; thresholds from fewer vary more, and promise too much: see recipes/phones/RESULTS.md


class Tail(NamedTuple):
    """threshold: in (0, 1). events: the number of peaks above the score `level`, from
    which the threshold was read off.
    """

    threshold: float
    events: int
    level: float


def tail_of(scores: Sequence[float], hours: float, fa_per_hour: float, least: float) -> Tail:
    """The threshold that peaks of other speech exceed `fa_per_hour` times an hour.

    scores: of the peaks in `hours` of speech, the highest first, all those above the
    score `least`. fa_per_hour: above 0. At the threshold `scores` themselves have no
    more events than that rate allows, rounded to a whole number: one in 1.74 h at 0.5.
    """
    allowed = fa_per_hour * hours
    known = [*scores, least]
    first_too_many = known[min(math.floor(allowed + 0.5), len(scores))]
    events = min(_TAIL, len(scores))
    threshold = float(np.nextafter(first_too_many, 1.0))
    if allowed < events:
        log_odds = _log_odds(known[: events + 1])
        excess = float((log_odds[:-1] - log_odds[-1]).mean())
        reached = float(log_odds[-1]) + excess * math.log(events / allowed)
        threshold = max(threshold, 1 / (1 + math.exp(-reached)))
    return Tail(threshold, events, known[events])


def _log_odds(scores: Sequence[float]) -> Float64Array:
    clipped = np.clip(np.asarray(scores, np.float64), 1e-9, 1 - 1e-9)
    return np.log(clipped / (1 - clipped))
