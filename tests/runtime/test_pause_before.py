"""Phrases after a pause alone: what counts as one, and the laws of a stream with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs
import tones
from corpora import write_wav
from kws.cli.main import main
from kws.runtime.detector import Detector
from kws.runtime.pause_before import PauseBefore

NOISE = np.random.default_rng(0).standard_normal(200_000)


def said(*parts: str | float, noise: float = 1e-3, level: float = 1.0) -> np.ndarray:
    """Tunes and pauses, in seconds, in steady noise; all `level` times as loud."""
    sound = [tones.speak(part) if isinstance(part, str) else np.zeros(round(part * 16_000)) for part in parts]
    speech = np.concatenate([*sound, np.zeros(8_000)])
    return (level * (speech + noise * NOISE[: speech.size])).astype(np.float32)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(tones.write_model(tmp_path_factory.mktemp("tones") / "tones.onnx")).said_after_pause()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    path = pairs.write_pair(tmp_path_factory.mktemp("pairs") / "pair.onnx")
    return Detector.load(path).with_threshold(0.02).said_after_pause()


def heard(detector: Detector, sound: np.ndarray, **options: bool) -> list[str]:
    return [event.keyword for event in detector.stream(**options).process(sound, last=True).detections]


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("level", [1.0, 0.5])
@pytest.mark.parametrize(
    ("parts", "events"),
    [
        ((0.0, "ABC"), ["abc"]),  # the stream begins with it
        ((1.5, "ABC"), ["abc"]),
        (("DFD", 1.0, "ABC"), ["abc"]),
        (("DFDFDFD ABC"), []),
        (("DFDFDFD", 0.2, "ABC"), []),
        (("DFDFDFD", 3.0, "ABC", 1.2, "FED"), ["abc", "fed"]),
        ((5.0, "DFDFDFD ABC"), []),
    ],
)
def test_a_phrase_is_heard_after_a_pause_alone(detector, parts, events, level, gate):
    sound = said(*([parts] if isinstance(parts, str) else parts), level=level)
    assert heard(detector, sound, gate=gate) == events
    anywhere = Detector(detector.model)
    assert set(events) <= set(heard(anywhere, sound, gate=gate)) != set(), "without the rule all are heard"


@pytest.mark.parametrize(("noise", "is_heard"), [(0.01, True), (0.03, True), (0.3, False)])
def test_noise_is_a_pause_while_it_is_10_db_below_the_phrase(noise, is_heard):
    """The rule alone, on a tone of 0.5 s in noise: the model of tones hears none in so much."""
    sound = np.concatenate([np.zeros(32_000), 0.5 * np.sin(np.arange(8_000))])
    sound = (sound + noise * NOISE[: sound.size]).astype(np.float32)
    frames = sound.size // 640
    scores, ages = np.zeros((frames, 1)), np.zeros((frames, 1), np.int64)
    scores[-1], ages[-1] = 0.7, 8
    final = PauseBefore(640, 50, 0.01).hear(sound[: frames * 640], 0, scores, ages)
    assert (final[-1, 0] == 0.7) == is_heard and scores[-1] == 0.7


TUNE = said("DFD ABC", 1.0, "ABC", 0.3, "FED", 1.1, "EEB ABC", 0.9, "ABC DF")


@given(st.lists(st.integers(0, len(TUNE)), max_size=10))
@settings(max_examples=25, deadline=None)
def test_blocks_change_nothing(detector, cuts):
    whole, stream = detector.stream().process(TUNE, last=True), detector.stream()
    parts = [stream.process(part) for part in np.split(TUNE, sorted(cuts))] + [stream.process(TUNE[:0], last=True)]
    np.testing.assert_array_equal(np.concatenate([part.scores for part in parts]), whole.scores)
    assert [event for part in parts for event in part.detections] == whole.detections != []


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("name", ["detector", "pair"])
def test_a_stream_hears_the_same_alone_and_in_company(name, gate, request):
    detector = request.getfixturevalue(name)
    sound = np.concatenate([TUNE, said(6.0, "DF ABC", 1.0, "ABC")])
    wanted = detector.stream(gate=gate).process(sound, last=True).detections
    streams = detector.streams(gate=gate)
    handles = [streams.join() for _ in range(2)]
    events: dict[int, list] = {0: [], 1: []}
    for at in range(0, len(sound) + 7_000, 3_000):
        for number, handle in enumerate(handles):
            begin = at - 7_000 * number
            handle.push(sound[max(0, begin) : max(0, begin + 3_000)])
        for handle, event in streams.run():
            events[handles.index(handle)].append(event)
    for handle in handles:
        handle.flush()
    for handle, event in streams.run():
        events[handles.index(handle)].append(event)
    assert events[0] == events[1] == wanted != []


def test_a_stream_that_is_reset_is_as_new(detector):
    stream = detector.stream()
    stream.push(said("DFDFDFD"))
    stream.reset()
    assert [event.keyword for event in stream.push(said("ABC"))] == ["abc"]


def test_what_is_said_of_it_stays_with_further_phrases(detector):
    more = detector.with_keywords({"cab": [["C", "A", "B"]]}).with_threshold(0.3)
    assert heard(more, said("DFDFDFD CAB", 1.2, "CAB")) == ["cab"]


def test_the_command(detector, tmp_path, capsys):

    write_wav(tmp_path / "said.wav", said("DFDFDFD ABC", 1.2, "FED"))
    model, file = str(detector.model.path), str(tmp_path / "said.wav")
    counts = []
    for options in ([], ["--after-pause"]):
        assert main(["detect", model, file, *options]) == 0
        counts.append(capsys.readouterr().out.count("\n"))
    assert counts == [2, 1]
