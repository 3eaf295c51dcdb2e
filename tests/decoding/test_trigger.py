"""The trigger against a slow reference, and at its borders."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decoding.trigger import Trigger


def fires(scores, ages=None, thresholds=(0.5,), refractory=3, first=0):
    """The (frame, keyword) pairs of events, scores (T, K)."""
    scores = np.array(scores, np.float64).reshape(len(scores), -1)
    ages = np.ones(scores.shape, np.int64) if ages is None else np.array(ages).reshape(scores.shape)
    trigger = Trigger(thresholds, refractory)
    events, _ = trigger.run(scores, ages, first, trigger.init_state())
    return events


def test_the_first_frame_at_the_threshold_is_the_event():
    assert fires([0.4, 0.49, 0.5, 0.9, 0.4]) == [(2, 0)]


def test_a_new_event_comes_no_sooner_than_the_refractory_time():
    assert fires([0.9] * 8) == [(0, 0), (3, 0), (6, 0)]
    assert fires([0.9, 0, 0.9, 0.8, 0.7]) == [(0, 0), (3, 0)]
    assert fires([0.9, 0.9], refractory=0) == [(0, 0), (1, 0)]


def test_a_path_that_has_fired_does_not_fire_again():
    held = [[2], [3], [4], [5], [6], [7]]
    assert fires([0.9] * 6, held) == [(0, 0)]
    renewed = [[2], [3], [4], [4], [5], [6]]  # in frame 3 a path that began one frame later
    assert fires([0.9] * 6, renewed) == [(0, 0), (3, 0)]


def test_keywords_have_their_own_thresholds_and_do_not_silence_each_other():
    scores = [[0.6, 0.6], [0.6, 0.8], [0.9, 0.9]]
    assert fires(scores, thresholds=(0.5, 0.7)) == [(0, 0), (1, 1)]


def test_events_of_one_frame_come_in_the_order_of_keywords():
    assert fires([[0, 0], [0.9, 0.9]], thresholds=(0.5, 0.5)) == [(1, 0), (1, 1)]


def test_what_is_not_a_number_is_not_an_event():
    assert fires([np.nan, 0.0]) == []


def test_the_count_of_frames_may_be_that_of_years():
    assert fires([0.9] * 4, first=10**12) == [(0, 0), (3, 0)]


def test_a_state_is_left_alone():
    trigger = Trigger([0.5], 3)
    state = trigger.init_state()
    loud, age = np.array([0.9]), np.array([1])
    fired, after = trigger.step(loud, age, 0, state)
    again, _ = trigger.step(loud, age, 1, state)
    muted, _ = trigger.step(loud, age, 1, after)
    assert (fired, again, muted) == ([0], [0], [])


def slow_reference(scores, ages, thresholds, refractory):
    last = {}
    for frame, (row, row_ages) in enumerate(zip(scores, ages, strict=True)):
        for keyword, (score, age) in enumerate(zip(row, row_ages, strict=True)):
            began = frame + 1 - age
            before = last.get(keyword)
            new = before is None or (frame - before[0] >= refractory and began > before[1])
            if score >= thresholds[keyword] and new:
                last[keyword] = frame, began
                yield frame, keyword


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=60, deadline=None)
def test_equals_a_slow_reference_however_the_stream_is_cut(seed, refractory, cuts):
    rng = np.random.default_rng(seed)
    scores, ages = rng.random((40, 2)), rng.integers(1, 12, (40, 2))
    thresholds = [0.6, 0.8]
    wanted = list(slow_reference(scores.tolist(), ages.tolist(), thresholds, refractory))
    trigger = Trigger(thresholds, refractory)
    state, frame, events = trigger.init_state(), 0, []
    borders = [0, *sorted(cuts), 40]
    for begin, end in itertools.pairwise(borders):
        fired, state = trigger.run(scores[begin:end], ages[begin:end], frame, state)
        events += [(frame + row, keyword) for row, keyword in fired]
        frame += end - begin
    assert events == wanted
