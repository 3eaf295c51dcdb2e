"""Candidates of the first pass: peaks, each decided a fixed time later, whatever the blocks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decoding.candidates import CandidateFinder

FLOOR = 0.1


def by_definition(scores: np.ndarray, hold: int) -> list[tuple[int, int, float]]:
    """(frame in which it is decided, keyword, score) of every candidate, by the words of the module."""
    found = []
    for frame in range(len(scores) - hold):
        for keyword, score in enumerate(scores[frame]):
            before = scores[max(0, frame - hold) : frame, keyword]
            after = scores[frame + 1 : frame + 1 + hold, keyword]
            if score >= FLOOR and all(b < score for b in before) and all(a <= score for a in after):
                found.append((frame + hold, keyword, score))
    return found


scores_of_a_stream = st.lists(
    st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.2, 0.6, 0.9]), min_size=2, max_size=2), min_size=1, max_size=60
)


@given(scores_of_a_stream, st.integers(0, 5), st.lists(st.integers(0, 60), max_size=8))
@settings(max_examples=200, deadline=None)
def test_candidates_are_the_peaks_however_the_stream_is_cut(rows, hold, cuts):
    scores = np.array(rows)
    ages = np.arange(scores.size).reshape(scores.shape)
    finder = CandidateFinder(2, FLOOR, hold)
    state, found, frame = finder.init_state(), [], 0
    for part in np.split(np.arange(len(scores)), sorted(cuts)):
        candidates, state = finder.run(scores[part], ages[part], state)
        for row, keyword, score, age in candidates:
            assert age == ages[frame + row - hold, keyword] + hold
            found.append((frame + row, keyword, score))
        frame += len(part)
    assert sorted(found) == sorted(by_definition(scores, hold))


@given(scores_of_a_stream, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_nothing_is_decided_sooner_than_was_said(rows, hold):
    scores = np.array(rows)
    ages = np.ones(scores.shape, np.int64)
    finder = CandidateFinder(2, FLOOR, hold)
    state = finder.init_state()
    soonest = None  # the frame, counted from 1, in which the next candidate may be decided
    for row in range(len(scores)):
        candidates, state = finder.run(scores[row : row + 1], ages[row : row + 1], state)
        if candidates:
            assert soonest is not None and soonest <= 1
        soonest = finder.frames_to_decide(state)


def test_a_score_below_the_floor_is_no_candidate_and_one_at_it_is():
    finder = CandidateFinder(1, FLOOR, 2)
    for score, wanted in ((0.0999, 0), (0.1, 1)):
        scores = np.array([[0.0], [score], [0.0], [0.0], [0.0]])
        found, _ = finder.run(scores, np.ones((5, 1), np.int64), finder.init_state())
        assert [(c.row, c.score) for c in found] == [(3, score)] * wanted
