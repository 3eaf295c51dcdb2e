"""How long a stream may wait before its next frames are scored, without any event coming later for it.

What a path has lost it does not win back: its LLR never rises, and the best log-posteriors of its finished labels stand
(see `kws.chains`). So the score that a path can still reach is known, if all that follows were perfect, and each label
that it lacks takes a frame at least. A keyword that nobody has begun to say is as many frames away as it has labels.

U labels of a spelling, S states of all chains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kws.chains import DONE, LLR
from kws.scoring import ScorerState

_MOST_FRAMES = 25  # a second: who listens for nothing looks up as often
_ROUNDING = 1e-6  # of sums of logarithms


class Patience:
    """For the keywords and thresholds of a detector; immutable, so one serves any number of streams.

    spellings: of each keyword, sequences of labels; the order is that of the scorer's states.
    """

    def __init__(
        self, spellings: Sequence[Sequence[Sequence[object]]], thresholds: Sequence[float], peak_weight: float
    ) -> None:
        labels = [(len(spelling), limit) for own, limit in zip(spellings, thresholds, strict=True) for spelling in own]
        self._peak_weight = peak_weight
        self._fresh = min([_MOST_FRAMES, *(count for count, _ in labels)])
        # state 2 u is label u, 2 u + 1 the blank after it; in the last label the next frame may be the better one
        self._frames = np.array([max(1, n - 1 - i // 2) for n, _ in labels for i in range(2 * n - 1)], np.int64)
        self._least = np.array([n * np.log(limit) for n, limit in labels for _ in range(2 * n - 1)]) - _ROUNDING

    def frames(self, state: ScorerState) -> int:
        """The number of the next frame, from 1, in which an event is possible after `state`, that of one stream.

        No score reaches its threshold in the frames before it.
        """
        paths = state.paths[0, :-2]
        best = paths[:, DONE] * self._peak_weight
        best += paths[:, LLR]
        alive = self._frames[best >= self._least]
        return min(self._fresh, int(alive.min(initial=_MOST_FRAMES)))
