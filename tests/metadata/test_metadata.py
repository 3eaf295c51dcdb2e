"""The model info: what goes in comes out, and what is wrong is said in one sentence."""

import copy
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tones
from kws.errors import KwsError
from kws.metadata import Keyword, ModelInfo


def changed(path, value):
    """The valid model info with the field at `path`, such as ("states", 0), replaced or removed."""
    data = copy.deepcopy(tones.model_info())
    target = data
    for step in path[:-1]:
        target = target[step]
    if value is REMOVED:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return data


REMOVED = object()
FAULTS = [
    (("schema",), REMOVED, "schema is missing"),
    (("schema",), 0, "schema"),
    (("schema",), True, "schema"),
    (("schema",), 3, "upgrade kws"),
    (("name",), "", "name"),
    (("name",), REMOVED, "name is missing"),
    (("sample_rate",), 8000, "sample_rate is 8000, not 16000"),
    (("sample_rate",), "16000", "sample_rate"),
    (("sample_rate",), 16000.0, "sample_rate"),
    (("chunk_samples",), 1281, "chunk_samples"),
    (("frame_samples",), 0, "frame"),
    (("frames_per_chunk",), 3, "frames_per_chunk"),
    (("frames_per_chunk",), -2, "empty"),
    (("chunks_per_call",), 0, "no chunk"),
    (("tokens",), ["A", "B"], "token 0"),
    (("tokens",), ["<blank>"], "tokens"),
    (("tokens",), ["<blank>", "A", "A"], "twice"),
    (("tokens",), "ABC", "tokens is not a list"),
    (("tokens", 2), 7, r"tokens\[2\]"),
    (("states",), {}, "states is not a list"),
    (("states", 0), [], r"states\[0\] is not an object"),
    (("states", 0, "shape"), [0], "empty axis"),
    (("states", 0, "shape"), [2.5], r"states\[0\].shape\[0\]"),
    (("states", 0, "dtype"), "float16", "float16"),
    (("states", 0, "name"), "pcm", "named like"),
    (("states", 0, "name"), "count", "twice"),
    (("keywords", 0, "name"), " ", "no name"),
    (("keywords", 0, "name"), "a\n\x1b[31m", r"'a\\x0a\\x1b\[31m' has control characters"),
    (("name",), "\x1b[2J\x1b]0;no\x07", "control characters"),
    (("tokens", 2), "\x9b2J", "control characters"),
    (("keywords", 0, "name"), "fed", "same name"),
    (("keywords", 0, "spellings"), [], "no spelling"),
    (("keywords", 0, "spellings"), [[]], "no spelling"),
    (("keywords", 0, "spellings"), [["A", "Q"]], "unknown tokens: Q"),
    (("keywords", 0, "spellings"), [["<blank>"]], "unknown tokens: <blank>"),
    (("keywords", 0, "spellings"), ["ABC"], r"spellings\[0\] is not a list"),
    (("keywords", 0, "threshold"), 0, "threshold"),
    (("keywords", 0, "threshold"), 1.01, "threshold"),
    (("keywords", 0, "threshold"), "0.5", r"keywords\[0\].threshold is not a number"),
    (("keywords", 0, "threshold"), 10**400, r"keywords\[0\].threshold is not a number"),
    (("keywords", 0, "threshold"), False, r"keywords\[0\].threshold is not a number"),
    (("keywords", 0, "calibration", "hours"), -1, "negative"),
    (("keywords", 0, "calibration", "hours"), REMOVED, r"keywords\[0\].calibration.hours is missing"),
    (("keywords", 0, "calibration", "false_accepts"), 1.5, "false_accepts"),
    (("scoring", "peak_weight"), -1, "peak_weight"),
    (("scoring", "max_duration_frames"), 0, "max_duration_frames"),
    (("scoring", "max_gap_frames"), -1, "max_gap_frames"),
    (("scoring", "refractory_frames"), -1, "refractory_frames"),
    (("scoring", "default_threshold"), 0, "default_threshold"),
    (("scoring",), None, "scoring is not an object"),
    (("training", "data"), [{}], r"training.data\[0\].name is missing"),
    (("training", "config"), [], "training.config is not an object"),
    (("parameters",), -1, "parameters"),
    (("commit",), 5, "commit"),
]


@pytest.mark.parametrize(("path", "value", "words"), FAULTS)
def test_a_fault_is_named_in_one_sentence(path, value, words):
    with pytest.raises(KwsError, match=words) as caught:
        ModelInfo.from_json(json.dumps(changed(path, value)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", '"x"', "NaN", "[" * 100_000, '{"a": Infinity}'])
def test_what_is_not_a_model_info_is_refused(text):
    with pytest.raises(KwsError, match="model info"):
        ModelInfo.from_json(text)


def test_a_number_that_is_not_one_is_refused():
    text = json.dumps(changed(("scoring", "peak_weight"), float("nan")))
    with pytest.raises(KwsError, match="NaN is not a number"):
        ModelInfo.from_json(text)


@pytest.mark.parametrize("borders", [[[0]], [[3]], [[2, 1]], [[1, 1]], [[], []], [[-1]], [["1"]], [1]])
def test_words_that_end_where_the_spelling_does_not_are_refused(borders):
    value = tones.model_info()
    value["keywords"][0]["borders"] = borders  # of one spelling, of three tokens
    with pytest.raises(KwsError, match=r"end where its spellings do not|borders"):
        ModelInfo.from_json(json.dumps(value))


def test_a_pause_between_words_takes_no_time_of_the_phrase():
    scoring = ModelInfo.from_json(json.dumps(tones.model_info())).scoring
    one = scoring.longest_frames("ABC")
    assert [scoring.longest_frames("ABC", ends) - one for ends in ((), (1,), (1, 2))] == [0, 15, 30]
    assert scoring.pause_frames == 30 and dataclasses.replace(scoring, max_gap_frames=40).pause_frames == 40


def test_a_model_info_survives_the_journey():
    info = ModelInfo.from_json(json.dumps(tones.model_info(name="Tüne")))
    assert ModelInfo.from_json(info.to_json()) == info
    assert json.loads(info.to_json()) == tones.model_info(name="Tüne")


def test_whole_numbers_serve_where_fractions_may_stand():
    info = ModelInfo.from_json(json.dumps(changed(("scoring", "peak_weight"), 1)))
    assert isinstance(info.scoring.peak_weight, float)


def test_fields_of_later_versions_are_passed_over_and_a_commit_may_be_left_out():
    data = changed(("commit",), REMOVED) | {"mood": "sunny"}
    assert ModelInfo.from_json(json.dumps(data)).commit is None


def test_a_model_info_made_in_python_is_checked_too():
    info = ModelInfo.from_json(json.dumps(tones.model_info()))
    with pytest.raises(KwsError, match="threshold"):
        info.check_keyword(Keyword("new", (("A",),), 2.0))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """The path of every field in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


@given(st.sampled_from(sorted(places(tones.model_info()), key=str)), json_values)
@settings(max_examples=300, deadline=None)
def test_any_change_gives_a_model_info_or_one_sentence(path, value):
    info = None
    try:
        info = ModelInfo.from_json(json.dumps(changed(path, value)))
    except KwsError as error:
        sentence = str(error)
    if info is None:
        assert sentence
    else:
        assert ModelInfo.from_json(info.to_json()) == info
