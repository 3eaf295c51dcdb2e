"""The scorer against enumeration of every alignment, against a slow reference, and at its borders."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decoding.scorer import KeywordScorer, longest_path
from kws.errors import InputError
from posteriors import frames, log_softmax

UNLIMITED = {"max_duration_frames": 10**6, "max_gap_frames": 10**6}


def alignments(labels, steps):
    """Every sequence of (label number, or None for a blank) of a path that takes `steps` frames."""
    chain = [label for label in range(len(labels)) for label in (None, label)][1:]

    def walk(path):
        if len(path) == steps:
            if path[-1] == len(chain) - 1:
                yield [chain[state] for state in path]
            return
        state = path[-1]
        followers = [state, state + 1]
        to_label = state + 2 < len(chain) and chain[state] is not None
        if to_label and labels[chain[state]] != labels[chain[state + 2]]:
            followers.append(state + 2)
        for following in followers:
            if following < len(chain):
                yield from walk([*path, following])

    return walk([0])


def enumerate_paths(posteriors, labels):
    """(LLR, mean over labels of their best log-posterior, age) of every path ending in the last frame."""
    last = len(posteriors)
    for first in range(last):
        rows = posteriors[first:last]
        for path in alignments(labels, len(rows)):
            tokens = [0 if label is None else labels[label] for label in path]
            llr = sum(row[token] - row.max() for row, token in zip(rows, tokens, strict=True))
            best = [-math.inf] * len(labels)
            for row, label in zip(rows, path, strict=True):
                if label is not None:
                    best[label] = max(best[label], row[labels[label]])
            yield llr, sum(best) / len(labels), len(rows)


logits = st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=6)
spelling = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@given(logits, spelling, st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=150, deadline=None)
def test_equals_the_enumeration_of_all_alignments(rows, labels, weight):
    posteriors = log_softmax(rows)
    scorer = KeywordScorer([labels], [0], peak_weight=weight, **UNLIMITED)
    scores, ages, _ = scorer.score(posteriors)
    for frame in range(len(posteriors)):
        paths = list(enumerate_paths(posteriors[: frame + 1], labels))
        if not paths:
            assert scores[frame, 0] == 0
            continue
        best = max(llr for llr, _, _ in paths)
        ties = [(peak, age) for llr, peak, age in paths if llr > best - 1e-9]
        assert any(
            age == ages[frame, 0] and scores[frame, 0] == pytest.approx(math.exp(best / len(labels) + weight * peak))
            for peak, age in ties
        )


def slow_reference(posteriors, labels, weight, max_duration, max_gap, borders=(), max_pause=0):
    """One token per state in plain Python: a second writing of the same search, with its limits."""
    chain = [token for label in labels for token in (0, label)][1:]
    paths = {}
    for frame, row in enumerate(posteriors):
        following = {}
        for state, token in enumerate(chain):
            origins = [paths[state]] if state in paths else []
            if state == 0:
                origins.append({"llr": 0.0, "begin": frame, "gap": 0, "peaks": {}})
            elif state - 1 in paths:
                origins.append(paths[state - 1])
            if state > 1 and token != 0 and token != chain[state - 2] and state - 2 in paths:
                origins.append(paths[state - 2])
            if not origins:
                continue
            origin = max(origins, key=lambda path: path["llr"])
            peaks = dict(origin["peaks"])
            if token != 0:
                peaks[state] = max(peaks.get(state, -math.inf), row[token])
            path = {
                "llr": origin["llr"] + row[token] - row.max(),
                "begin": origin["begin"],
                "gap": origin["gap"] + 1 if token == 0 else 0,
                "peaks": peaks,
            }
            age = frame + 1 - path["begin"]
            if state == 0 and age > min(max_gap, max_duration):
                following[0] = {"llr": row[token] - row.max(), "begin": frame, "gap": 0, "peaks": peaks}
            elif age <= max_duration and path["gap"] <= max(max_gap, max_pause * ((state + 1) // 2 in borders)):
                following[state] = path
        paths = following
        end = paths.get(len(chain) - 1)
        if end is None:
            yield 0.0, None
        else:
            log = end["llr"] + weight * sum(end["peaks"].values())
            yield math.exp(log / len(labels)), frame + 1 - end["begin"]


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(1, 14),
    st.integers(0, 4),
    st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_equals_a_slow_reference_with_limits_and_many_spellings(seed, spellings, max_duration, max_gap, max_pause):
    rng = np.random.default_rng(seed)
    posteriors = log_softmax(rng.normal(size=(40, 5)) * 2 + [1.5, 0, 0, 0, 0])
    owner = sorted(rng.integers(0, len(spellings), len(spellings)).tolist())
    owner = [sorted(set(owner)).index(k) for k in owner]
    borders = [sorted(set(rng.integers(1, len(labels), 2).tolist())) if len(labels) > 1 else [] for labels in spellings]
    limits = {"max_duration_frames": max_duration, "max_gap_frames": max_gap, "max_pause_frames": max_pause}
    scorer = KeywordScorer(spellings, owner, peak_weight=0.7, borders=borders, **limits)
    scores, ages, _ = scorer.score(posteriors)
    references = [
        list(slow_reference(posteriors, labels, 0.7, max_duration, max_gap, ends, max_pause))
        for labels, ends in zip(spellings, borders, strict=True)
    ]
    assert scores.shape == (40, max(owner) + 1) == (40, scorer.keywords)
    for frame, keyword in itertools.product(range(40), range(scorer.keywords)):
        rivals = [reference[frame] for reference, k in zip(references, owner, strict=True) if k == keyword]
        best, _ = max(rivals, key=lambda rival: rival[0])
        assert scores[frame, keyword] == pytest.approx(best, rel=1e-9, abs=1e-300)
        if best > 1e-300:
            assert ages[frame, keyword] in [age for s, age in rivals if s == pytest.approx(best)]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 30), max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_stream_may_be_cut_anywhere(seed, cuts):
    rng = np.random.default_rng(seed)
    posteriors = log_softmax(rng.normal(size=(30, 5)) * 3)
    scorer = KeywordScorer([[1, 2, 1], [3, 3]], [0, 1], max_duration_frames=9, max_gap_frames=3)
    whole_scores, whole_ages, whole_state = scorer.score(posteriors)
    state = scorer.init_state()
    scores, ages = [], []
    for part in np.split(posteriors, sorted(cuts)):
        part_scores, part_ages, state = scorer.score(part, state)
        scores.append(part_scores)
        ages.append(part_ages)
    np.testing.assert_array_equal(np.concatenate(scores), whole_scores)
    np.testing.assert_array_equal(np.concatenate(ages), whole_ages)
    np.testing.assert_array_equal(state.paths, whole_state.paths)


def test_a_step_is_a_chunk_of_one_frame_and_leaves_its_state_alone():
    posteriors = log_softmax(np.random.default_rng(0).normal(size=(20, 5)))
    scorer = KeywordScorer([[1, 2], [3]], [0, 1], max_duration_frames=9, max_gap_frames=3)
    scores, ages, _ = scorer.score(posteriors)
    state = scorer.init_state()
    for row, wanted, wanted_ages in zip(posteriors, scores, ages, strict=True):
        before = state.paths.copy()
        got, got_ages, following = scorer.step(row, state)
        np.testing.assert_array_equal(state.paths, before)
        assert got.shape == got_ages.shape == (2,)
        assert got.tolist() == wanted.tolist()
        assert got_ages.tolist() == wanted_ages.tolist()
        assert got_ages.dtype == np.int64
        state = following


def test_a_state_is_left_alone_by_a_chunk_too():
    posteriors = log_softmax(np.random.default_rng(0).normal(size=(3, 5)))
    scorer = KeywordScorer([[1, 2], [3]], [0, 1], max_duration_frames=9, max_gap_frames=3)
    state = scorer.init_state()
    first, _, _ = scorer.score(posteriors, state)
    again, _, _ = scorer.score(posteriors, state)
    assert again.tolist() == first.tolist()


def score_of(posteriors, labels=(1, 2), duration=50, gap=15, weight=1.0):
    scorer = KeywordScorer([labels], [0], peak_weight=weight, max_duration_frames=duration, max_gap_frames=gap)
    scores, ages, _ = scorer.score(posteriors)
    return scores[:, 0], ages[:, 0]


def test_a_keyword_ends_on_its_last_label_and_not_on_the_blanks_after_it():
    scores, ages = score_of(frames(0, 0, 1, 0, 2, 0, 0, 0))
    assert scores[4] == pytest.approx(0.97)  # LLR 0, so the mean of the labels' log-posteriors
    assert ages[4] == 3
    assert scores[:4].max() < 0.1
    assert scores[5:].max() < 0.2


def test_the_peak_separates_paths_that_equal_the_background():
    weak = frames((1, 0.5), (2, 0.4))
    strong = frames((1, 0.9), (2, 0.8))
    assert score_of(weak, weight=0.0)[0][-1] == score_of(strong, weight=0.0)[0][-1] == 1.0
    assert score_of(weak)[0][-1] == pytest.approx(math.sqrt(0.5 * 0.4))
    assert score_of(strong)[0][-1] == pytest.approx(math.sqrt(0.9 * 0.8))


def test_a_labels_peak_is_its_best_frame_and_not_its_last():
    scores, _ = score_of(frames((1, 0.5), (1, 0.9), (1, 0.6), 0, (2, 0.6), (2, 0.8), (2, 0.5)))
    assert scores[-1] == pytest.approx(math.sqrt(0.9 * 0.8))


def test_equal_labels_need_a_blank_between_them():
    merged, _ = score_of(frames(1, 1, 1, 1), labels=(1, 1))
    apart, _ = score_of(frames(1, 1, 0, 1), labels=(1, 1))
    assert merged[-1] < 0.2
    assert apart[-1] == pytest.approx(0.97)


@pytest.mark.parametrize(("gap", "heard"), [(4, True), (3, False)])
def test_a_run_of_blanks_may_be_as_long_as_the_limit(gap, heard):
    scores, _ = score_of(frames(1, 0, 0, 0, 0, 2), gap=gap)
    assert (scores[-1] > 0.9) == heard


@pytest.mark.parametrize("pause", range(9))
def test_between_words_a_run_of_blanks_may_be_longer_and_inside_them_not(pause):
    limits = {"max_duration_frames": 50, "max_gap_frames": 2, "max_pause_frames": 6}
    scorer = KeywordScorer([[1, 2, 3]], [0], borders=[[1]], **limits)
    between, inside = frames(1, *[0] * pause, 2, 3), frames(1, 2, *[0] * pause, 3)
    assert (scorer.score(between)[0].max() > 0.9) == (pause <= 6)
    assert (scorer.score(inside)[0].max() > 0.9) == (pause <= 2)
    assert scorer.longest_gap == 6


def test_the_run_of_blanks_is_counted_anew_after_each_label():
    scores, _ = score_of(frames(1, 0, 0, 2, 0, 0, 3), labels=(1, 2, 3), gap=2)
    assert scores[-1] > 0.9


@pytest.mark.parametrize(("duration", "heard"), [(5, True), (4, False)])
def test_a_path_may_be_as_long_as_the_limit(duration, heard):
    scores, ages = score_of(frames(1, 1, 0, 0, 2), duration=duration)
    assert (scores[-1] > 0.9) == heard
    assert not heard or ages[-1] == duration


@pytest.mark.parametrize("hiss", range(30, 60))
def test_a_long_first_sound_before_the_keyword_does_not_hide_it(hiss):
    scores, ages = score_of(frames(*[1] * hiss, *[0, 2, 0, 2, 0, 2] * 2), labels=(1, 2, 2, 2, 2, 2, 2), duration=30)
    assert scores.max() > 0.9
    assert ages[scores.argmax()] <= 30


def test_of_equal_paths_the_one_that_began_first_is_kept():
    _, ages = score_of(frames(1, 1, 1, 0, 2))
    assert ages[-1] == 5


def test_a_later_and_better_start_replaces_an_earlier_one():
    scores, ages = score_of(frames((1, 0.3), 3, 3, 1, 0, 2), gap=15)
    assert ages[-1] == 3
    assert scores[-1] == pytest.approx(0.97)


def test_nothing_grows_and_nothing_dulls_in_a_very_long_stream():
    scorer = KeywordScorer([[1, 2, 3], [2, 2]], [0, 1], max_duration_frames=50, max_gap_frames=15)
    word = frames(0, 1, 0, 2, 3, 0)
    fresh, fresh_ages, state = scorer.score(word)
    shape = state.paths.shape
    quiet = frames(*[(0, 0.999)] * 1000)
    noise = log_softmax(np.random.default_rng(1).normal(size=(1000, 4)) * 3)
    for _ in range(25):
        for stretch in (quiet, noise):
            _, _, state = scorer.score(stretch, state)
    _, _, state = scorer.score(quiet, state)
    later, later_ages, after = scorer.score(word, state)
    np.testing.assert_allclose(later[4], fresh[4], rtol=1e-12)
    assert later_ages[4].tolist() == fresh_ages[4].tolist()
    assert after.paths.shape == shape
    finite = state.paths[np.isfinite(state.paths)]
    assert np.abs(finite).max() < 1000


def test_scores_are_probabilities_and_ages_are_within_the_limit():
    rng = np.random.default_rng(3)
    posteriors = log_softmax(rng.normal(size=(500, 4)) * 4).astype(np.float32) + np.float32(1e-6)
    scorer = KeywordScorer([[1, 2], [3]], [0, 1], max_duration_frames=7, max_gap_frames=2)
    scores, ages, _ = scorer.score(posteriors)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert ages[scores > 0].min() >= 1
    assert ages[scores > 0].max() <= 7


def test_a_rounding_above_certainty_is_certainty():
    above = np.array([[-20, 1e-6, -20], [-20, -20, 1e-6]], np.float32)
    assert score_of(above)[0][-1] == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_posteriors_that_are_not_finite_are_refused(bad):
    posteriors = frames(1, 2)
    posteriors[1, 3] = bad
    with pytest.raises(InputError, match="finite"):
        score_of(posteriors)


@pytest.mark.parametrize("shape", [(4,), (1, 2, 3, 4), (5, 2), (3, 5, 2)])
def test_posteriors_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        score_of(np.zeros(shape))


@pytest.mark.parametrize(
    ("spellings", "owner"),
    [([[1], [2]], [0]), ([[]], [0]), ([[1, 0]], [0]), ([[-1]], [0]), ([[1], [2]], [0, 2])],
)
def test_spellings_that_make_no_sense_are_refused(spellings, owner):
    with pytest.raises(ValueError, match="spelling"):
        KeywordScorer(spellings, owner, **UNLIMITED)


def test_a_scorer_without_keywords_scores_nothing():
    scorer = KeywordScorer([], [], **UNLIMITED)
    scores, ages, _ = scorer.score(frames(1, 2))
    assert scores.shape == ages.shape == (2, 0)


def test_a_long_phrase_may_take_longer_and_a_short_one_only_what_it_could():
    assert [longest_path(labels, 50) for labels in (1, 9, 10, 11, 12, 13, 37)] == [50, 50, 50, 60, 60, 65, 185]
    assert longest_path(20, 150) == 150  # the model allows more


def test_each_spelling_has_its_own_limit():
    """One label a while, then the other: too long for the first spelling, and not for the second."""
    rows = np.full((30, 4), 1e-6)
    rows[:2, 1] = rows[2:28, 0] = rows[28:, 2] = 1.0
    posteriors = np.log(rows / rows.sum(axis=1, keepdims=True))
    scorer = KeywordScorer([[1, 2], [1, 2]], [0, 1], max_duration_frames=[20, 40], max_gap_frames=30)
    scores, ages, _ = scorer.score(posteriors)
    assert scores[-1, 0] < 0.01 and scores[-1, 1] > 0.9
    assert ages[-1, 1] == 30
    both, _, _ = scorer.score(np.stack([posteriors] * 3))  # several streams at once
    assert (both == scores).all()
