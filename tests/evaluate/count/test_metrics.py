"""Counting events: against a plain count, at every threshold."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.errors import KwsError
from kws.evaluate.count.matching import Counting, end_samples, events, match, windows
from kws.evaluate.count.metrics import SAFETY_MARGIN, at_rate, count, det, rates_at
from kws.evaluate.count.thresholds import expected_points, operating_points
from kws.evaluate.replay.recording import FLOOR, Label, Replayed, TestItem
from kws.evaluate.report.build import accepts_at

HOUR = 16_000 * 3600
FRAME = 640
COUNTING = Counting(refractory_frames=5, frame_samples=FRAME, late_samples=2 * FRAME)
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def recording(text, scores, samples=HOUR, labels=None) -> Replayed:
    scores = np.array(scores, float)
    source = TestItem(Path(), "", "negative", (Label(text),) if labels is None else tuple(labels))
    return Replayed.of(source, samples, scores, np.ones(scores.shape, np.int64))


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
    assert counted == {0.01: (1, 3), 0.5: (1, 3), 0.55: (2, 3), 0.7: (2, 2), 0.8: (2, 1), 0.9: (3, 1), 1.0: (3, 0)}
    assert points[0].threshold == 1.0 and points[0].positives == 3 and points[0].hours == pytest.approx(2)
    assert at_rate(points, 1.0).threshold == pytest.approx(0.55 + SAFETY_MARGIN)
    assert at_rate(points, 0.5).threshold == pytest.approx(0.7 + SAFETY_MARGIN)
    assert at_rate(points, 0.0).threshold == pytest.approx(0.9 + SAFETY_MARGIN)
    assert (at_rate(points, 0.0).misses, at_rate(points, 0.0).false_accepts) == (3, 0)
    assert at_rate(points, 9.0).threshold == FLOOR
    for threshold, counts in [(0.58, (2, 2)), (0.95, (3, 0)), (0.65, (2, 2)), (0.3, (1, 3))]:
        (point,) = count(recordings, ["a"], 0, [threshold], COUNTING)
        assert (point.misses, point.false_accepts) == counts
    assert rates_at(recordings, ["a"], 1.0, COUNTING)[0].misses == 2


def test_a_certain_false_accept_is_excluded_too():
    points = det([recording("", [[1.0], [0.5]])], ["a"], 0, COUNTING)
    assert [(p.threshold > 1, p.false_accepts) for p in points] == [(True, 0), (False, 1), (False, 1)]
    assert at_rate(points, 0.0).threshold > 1.0


def test_a_threshold_between_two_near_scores_is_in_the_middle():
    recordings = [recording("", [[0.5]]), recording("", [[0.51]])]
    assert at_rate(det(recordings, ["a"], 0, COUNTING), 0.5).threshold == pytest.approx(0.505)


def test_a_refractory_that_ends_earlier_changes_counts_where_there_is_no_peak():
    ramp = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.95, 0.95]
    points = det([recording("", [[score] for score in ramp])], ["a"], 0, COUNTING)
    assert [(p.threshold, p.false_accepts) for p in points] == [(1.0, 0), (0.95, 1), (0.6, 2), (FLOOR, 2)]


LEVELS = st.sampled_from([0.0, FLOOR, 0.02, *np.linspace(0.1, 1.0, 12).tolist()])
TRACKS = st.lists(st.tuples(LEVELS, st.integers(1, 6)), min_size=1, max_size=60)
SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 6), st.sampled_from(["a", "b a"])), max_size=3)


@given(st.lists(st.tuples(TRACKS, SPANS | st.just(None)), min_size=1, max_size=3), st.floats(0.0, 8.0))
@settings(max_examples=300, deadline=None)
def test_the_curve_is_that_of_every_threshold_there_is(tracks, rate):
    recordings = []
    for track, spans in tracks:
        labels = {Label(text, start=s * FRAME, end=(s + n) * FRAME) for s, n, text in spans or []}
        source = TestItem(Path(), "", "negative", tuple(labels) if spans is not None else (Label("a"),))
        scores, ages = (np.array(column)[:, None] for column in zip(*track, strict=True))
        recordings.append(Replayed.of(source, HOUR, scores, ages))

    def plain(threshold: float) -> tuple[int, int, int]:
        misses = accepts = repeats = 0
        for one in recordings:
            found = windows(one.item, "a", COUNTING)
            rows = events(one, 0, threshold, COUNTING)
            verdict = match(end_samples(one, rows, COUNTING), found)
            misses += sum(window.label is not None for window in found) - len(verdict.hits)
            accepts, repeats = accepts + len(verdict.false_accepts), repeats + len(verdict.repeats)
        return misses, accepts, repeats

    levels = np.unique(np.concatenate([[FLOOR, 1.1], *(r.scores[:, 0] for r in recordings)]))
    levels = levels[levels >= FLOOR]
    points = det(recordings, ["a"], 0, COUNTING)
    for threshold in [*levels, *(levels[1:] + levels[:-1]) / 2]:
        held = [point for point in points if point.threshold >= threshold]
        nothing = (points[0].positives, 0, 0)  # above the first point
        expected = (held[-1].misses, held[-1].false_accepts, held[-1].repeats) if held else nothing
        assert plain(threshold) == expected
    chosen = at_rate(points, rate)
    assert plain(chosen.threshold) == (chosen.misses, chosen.false_accepts, chosen.repeats)
    assert chosen.false_accepts <= rate * chosen.hours
    for shuffled in (levels, levels[::-1]):
        counted = count(recordings, ["a"], 0, shuffled, COUNTING)
        assert [(p.misses, p.false_accepts, p.repeats) for p in counted] == [plain(t) for t in shuffled]


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
    SCORES,
    st.lists(st.integers(1, 12), min_size=40, max_size=40),
    st.lists(st.floats(FLOOR, 1), min_size=1, max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_the_false_accepts_of_each_threshold_are_listed(scores, ages, thresholds):
    """As many as are counted, with their peaks; and never more rows than events."""
    word = Label("a", start=3 * FRAME, end=8 * FRAME)
    source = TestItem(Path(), "", "positive", (word,))
    column = np.array(scores)[:, None]
    heard = Replayed.of(source, HOUR, column, np.array(ages[: len(scores)])[:, None])
    found = windows(source, "a", COUNTING)
    listed = accepts_at(heard, 0, found, thresholds, COUNTING)
    assert list(listed) == sorted(listed)
    for number, threshold in enumerate(thresholds):
        (point,) = count([heard], ["a"], 0, [threshold], COUNTING)
        here = [rows[number] for rows in listed.values() if rows[number] is not None]
        assert len(here) == point.false_accepts and all(score >= threshold for score in here)
        rows = events(heard, 0, threshold, COUNTING)
        wrong = match(end_samples(heard, rows, COUNTING), found).false_accepts
        after = [(heard.frames >= heard.frames[rows[event]]) & (heard.scores[:, 0] > 0) for event in wrong]
        until = [heard.frames[rows[event]] + COUNTING.refractory_frames for event in wrong]
        peaks = [heard.scores[rest & (heard.frames < end), 0].max() for rest, end in zip(after, until, strict=True)]
        assert here == peaks
    assert all(any(score is not None for score in rows) for rows in listed.values())


def test_a_false_accept_that_a_higher_threshold_hears_later_is_one():
    heard = recording("", [[0.0], [0.3], [0.7], [0.0]] + [[0.0]] * 8 + [[0.5]])
    assert accepts_at(heard, 0, [], [0.6, 0.2], COUNTING) == {0: [0.7, 0.7], 2: [None, 0.5]}


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


def system(default: float = 0.3):
    """A system of one keyword, as far as choosing a threshold looks at it."""
    scoring = SimpleNamespace(default_threshold=default)
    info = SimpleNamespace(scoring=scoring)
    shape = {"refractory_frames": COUNTING.refractory_frames, "frame_samples": FRAME}
    return SimpleNamespace(keywords=["a"], detector=SimpleNamespace(info=info), **shape)


class TestExpectedPoints:
    """A threshold for a rate from audio in which hardly an event is due."""

    # peaks whose log-odds have an exponential tail, and one that stands out
    HEARD = (0.9, *(1 / (1 + np.exp(3.5 + 0.6 * np.log(np.arange(0.5, 40) / 40)))))

    def recordings(self, hours: float):
        each = int(hours * HOUR / len(self.HEARD))
        return [recording("b", [[score]], each) for score in self.HEARD]

    def test_one_event_is_allowed_where_the_rate_makes_one_likely(self):
        (strict,) = operating_points(system(), self.recordings(1.3), 0.5)
        (expected,) = expected_points(system(), self.recordings(1.3), 0.5)
        assert strict.false_accepts == 0 and strict.threshold > 0.6
        assert expected.false_accepts == 1 and max(self.HEARD[1:]) < expected.threshold < 0.9

    def test_without_an_event_due_the_threshold_is_above_all(self):
        (expected,) = expected_points(system(), self.recordings(0.9), 0.5)
        assert expected.false_accepts == 0 and expected.threshold > 0.9

    def test_audio_that_cannot_tell_leaves_the_default(self):
        (silent,) = expected_points(system(0.35), [recording("b", [[0.0]], HOUR)], 0.5)
        (short,) = expected_points(system(0.95), self.recordings(0.2), 0.5)
        assert (silent.threshold, short.threshold) == (0.35, 0.95)

    def test_no_false_accept_means_none(self):
        (expected,) = expected_points(system(), self.recordings(1.3), 0.0)
        assert expected.false_accepts == 0 and expected.threshold > 0.9

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.1, 30), st.floats(0.1, 10))
    def test_no_more_events_than_promised_to_the_nearest(self, heard, hours, rate):
        recordings = [recording("b", [[score]], int(hours * HOUR / len(heard))) for score in heard]
        (expected,) = expected_points(system(), recordings, rate)
        default, certain = expected.threshold == 0.3, expected.threshold == 1.0  # no threshold is above a score of 1
        assert default or certain or expected.false_accepts <= rate * expected.hours + 0.5
