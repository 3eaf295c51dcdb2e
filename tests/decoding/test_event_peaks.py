"""The peaks of events: what they are, that cuts change nothing, and what they say of thresholds."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decoding.event_peaks import EventPeaks
from kws.decoding.trigger import Trigger
from kws.events import Detection

LEVELS = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
SCORES = st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=40).map(lambda rows: np.array(rows, np.float64))


def fired(scores, thresholds, refractory):
    """(frame, keyword) of the events; every path is new, so that the refractory alone keeps one back."""
    trigger = Trigger(thresholds, refractory)
    return trigger.run(scores, np.ones(scores.shape, np.int64), 0, trigger.init_state())[0]


def heard(scores, events, refractory, cuts=()):
    """The settled events as (frame, keyword, peak) with the frames that were heard by then, in the order given."""
    peaks, found = EventPeaks(refractory), []
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(scores)]):
        here = [(frame - begin, keyword) for frame, keyword in events if begin <= frame < end]
        made = [Detection(str(k), float(scores[begin + r, k]), begin + r, begin + r + 1) for r, k in here]
        found += [(e.start, int(e.keyword), e.peak, end) for e in peaks.hear(made, here, scores[begin:end], begin)]
        assert peaks.is_open == any(b + max(1, refractory) > end for b, _ in events if b < end)
    return found + [(e.start, int(e.keyword), e.peak, None) for e in peaks.end()]


@given(SCORES, st.integers(0, 6), st.lists(st.integers(0, 40), max_size=5))
@settings(deadline=None)
def test_a_peak_is_the_best_score_until_the_keyword_may_fire_again_however_it_is_cut(scores, refractory, cuts):
    events = fired(scores, [0.2, 0.3], refractory)
    found = heard(scores, events, refractory, [min(cut, len(scores)) for cut in cuts])
    ends = [frame + max(1, refractory) for frame, _ in events]
    assert [(frame, keyword) for frame, keyword, *_ in found] == events
    for (frame, keyword, peak, after), end in zip(found, ends, strict=True):
        assert peak == scores[frame:end, keyword].max()
        assert after is None or after >= end
        assert (after is None) == (end > len(scores))


@given(SCORES, st.integers(1, 6))
@settings(deadline=None)
def test_of_an_event_alone_every_threshold_up_to_its_peak_fires_and_no_higher_one(scores, refractory):
    events = fired(scores, [0.2, 2.0], refractory)
    for frame, _, peak, _ in heard(scores, events, refractory):
        if any(0 < frame - other < 2 * refractory for other, _ in events):
            continue  # another event before it keeps the trigger silent, and a threshold moves that one, too
        own = range(frame, frame + refractory)
        for threshold in (0.2, 0.3, 0.5, 0.7, 0.9, 1.0):
            at = [f for f, _ in fired(scores, [threshold, 2.0], refractory) if f in own]
            assert len(at) == (threshold <= peak)
