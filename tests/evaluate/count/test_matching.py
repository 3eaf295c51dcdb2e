"""Which events are hits: against an assignment that is best by definition, and by hand."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.evaluate.count.matching import Counting, Window, match, negative_samples, windows
from kws.evaluate.replay.recording import Label, Replayed, TestItem

COUNTING = Counting(refractory_frames=5, frame_samples=640)
SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), max_size=6)
WORD = Label("a")


def source(*labels: Label) -> TestItem:
    return TestItem(Path("x.wav"), "x.wav", "negative", labels)


def sorted_windows(spans, label=WORD) -> list[Window]:
    return sorted((Window(start, start + length, label) for start, length in spans), key=lambda w: (w.end, w.start))


@given(st.lists(st.integers(0, 260), max_size=8), SPANS)
@settings(max_examples=200, deadline=None)
def test_no_assignment_of_events_to_windows_has_more_hits(times, spans):
    times, found = sorted(times), sorted_windows(spans)
    verdict = match(times, found)
    fits = np.array([[w.start <= t <= w.end for w in found] for t in times], bool).reshape(len(times), len(found))
    assert len(verdict.hits) == largest_matching(fits)
    assert len({window for window, _ in verdict.hits}) == len({event for _, event in verdict.hits}) == len(verdict.hits)
    assert all(fits[event, window] for window, event in verdict.hits)
    inside = fits.any(axis=1) if len(found) else np.zeros(len(times), bool)
    assert verdict.false_accepts == np.flatnonzero(~inside).tolist()
    assert len(verdict.hits) + len(verdict.false_accepts) + len(verdict.repeats) == len(times)


def largest_matching(fits: np.ndarray) -> int:
    """By augmenting paths (Kuhn 1955)."""
    taken: dict[int, int] = {}

    def place(event: int, seen: set[int]) -> bool:
        for window in np.flatnonzero(fits[event]).tolist():
            if window not in seen:
                seen.add(window)
                if window not in taken or place(taken[window], seen):
                    taken[window] = event
                    return True
        return False

    return sum(place(event, set()) for event in range(len(fits)))


@given(SPANS, st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_negative_time_is_what_no_window_covers(spans, length):
    none = np.empty((0, 1))
    recording = Replayed.of(source(), length, none, none.astype(np.int64))
    found = sorted_windows(spans)
    outside = [t for t in range(length) if not any(w.start <= t < w.end for w in found)]
    assert negative_samples(recording, found) == len(outside)


def test_a_clip_is_one_window_and_a_span_ends_late():
    assert [w.label for w in windows(source(Label("a")), "a", COUNTING)] == [Label("a")]
    (window,) = windows(source(Label("a", start=1000, end=5000)), "a", COUNTING)
    assert (window.start, window.end) == (1000, 5000 + 12_000)
    assert windows(source(Label("b")), "a", COUNTING) == []


def test_a_sentence_with_the_keyword_in_it_is_neither_right_nor_wrong():
    found = windows(source(Label("say a now")), "a", COUNTING)
    assert match([640, 99_999], found) == ([], [], [])
    none = np.empty((0, 1))
    recording = Replayed.of(source(Label("say a now")), 16_000, none, none.astype(np.int64))
    assert negative_samples(recording, found) == 0
    assert windows(source(Label("say again")), "a", COUNTING) == []


def test_case_and_punctuation_hide_no_keyword():
    def found(*texts):
        return windows(source(*map(Label, texts)), "view glass", COUNTING)

    exact, part, possessive = (found(text)[0] for text in ("VIEW-GLASS!", "my view glass.", "View glass\u2019s"))
    assert exact.label is not None and part.label is None and possessive.label is None
    assert found("review glass") == []
