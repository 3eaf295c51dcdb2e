"""WaitBound: while a stream waits nothing can happen, whatever comes; or only in the last third, to who speaks fast."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decoding.scorer import KeywordScorer
from kws.decoding.wait_bound import WaitBound

TOKENS = 5
LIMITS = {"max_duration_frames": 20, "max_gap_frames": 6}

spellings = st.lists(st.lists(st.integers(1, TOKENS - 1), min_size=1, max_size=6), min_size=1, max_size=2)
keywords = st.lists(st.tuples(spellings, st.floats(0.01, 1.0)), min_size=1, max_size=3)


def pair(words, peak_weight=1.0):
    """A scorer, and the wait_bound for it."""
    flat = [spelling for own, _ in words for spelling in own]
    owner = [k for k, (own, _) in enumerate(words) for _ in own]
    scorer = KeywordScorer(flat, owner, peak_weight=peak_weight, **LIMITS)
    return scorer, WaitBound([own for own, _ in words], [limit for _, limit in words], peak_weight)


def posteriors(seed, frames, sharpness):
    logits = sharpness * np.random.default_rng(seed).standard_normal((frames, TOKENS))
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@settings(max_examples=200, deadline=None)
@given(keywords, st.integers(0, 2**32 - 1), st.sampled_from([0.5, 2.0, 8.0, 30.0]), st.floats(0.0, 2.0))
def test_nothing_fires_in_the_first_two_thirds_of_what_may_be_waited_for(words, seed, sharpness, peak_weight):
    scorer, wait_bound = pair(words, peak_weight)
    thresholds = np.array([limit for _, limit in words])
    state, quiet = scorer.init_state(), 0
    for row in posteriors(seed, 60, sharpness):
        scores, _, state = scorer.step(row, state)
        assert quiet <= 0 or not (scores >= thresholds).any()
        waits = wait_bound.frames(state)
        quiet = max(quiet - 1, -(-2 * waits // 3) - 1, waits - 1 if waits <= 3 else 0)
        assert waits >= 1


def sure(*labels):
    """Log-posteriors that leave no doubt."""
    return np.log(np.where(np.arange(TOKENS) == np.array(labels)[:, None], 1 - 1e-12 * TOKENS, 1e-12))


def test_a_word_said_as_fast_as_can_be_is_met_in_its_very_frame():
    scorer, wait_bound = pair([([[1, 2, 3, 4]], 0.5)])
    left, state = [], scorer.init_state()
    for row in sure(1, 2, 3, 4, 0, 0):
        left.append(wait_bound.frames(state))
        state = scorer.step(row, state)[2]
    assert left == [6, 3, 2, 1, 1, 6]  # the last label may be held, and then the path is over


def test_in_silence_a_keyword_is_as_far_away_as_its_labels_last_and_no_keyword_a_second():
    scorer, wait_bound = pair([([[1, 2, 3, 4], [1, 2, 3, 4, 1]], 0.5), ([[4, 3, 2, 1, 2]], 0.5)])
    _, _, state = scorer.score(sure(*[0] * 30))
    assert wait_bound.frames(state) == 6
    assert WaitBound([], [], 1.0).frames(KeywordScorer([], [], **LIMITS).init_state()) == 25


def test_a_path_that_has_lost_too_much_is_not_waited_on():
    scorer, wait_bound = pair([([[1, 2, 3]], 0.9)])
    _, _, state = scorer.score(sure(1))
    assert wait_bound.frames(state) == 2
    _, _, state = scorer.score(sure(4), state)
    assert wait_bound.frames(state) == 3
