"""Counting events: against a plain count, at every threshold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.evaluate.metrics import FLOOR, Recording, at_rate, at_threshold, det, rates_at
from kws.evaluate.report import poisson, rates_table, wilson

HOUR = 16_000 * 3600
REFRACTORY = 5


def recording(keyword, scores, samples=HOUR) -> Recording:
    scores = np.array(scores, float)
    return Recording.of(scores, np.ones(scores.shape, np.int64), samples, keyword)


def test_known_events_give_known_rates():
    loud = [[0.0]] * 3 + [[0.9]] + [[0.0]] * 10 + [[0.6]] + [[0.7]] + [[0.0]] * 3  # 0.6 and 0.7: one utterance
    recordings = [
        recording("a", [[0.0], [0.8], [0.0]]),
        recording("a", [[0.5]]),
        recording("a", [[0.0]]),
        recording(None, loud),
        recording("b", [[0.55]]),
    ]
    points = list(det(recordings, ["a"], 0, REFRACTORY))
    counted = {round(p.threshold, 3): (p.misses, p.false_accepts) for p in points}
    assert counted == {0.01: (1, 3), 0.5: (1, 3), 0.55: (2, 3), 0.7: (2, 2), 0.8: (2, 1), 0.9: (3, 1)}
    assert points[0].threshold == 0.9 and points[0].positives == 3 and points[0].hours == pytest.approx(2)
    assert at_rate(points, 1.0).threshold == pytest.approx(0.55) and at_rate(points, 1.0).threshold > 0.55
    assert at_rate(points, 0.5).threshold == pytest.approx(0.7)
    assert at_rate(points, 0.0).misses == 3
    assert at_threshold(points, 0.58).false_accepts == 2 and at_threshold(points, 0.95).misses == 3
    assert rates_at(recordings, ["a"], 1.0, REFRACTORY)[0].misses == 2


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=40), min_size=1, max_size=4),
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=40), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_every_point_agrees_with_a_plain_count(positives, negatives):
    recordings = [recording("a", [[s] for s in x]) for x in positives]
    recordings += [recording(None, [[s] for s in x]) for x in negatives]
    for point in det(recordings, ["a"], 0, REFRACTORY):
        assert point.misses == sum(max(x) < point.threshold or max(x) <= FLOOR for x in positives)
        fires = 0
        for x in negatives:
            last = -REFRACTORY
            for frame, s in enumerate(x):
                if s >= point.threshold and s > FLOOR and frame - last >= REFRACTORY:
                    fires, last = fires + 1, frame
        assert point.false_accepts == fires


def test_intervals_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    for count, total in [(0, 10), (3, 40), (40, 40), (43, 307)]:
        expected = stats.binomtest(count, total).proportion_ci(method="wilson")
        assert wilson(count, total) == pytest.approx((expected.low, expected.high))
    assert poisson(0, 1.4)[1] * 1.4 == pytest.approx(3.688879, abs=1e-5)
    assert poisson(5, 10.0) == pytest.approx((0.16235, 1.16683), abs=1e-4)


def test_the_table_gives_raw_counts_and_hours():
    points = list(det([recording("a", [[0.9]]), recording(None, [[0.2]])], ["a"], 0, REFRACTORY))
    table = rates_table([at_threshold(points, 0.5)])
    assert "0/1" in table and "0 in 1.00 h" in table and "(0.00 to 3.69)" in table
