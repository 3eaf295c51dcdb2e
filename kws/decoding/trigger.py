"""From scores to events: a threshold per keyword, one event per utterance.

T frames, K keywords. Frames are counted since the stream began.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Float64Array, IntArray

LEAST = 0.01  # no lower score counts: such scores come by the hundred an hour
_LONG_AGO = -(2**62)


class TriggerState(NamedTuple):
    """The state of a stream's trigger: each keyword's last event, both (K,).

    fired: the frame of the event. began: the frame in which the path that fired began.
    """

    fired: IntArray
    began: IntArray


def may_fire(frame: int, start: int, fired: int, began: int, refractory_frames: int) -> bool:
    """Whether a keyword may fire in `frame` for a path that begins in frame `start`.

    fired, began: of the keyword's last event, as in `TriggerState`.
    """
    return frame - fired >= refractory_frames and start > began


class Trigger:
    """Turns scores into events; immutable, so one serves any number of streams.

    A keyword fires in the first frame whose score reaches its threshold. It fires again
    no sooner than refractory_frames later, and only for a path that began after the one
    that fired: a held last sound keeps the old path alive, and is still the same
    utterance. Keywords do not silence each other.
    """

    def __init__(self, thresholds: Sequence[float], refractory_frames: int) -> None:
        self._thresholds = np.array(thresholds, np.float64)
        self._refractory = refractory_frames

    def init_state(self) -> TriggerState:
        """The state of a fresh stream: nothing has fired."""
        long_ago = np.full(self._thresholds.size, _LONG_AGO, np.int64)
        return TriggerState(long_ago, long_ago)

    def reached(self, scores: Float64Array) -> NDArray[np.bool_]:
        """Which scores (..., K) are at their keyword's threshold or above."""
        return scores >= self._thresholds

    def step(
        self, scores: Float64Array, ages: IntArray, frame: int, state: TriggerState
    ) -> tuple[list[int], TriggerState]:
        """The keywords that fire in one frame: `run` for scores and ages of shape
        (K,).
        """
        fired, state = self.run(scores[None], ages[None], frame, state)
        return [keyword for _, keyword in fired], state

    def run(
        self, scores: Float64Array, ages: IntArray, frame: int | IntArray, state: TriggerState
    ) -> tuple[list[tuple[int, int]], TriggerState]:
        """The events of consecutive frames from number `frame` on, or of the frames
        with the numbers `frame` (T,).

        scores, ages: (T, K) as `KeywordScorer.score` gives them. Returns pairs (row of
        the chunk, keyword) in order of time, and the new state.
        """
        loud = self.reached(scores)
        if not loud.any():
            return [], state
        fired, began = state.fired.copy(), state.began.copy()
        events = []
        for row, keyword in np.argwhere(loud).tolist():
            now = frame + row if isinstance(frame, int) else int(frame[row])
            start = now + 1 - int(ages[row, keyword])
            if may_fire(now, start, int(fired[keyword]), int(began[keyword]), self._refractory):
                fired[keyword], began[keyword] = now, start
                events.append((row, keyword))
        return events, TriggerState(fired, began)
