"""Counting events: against a plain count, at every threshold."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.errors import KwsError
from kws.evaluate.matching import Counting
from kws.evaluate.metrics import at_rate, count, det, rates_at
from kws.evaluate.recording import FLOOR, Label, Recording, Source

HOUR = 16_000 * 3600
FRAME = 640
COUNTING = Counting(refractory_frames=5, frame_samples=FRAME, late_samples=2 * FRAME)
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def recording(text, scores, samples=HOUR, labels=None) -> Recording:
    scores = np.array(scores, float)
    source = Source(Path(), "", "negative", (Label(text),) if labels is None else tuple(labels))
    return Recording.of(source, samples, scores, np.ones(scores.shape, np.int64))


def test_known_events_give_known_rates():
    loud = [[0.0]] * 3 + [[0.9]] + [[0.0]] * 10 + [[0.6]] + [[0.7]] + [[0.0]] * 3  # 0.6 and 0.7: one utterance
    recordings = [
        recording("a", [[0.0], [0.8], [0.0]]),
        recording("a", [[0.5]]),
        recording("a", [[0.0]]),
        recording("", loud),
        recording("b", [[0.55]]),
    ]
    points = det(recordings, ["a"], 0, COUNTING)
    counted = {round(p.threshold, 3): (p.misses, p.false_accepts) for p in points}
    assert counted == {0.01: (1, 3), 0.5: (1, 3), 0.55: (2, 3), 0.7: (2, 2), 0.8: (2, 1), 0.9: (3, 1)}
    assert points[0].threshold == 0.9 and points[0].positives == 3 and points[0].hours == pytest.approx(2)
    assert at_rate(points, 1.0).threshold == pytest.approx(0.55) and at_rate(points, 1.0).threshold > 0.55
    assert at_rate(points, 0.5).threshold == pytest.approx(0.7)
    assert at_rate(points, 0.0).misses == 3
    for threshold, counts in [(0.58, (2, 2)), (0.95, (3, 0)), (0.65, (2, 2)), (0.3, (1, 3))]:
        (point,) = count(recordings, ["a"], 0, [threshold], COUNTING)
        assert (point.misses, point.false_accepts) == counts
    assert rates_at(recordings, ["a"], 1.0, COUNTING)[0].misses == 2


def test_thresholds_below_what_is_kept_are_refused():
    with pytest.raises(KwsError, match="cannot be counted"):
        count([recording("a", [[0.5]])], ["a"], 0, [FLOOR / 2], COUNTING)


def fires(scores: list[float], threshold: float) -> list[int]:
    """The trigger as its docstring says it, for paths of one frame."""
    found, last = [], -COUNTING.refractory_frames
    for frame, score in enumerate(scores):
        if score >= threshold and frame - last >= COUNTING.refractory_frames:
            found.append(frame)
            last = frame
    return found


@given(st.lists(SCORES, min_size=1, max_size=4), st.lists(SCORES, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_point_agrees_with_a_plain_count(positives, negatives):
    recordings = [recording("a", [[s] for s in x]) for x in positives]
    recordings += [recording("", [[s] for s in x]) for x in negatives]
    for point in det(recordings, ["a"], 0, COUNTING):
        assert point.misses == sum(max(x) < point.threshold or max(x) <= FLOOR for x in positives)
        heard = [[s if s > FLOOR else 0.0 for s in x] for x in negatives]
        assert point.false_accepts == sum(len(fires(x, point.threshold)) for x in heard)


@given(
    SCORES.filter(lambda scores: len(scores) > 12),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), min_size=1, max_size=3),
    st.floats(FLOOR, 1),
)
@settings(max_examples=150, deadline=None)
def test_words_inside_a_stream_agree_with_a_plain_count(scores, spans, threshold):
    scores = [score if score > FLOOR else 0.0 for score in scores]
    labels = {Label("a", start=start * FRAME, end=(start + length) * FRAME) for start, length in spans}
    (point,) = count([recording("", [[s] for s in scores], labels=labels)], ["a"], 0, [threshold], COUNTING)
    times = [(frame + 1) * FRAME for frame in fires(scores, threshold)]
    open_words, accepts, repeats = sorted(labels, key=lambda label: (label.end, label.start)), 0, 0
    for time in times:
        around = [label for label in labels if label.start <= time <= label.end + COUNTING.late_samples]
        free = [label for label in open_words if label in around]
        if free:
            open_words.remove(free[0])
        elif around:
            repeats += 1
        else:
            accepts += 1
    assert (point.positives, point.misses, point.false_accepts, point.repeats) == (
        len(labels),
        len(open_words),
        accepts,
        repeats,
    )
