"""The wait bound: how many frames must pass before the next event is possible.

A path's log-likelihood ratio can only fall, and the best log-posteriors of its finished
labels are fixed (see viterbi.py). So the current score of a path gives an upper bound
on the score that it can still reach, and a path needs at least one frame for each label
that it lacks. The least number of frames over all paths that can still reach their
threshold, and over keywords that nobody has begun to say, is how long no event is
possible.

Where more than three labels are missing, each is taken to last a frame and a half (60
ms) on average. A keyword that is said faster is heard, with the same score, up to a
third of the wait later.

U labels of a spelling, Q states of all spellings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kws.decoding.scorer import ScorerState
from kws.decoding.viterbi import DONE, LLR

_MOST_FRAMES = 25  # a second; also where there is no keyword
_ROUNDING = 1e-6  # of sums of logarithms


class WaitBound:
    """The wait bound of the keywords and thresholds of a detector; immutable, shared by
    all streams.

    spellings: of each keyword, sequences of labels; the order is that of the scorer's
    states.
    """

    def __init__(
        self, spellings: Sequence[Sequence[Sequence[object]]], thresholds: Sequence[float], peak_weight: float
    ) -> None:
        labels = [(len(spelling), limit) for own, limit in zip(spellings, thresholds, strict=True) for spelling in own]
        self._peak_weight = peak_weight
        self._fresh = min([_MOST_FRAMES, *(_frames(count) for count, _ in labels)])
        # state 2 u is label u, 2 u + 1 the blank after it; in the last label the next frame may be the better one
        missing = [max(1, n - 1 - i // 2) for n, _ in labels for i in range(2 * n - 1)]
        self._frames = np.array([_frames(count) for count in missing], np.int64)
        self._least = np.array([n * np.log(limit) for n, limit in labels for _ in range(2 * n - 1)]) - _ROUNDING

    def frames(self, state: ScorerState) -> int:
        """The frame, counted from 1, in which the next event is possible after `state`,
        which is that of one stream.

        No score reaches its threshold in the first two thirds of the frames before that
        one. In the last third a score reaches it only where more than three labels are
        said in less than a frame and a half each.
        """
        paths = state.paths[0, :-2]
        best = paths[:, DONE] * self._peak_weight
        best += paths[:, LLR]
        alive = self._frames[best >= self._least]
        return min(self._fresh, int(alive.min(initial=_MOST_FRAMES)))


def _frames(labels: int) -> int:
    """The least number of frames that so many labels are taken to last."""
    return labels if labels <= 3 else 3 * labels // 2
