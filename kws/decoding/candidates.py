"""Candidates of the first pass: the frames in which a keyword's score peaks.

In a model of two passes the first one only proposes. A frame is a candidate where the
keyword's score is at least the floor, higher than in the frames before it and not
exceeded in those after it, `hold_frames` on each side. So it is decided `hold_frames`
later, when the last sound of the word has passed; that is the moment in which the
verifier hears it.

T frames, K keywords.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kws.arrays import Float64Array, IntArray


class Candidate(NamedTuple):
    """A peak of the first pass's score for `keyword`, an index.

    row: the frame, counted in those given, that decides the peak; the peak lies
    `hold_frames` before it. score: of the peak. age: frames from the begin of its path
    to the frame `row`, both included.
    """

    row: int
    keyword: int
    score: float
    age: int


class CandidateState(NamedTuple):
    """The state of a stream's search for candidates: the scores and ages (2 *
    hold_frames, K) of its last frames.
    """

    scores: Float64Array
    ages: IntArray


class CandidateFinder:
    """Finds the candidates in a stream of scores; immutable, so one serves any number
    of streams.

    keywords: K. floor: the least score of a candidate, above 0. hold_frames: from a
    peak to the frame that decides it.
    """

    def __init__(self, keywords: int, floor: float, hold_frames: int) -> None:
        self._floor = floor
        self._hold = hold_frames
        shape = (2 * hold_frames, keywords)
        self._quiet = CandidateState(np.zeros(shape), np.zeros(shape, np.int64))

    def init_state(self) -> CandidateState:
        """The state of a fresh stream: nothing was heard."""
        return self._quiet

    def run(
        self, scores: Float64Array, ages: IntArray, state: CandidateState
    ) -> tuple[list[Candidate], CandidateState]:
        """The candidates that T frames decide, in order of time, and the new state.

        scores, ages: (T, K) as `KeywordScorer.score` gives them. How a stream is cut
        into frames changes no candidate.
        """
        loudest = max(scores.max(initial=0.0), state.scores[self._hold :].max(initial=0.0))
        if (
            loudest < self._floor
        ):  # nearly always; scores below the floor never hide a candidate, so zeros serve as well
            return [], self._quiet
        first = len(state.scores)
        scores, ages = np.concatenate([state.scores, scores]), np.concatenate([state.ages, ages])
        kept = slice(len(scores) - first, None)
        return self._peaks(scores, ages, first), CandidateState(scores[kept], ages[kept])

    def frames_to_decide(self, state: CandidateState) -> int | None:
        """The frame, counted from 1, in which the oldest possible candidate after
        `state` is decided; None where no score of the last `hold_frames` can be one: a
        peak so far that reaches the floor.
        """
        hold, scores = self._hold, state.scores
        if scores[hold:].max(initial=0.0) < self._floor:
            return None
        for row in range(hold):
            at = hold + row
            least = np.maximum(scores[at + 1 :].max(axis=0, initial=0.0), self._floor)
            if ((scores[at] >= least) & (scores[at] > scores[at - hold : at].max(axis=0, initial=0.0))).any():
                return row + 1
        return None

    def _peaks(self, scores: Float64Array, ages: IntArray, first: int) -> list[Candidate]:
        hold, found = self._hold, []
        peaks = scores[first - hold : len(scores) - hold]  # those that the new frames decide
        for row, keyword in np.argwhere(peaks >= self._floor).tolist():
            at = first - hold + row
            around = scores[at - hold : at + hold + 1, keyword]
            score = around[hold]
            if (around[:hold] < score).all() and (around[hold + 1 :] <= score).all():
                found.append(Candidate(row, keyword, float(score), int(ages[at, keyword]) + hold))
        return found
