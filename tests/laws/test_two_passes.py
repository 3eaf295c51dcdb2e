"""The laws of a stream hold for a model of two passes as for one; files whose verifier is spoiled are refused."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

import pairs
import tones
from kws import audio
from kws.errors import KwsError
from kws.runtime import session
from kws.runtime.detector import Detector
from pauses import paused
from trees import ROOT

TUNE = "  ABC   D FE  EEB C ABC AC FED   EEB  "


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    path = pairs.write_pair(tmp_path_factory.mktemp("pairs") / "pair.onnx")
    return Detector.load(path).with_threshold(0.02)


@pytest.fixture(scope="module")
def tune() -> np.ndarray:
    speech = tones.speak(TUNE)
    return (speech + np.random.default_rng(0).normal(0, 0.003, speech.size)).astype(np.float32)


@pytest.fixture(scope="module")
def wanted(pair, tune):
    return pair.stream().process(tune, last=True)


def test_every_candidate_is_verified_the_hold_after_its_peak(pair, tune, wanted):
    """And nothing else has a score: the first pass alone never fires."""
    scores = Detector(pair.model, verify=False).stream().process(tune, last=True).scores
    verified = np.argwhere(wanted.scores > 0)
    assert {event.keyword for event in wanted.detections} == {"abc", "eel", "fed"}
    for row, keyword in verified:
        peak = row - pairs.HOLD
        around = scores[max(0, peak - pairs.HOLD) : row + 1, keyword]
        assert scores[peak, keyword] == around.max() >= pairs.VERIFIER["floor"]
    assert len(verified) >= len(wanted.detections) >= 5


def test_the_verifiers_own_words_are_scored_by_its_log_odds(pair, tune, wanted):
    """Computed once more from the sound: features of the last 1.2 s, a sum, the logistic function."""
    first, _, _ = pair.scorer.score(wanted.log_posteriors)
    power = np.square(tune[: len(tune) // 160 * 160].reshape(-1, 160).astype(np.float64)).sum(axis=1)
    level = np.concatenate([np.full(pairs.SEGMENT_FRAMES, pairs.SILENCE), np.log(power + np.exp(pairs.SILENCE))])
    slope = np.linspace(-1, 1, pairs.SEGMENT_FRAMES)
    means = np.concatenate(
        [np.zeros(pairs.SEGMENT_FRAMES), tune[: len(tune) // 160 * 160].reshape(-1, 160).mean(axis=1)]
    )
    means[: pairs.SEGMENT_FRAMES] = pairs.SILENCE
    checked = 0
    for row, keyword in np.argwhere(wanted.scores > 0):
        name = pair.keywords[keyword].name
        end = 4 * (row + 1)
        if name not in pairs.VERIFIER["words"] or end > len(power):
            continue
        segment = slice(end, end + pairs.SEGMENT_FRAMES)
        log_odds = float(slope @ (0.01 * level[segment] if name == "abc" else -20.0 * means[segment]))
        logit = log_odds + 0.5 * np.log(first[row - pairs.HOLD, keyword])
        assert wanted.scores[row, keyword] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)
        checked += 1
    assert checked >= 4


@given(st.lists(st.integers(0, 80_000), max_size=12))
@settings(max_examples=15, deadline=None)
def test_blocks_change_nothing(pair, tune, wanted, cuts):
    stream, parts, peaks = pair.stream(), [], []
    for part in (*np.split(tune, sorted(cuts)), None):
        parts.append(stream.process(tune[:0], last=True) if part is None else stream.process(part))
        peaks += stream.peaks
    assert [replace(event, peak=None) for event in peaks] == wanted.detections
    assert peaks == whole_peaks(pair, tune)
    assert [event for part in parts for event in part.detections] == wanted.detections
    np.testing.assert_array_equal(np.concatenate([part.scores for part in parts]), wanted.scores)
    np.testing.assert_array_equal(np.concatenate([part.ages for part in parts]), wanted.ages)


def whole_peaks(pair, tune):
    stream = pair.stream()
    stream.process(tune, last=True)
    return stream.peaks


def test_a_stream_that_is_reset_is_as_new(pair, tune, wanted):
    stream = pair.stream()
    stream.push(tune[:30_000])
    stream.reset()
    assert stream.process(tune, last=True).detections == wanted.detections


def test_a_stream_hears_the_same_alone_and_in_company(pair, tune, wanted):
    streams = pair.streams()
    handles = [streams.join() for _ in range(3)]
    heard: dict[int, list] = {number: [] for number in range(3)}
    for at in range(0, len(tune) + 3 * 8_000, 5_000):
        for number, handle in enumerate(handles):
            begin = at - 8_000 * number  # each begins later than the one before
            handle.push(tune[max(0, begin) : max(0, begin + 5_000)])
        for handle, event in streams.run():
            heard[handles.index(handle)].append(event)
    for handle in handles:
        handle.flush()
    for handle, event in streams.run():
        heard[handles.index(handle)].append(event)
    assert all(events == wanted.detections for events in heard.values())
    peaks = whole_peaks(pair, tune)
    for handle in handles:  # the peaks of the last run are the last ones
        last = [event for who, event in streams.peaks if who is handle]
        assert last and last == peaks[-len(last) :]


def test_no_event_comes_sooner_than_the_wait_bound_allows(pair, tune):
    stream, time_s, soonest_s = pair.stream(), 0.0, 0.0
    fired = 0
    for at in range(0, len(tune), 1280):
        events = stream.process(tune[at : at + 1280]).detections  # which waits for nothing
        time_s = (at + 1280) / 16_000
        if events:
            fired += 1
            assert time_s >= soonest_s - 1e-9
        soonest_s = time_s + stream.wait_s
    assert fired >= 4


def test_a_phrase_that_is_added_goes_through_the_verifiers_tokens(pair, tune):
    detector = pair.with_keywords({"cab": [["C", "A", "B"]]}, threshold=1e-6)
    stream = detector.stream()
    scores = stream.process(tones.speak("  CAB   "), last=True).scores[:, 3]
    assert (scores > 0).sum() >= 1


def test_the_verifiers_that_ship_are_opened_for_the_first_candidate(monkeypatch):
    opened = []
    open_verifier = session._open_verifier
    monkeypatch.setattr(session, "_open_verifier", lambda *given: opened.append(1) or open_verifier(*given))
    stream = Detector.load("wake-words").stream()
    stream.process(np.zeros(32_000, np.float32))
    assert not opened
    sound = audio.read(ROOT / "demo" / "hear.wav")
    assert stream.process(sound).detections
    assert len(opened) == 1


def test_threads_open_the_verifiers_that_ship_once(monkeypatch):
    opened, open_verifier = [], session._open_verifier

    def slowly(*given):
        opened.append(1)
        time.sleep(0.05)
        return open_verifier(*given)

    monkeypatch.setattr(session, "_open_verifier", slowly)
    model = Detector.load("wake-words").model
    features = np.zeros((200, 40), np.float32)
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda _: model.verify(features)[0], range(4)))
    assert len(opened) == 1 and all(np.array_equal(one, said[0]) for one in said)


def spoiled(path: Path, out: Path, **properties: str | None) -> Path:
    """A copy of a model file with other metadata; None takes an entry away."""
    model = onnx.load(str(path))
    found = {entry.key: entry.value for entry in model.metadata_props} | properties
    del model.metadata_props[:]
    helper.set_model_props(model, {key: value for key, value in found.items() if value is not None})
    onnx.save(model, out)
    return out


@pytest.mark.parametrize(
    ("properties", "wanted"),
    [
        ({"kws.verifier": None}, "calls for a verifier"),
        ({"kws.verifier": "no base64!"}, "verifier is damaged"),
        ({"kws.verifier": base64.b64encode(b"no graph").decode()}, "verifier is damaged"),
    ],
)
def test_a_file_whose_verifier_is_spoiled_is_refused(pair, tmp_path, properties, wanted):
    path = spoiled(pair.model.path, tmp_path / "spoiled.onnx", **properties)
    with pytest.raises(KwsError, match=wanted):
        Detector.load(path)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"segment_frames": 80}, "verifier failed to run"),
        ({"segment_frames": 81}, "whole number of frames"),
        ({"words": ["abc"]}, "of shapes"),
        ({"words": ["abc", "abc"]}, "stands twice"),
        ({"mels": 3}, "features"),
        ({"floor": 0.0}, "floor"),
        ({"hold_frames": -1}, "hold_frames"),
        ({"first_pass_weight": -0.5}, "first_pass_weight"),
    ],
)
def test_a_verifier_that_does_not_fit_its_info_is_refused(tmp_path, changes, wanted):
    with pytest.raises(KwsError, match=wanted):
        Detector.load(pairs.write_pair(tmp_path / "odd.onnx", **changes))


def test_a_file_of_one_pass_may_not_claim_the_schema_of_two(pair, tmp_path):
    info = json.dumps(tones.model_info(schema=2))
    with pytest.raises(KwsError, match="schema is 2, not 1"):
        Detector.load(spoiled(pair.model.path, tmp_path / "one.onnx", **{"kws.manifest": info}))


def test_of_a_phrase_longer_than_its_segment_the_verifier_hears_the_end(pair):
    """30 frames hold six phones of slow speech: what the verifier cannot have heard costs a phrase nothing."""
    ten, six = (Detector(pair.model, []).with_keywords({"x": [spelling]}) for spelling in ("ABCDEFABCD", "EFABCD"))
    whole, end = (detector.second_pass._scorers[0] for detector in (ten, six))
    rows = np.log(np.random.default_rng(0).dirichlet(np.ones(len(pair.info.tokens)), 30))
    assert (whole.score(rows)[0] == end.score(rows)[0]).all()
    assert whole.score(rows)[0].max() > 0


@pytest.fixture(scope="module")
def two_words(pair) -> Detector:
    """`abc` as two words: AB and C."""
    (abc, *others) = pair.keywords
    return Detector(pair.model, [replace(abc, borders=((2,),)), *others])


def said(pause_s: float) -> np.ndarray:
    """AB, a pause, and C."""
    return np.concatenate([tones.speak("    AB"), np.zeros(round(pause_s * 16_000), np.float32), tones.speak("C    ")])


@pytest.mark.parametrize("pause_s", [0.6, 0.8, 1.0])
def test_of_a_pause_between_words_the_verifier_hears_no_more_than_of_a_short_one(two_words, pause_s):
    """Its segment has 1.2 s, and a phrase with a pause of a second takes longer."""
    short, long = (two_words.stream().process(said(seconds), last=True) for seconds in (0.4, pause_s))
    best = short.scores[:, 0].max()
    assert best > 0 and long.scores[:, 0].max() == pytest.approx(best, rel=0.02)
    assert long.ages[long.scores[:, 0].argmax(), 0] > short.ages[short.scores[:, 0].argmax(), 0]


def test_a_phrase_without_a_pause_scores_the_same_bits_whether_it_may_have_one(pair, two_words, tune, wanted):
    heard = two_words.stream().process(tune, last=True)
    np.testing.assert_array_equal(heard.scores, wanted.scores)
    assert heard.detections == wanted.detections


@given(st.lists(st.integers(0, 60_000), max_size=8))
@settings(max_examples=10, deadline=None)
def test_blocks_change_nothing_of_a_phrase_with_a_pause(two_words, cuts):
    sound = said(0.9)
    whole, stream = two_words.stream().process(sound, last=True).scores, two_words.stream()
    parts = [stream.process(part).scores for part in np.split(sound, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.process(sound[:0], last=True).scores]), whole)


def test_the_gate_stays_open_in_a_pause(two_words):
    sound = said(1.0)
    events = [two_words.stream(gate=gate).process(sound, last=True).detections for gate in (False, True)]
    assert events[0] == events[1] and [event.keyword for event in events[0]] == ["abc"]


@pytest.mark.parametrize("pause_s", [0.0, 0.3, 0.5, 0.8])
def test_the_shipped_model_hears_a_pause_between_two_words(pause_s):
    events = Detector.load().stream().process(paused(pause_s), last=True).detections
    assert [event.keyword for event in events] == ["smart mirror"]
