"""The laws of the stream, and the model files that are refused."""

import json
import math
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corpora
import kws
import tones
from kws import audio
from kws.errors import InputError, KwsError
from kws.runtime.chunker import Chunker
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import find, shipped
from kws.runtime.stream import Stream
from trees import ROOT

TUNE = "  ABC   D FE  EEB C ABC AC FED "  # seven words, two of them broken, in some 8 s
HEARD = ["abc", "fed", "eel", "abc", "fed"]


@pytest.fixture(scope="module")
def tune():
    """The tune in a little noise, so that every posterior is its own."""
    speech = tones.speak(TUNE)
    return (speech + np.random.default_rng(0).normal(0, 0.003, speech.size)).astype(np.float32)


@pytest.fixture(scope="module")
def wanted(detector, tune):
    """What one push of the whole tune gives."""
    return detector.stream().process(tune, last=True)


def assert_equal(result, wanted):
    assert result.detections == wanted.detections
    np.testing.assert_array_equal(result.scores, wanted.scores)
    np.testing.assert_array_equal(result.ages, wanted.ages)
    np.testing.assert_array_equal(result.log_posteriors, wanted.log_posteriors)


def in_blocks(stream, samples, cuts):
    """The samples pushed in the pieces that `cuts` make, and the end; joined as one result."""
    results = [stream.process(part) for part in np.split(samples, cuts)]
    results.append(stream.process(samples[:0], last=True))
    return results[0]._replace(
        detections=[event for result in results for event in result.detections],
        scores=np.concatenate([result.scores for result in results]),
        ages=np.concatenate([result.ages for result in results]),
        log_posteriors=np.concatenate([result.log_posteriors for result in results]),
    )


def test_it_hears_what_was_played(detector, wanted):
    assert [event.keyword for event in wanted.detections] == HEARD
    assert all(0.9 < event.score <= 1 for event in wanted.detections)
    first = wanted.detections[0]
    assert abs(first.start_s - 0.4) <= 0.08  # the tune begins after 0.4 s, frames have 0.04 s
    assert 0.4 + 2 * 0.16 < first.end_s <= 0.4 + 3 * 0.16 + 0.08
    assert all(event.end % 640 == event.start % 640 == 0 for event in wanted.detections)


@pytest.mark.parametrize("size", [1, 7, 640, 1279, 1280, 1281, 5000, 48000])
def test_the_size_of_blocks_changes_nothing(detector, tune, wanted, size):
    tune = tune[:20000] if size == 1 else tune
    wanted = detector.stream().process(tune, last=True) if size == 1 else wanted
    assert_equal(in_blocks(detector.stream(), tune, range(size, len(tune), size)), wanted)


@given(st.lists(st.integers(0, 60000), max_size=12))
@settings(max_examples=20, deadline=None)
def test_random_blocks_change_nothing(detector, tune, wanted, cuts):
    assert_equal(in_blocks(detector.stream(), tune, sorted(cuts)), wanted)


@given(st.lists(st.integers(0, 130_000), max_size=12))
@settings(max_examples=20, deadline=None)
def test_each_event_comes_once_more_with_its_peak_and_blocks_change_nothing(detector, tune, wanted, cuts):
    stream, peaks = detector.stream(), []
    for block in np.split(tune, sorted(cuts)):
        stream.push(block)
        peaks += stream.peaks
    stream.flush()
    peaks += stream.peaks
    frames = detector.info.scoring.refractory_frames
    numbers = {word.name: number for number, word in enumerate(detector.keywords)}
    assert [replace(event, peak=None) for event in peaks] == wanted.detections
    assert all(event.peak is None for event in wanted.detections)
    for event in peaks:
        fired = event.end // detector.info.frame_samples - 1
        assert event.peak == wanted.scores[fired : fired + frames, numbers[event.keyword]].max()
    assert any(event.peak > event.score for event in peaks)


def test_a_peak_is_known_as_soon_as_the_keyword_may_fire_again(detector, tune, wanted):
    chunk, known = detector.info.chunk_samples, []
    stream = detector.stream()
    for number, block in enumerate(np.split(tune, range(chunk, len(tune), chunk)), start=1):
        stream.push(block)
        known += [(event.end, number * chunk) for event in stream.peaks]
    silent = (detector.info.scoring.refractory_frames - 1) * detector.info.frame_samples
    assert len(known) >= 3
    assert all(end + silent <= now < end + silent + chunk for end, now in known)


def test_a_stream_that_is_reset_forgets_the_events_whose_peak_is_not_known(detector):
    stream = detector.stream()
    assert stream.push(tones.speak("  ABC")) or stream.push(np.zeros(3200, np.float32))
    stream.reset()
    assert stream.peaks == []
    stream.flush()
    assert stream.peaks == []


@pytest.mark.parametrize("name", ["wake-words", "phones", "speech-commands"])
def test_blocks_do_not_change_a_bit_of_what_a_shipped_model_hears(name):
    """Chunks that are there together go through its graph together: the numbers must be those of single chunks."""
    detector = Detector.load(name)
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000 * 8).astype(np.float32)
    size = detector.info.chunk_samples
    assert detector.info.chunks_per_call > 8
    single = in_blocks(detector.stream(), sound, range(size, sound.size, size))
    for cuts in ([], range(3 * size, sound.size, 3 * size), [1, 5000, 50_000, 51_279]):
        assert_equal(in_blocks(detector.stream(), sound, cuts), single)


@pytest.mark.parametrize("name", ["wake-words", "phones", "speech-commands"])
def test_a_stream_begins_as_after_a_pause(name):
    """What a shipped model says of the first word does not depend on whether silence came before it."""
    detector = Detector.load(name)
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000 * 2).astype(np.float32)
    quiet = np.zeros(8 * 16_000 // detector.info.chunk_samples * detector.info.chunk_samples, np.float32)
    stream = detector.stream()
    before = stream.process(quiet)
    after = stream.process(sound).log_posteriors
    assert len(before.log_posteriors) * detector.info.frame_samples == quiet.size
    assert np.abs(detector.stream().process(sound).log_posteriors - after).max() < 1e-3


def test_a_word_that_the_stream_begins_with_is_heard():
    """Each word of the demo recording, without the silence before it, but for what is heard by a hair anyway."""
    detector, sound = Detector.load("wake-words"), audio.read(ROOT / "demo" / "hear.wav")
    threshold = {keyword.name: keyword.threshold for keyword in detector.keywords}
    sure = [event for event in detector.stream().push(sound) if event.score > 1.5 * threshold[event.keyword]]
    missed, words = [], json.loads((ROOT / "demo" / "hear.json").read_text(encoding="utf-8"))["wake_words"]
    words = [said for said in words if any(0 < event.end_s - said["start_s"] < 1.5 for event in sure)]
    assert len(words) >= 10
    for said in words:
        stream, first = detector.stream(), int(16_000 * said["start_s"])
        heard = stream.push(sound[first : first + 24_000]) + stream.flush()
        if said["keyword"] not in {event.keyword for event in heard}:
            missed.append(said)
    assert not missed


def test_push_and_flush_give_the_same_events_as_process(detector, tune, wanted):
    stream = detector.stream()
    events = [event for part in np.split(tune, range(1000, len(tune), 1000)) for event in stream.push(part)]
    assert events + stream.flush() == wanted.detections


def test_an_event_comes_with_the_push_that_completes_its_frame(detector):
    stream = detector.stream()
    for number, part in enumerate(np.split(tones.speak("  ABC    "), range(1280, 20000, 1280))):
        for event in stream.push(part):
            assert number * 1280 < event.end <= (number + 1) * 1280
            return
    pytest.fail("no event before the end")


def test_whole_numbers_and_floats_are_the_same(detector, tune):
    whole = np.round(tune * 32768).astype(np.int16)
    result = detector.stream().process(whole, last=True)
    assert_equal(result, detector.stream().process((whole / 32768).astype(np.float32), last=True))
    assert [event.keyword for event in result.detections] == HEARD


def test_interleaved_streams_are_separate_streams(detector, tune, wanted):
    other = tune[::-1].copy()
    wanted_other = detector.stream().process(other, last=True)
    streams = detector.stream(), detector.stream()
    results = ([], [])
    for begin in range(0, len(tune), 700):
        for stream, sound, found in zip(streams, (tune, other), results, strict=True):
            found.append(stream.process(sound[begin : begin + 700]))
    for stream, found, right in zip(streams, results, (wanted, wanted_other), strict=True):
        found.append(stream.process(tune[:0], last=True))
        np.testing.assert_array_equal(np.concatenate([part.scores for part in found]), right.scores)


def test_threads_may_share_a_detector(detector, tune, wanted):
    results = {}
    pieces = range(1280, len(tune), 1280)
    work = [
        threading.Thread(target=lambda n=n: results.update({n: in_blocks(detector.stream(), tune, pieces)}))
        for n in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]
    for result in results.values():
        assert_equal(result, wanted)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_reset_stream_is_a_new_one(detector, rate):
    tune = tones.speak(TUNE, rate=rate)
    stream = detector.stream(rate)
    stream.push(tune[: len(tune) // 3])
    stream.reset()
    assert_equal(stream.process(tune, last=True), detector.stream(rate).process(tune, last=True))


def test_a_flushed_stream_has_ended_until_it_is_reset(detector, tune):
    stream = detector.stream()
    stream.flush()
    with pytest.raises(InputError, match="reset"):
        stream.push(tune)
    with pytest.raises(InputError, match="reset"):
        stream.flush()
    stream.reset()
    assert stream.push(tune)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_end_is_half_a_second_of_silence_and_whole_chunks(detector, rate):
    for samples in (17590, 17610):  # 10 samples less and more than 20 chunks, with the silence
        result = detector.stream(rate).process(np.zeros(samples * rate // 16000, np.int16), last=True)
        assert len(result.scores) == 2 * math.ceil((samples + 8000) / 1280)


def test_a_keyword_at_the_very_end_needs_the_flush(detector):
    cut = tones.speak("  ABC")[:12700]  # 0.07 s of the last tone, and no whole chunk
    stream = detector.stream()
    assert stream.push(cut) == []
    assert [event.keyword for event in stream.flush()] == ["abc"]


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_other_rates_are_heard_at_the_same_times(detector, rate):
    wanted = detector.stream().process(tones.speak(TUNE), last=True).detections
    tune = tones.speak(TUNE, rate=rate)
    events = in_blocks(detector.stream(rate), tune, range(999, len(tune), 999)).detections
    assert [event.keyword for event in events] == [event.keyword for event in wanted]
    for event, other in zip(events, wanted, strict=True):
        assert abs(event.end - other.end) <= 640
    assert_equal(in_blocks(detector.stream(rate), tune, [1, 2, 30000]), detector.stream(rate).process(tune, last=True))


def memory(value, seen=None):
    """Bytes of the arrays and lengths of the containers in an object."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (list, tuple)):
        return len(value) + sum(memory(item) for item in value)
    return sum(map(memory, vars(value).values())) if isinstance(value, (Stream, Chunker)) else 0


def test_long_silence_changes_neither_state_nor_sensitivity(detector):
    """Of more samples than single precision can count one by one, 2^24."""
    minutes = 18
    word = tones.speak("  ABC   ")
    stream = detector.stream()
    fresh = stream.push(word)
    size = memory(stream)
    minute = np.zeros(16000 * 60, np.int16)
    for _ in range(minutes):
        assert stream.push(minute) == []
    assert memory(stream) == size > 0
    begin = minutes * len(minute) + len(word)
    assert begin > 2**24
    later = stream.push(np.concatenate([np.zeros(-begin % 5120, np.float32), word]))
    assert [event.keyword for event in later] == ["abc"]
    assert later[0].score == pytest.approx(fresh[0].score, rel=1e-9)
    begin += -begin % 5120  # the model's count of frames has the period 8
    assert (later[0].start - begin, later[0].end - begin) == (fresh[0].start, fresh[0].end)


def test_a_stream_keeps_less_than_a_chunk(detector):
    stream = detector.stream()
    size = memory(stream)
    for _ in range(100):
        stream.push(np.zeros(1279, np.int16))
        assert memory(stream) == size


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([0.0, 0.1], "not list"),
        (np.zeros(10), "not float64"),
        (np.zeros(10, np.int32), "not int32"),
        (np.zeros(10, ">i2"), "not >i2"),
        (np.zeros((10, 2), np.float32), r"\(10, 2\)"),
        (np.float32(0), "float32"),
        (np.array([0, math.nan], np.float32), "NaN"),
        (np.array([0, -math.inf], np.float32), "infinite"),
        (np.array([0, 12000], np.float32), "32768"),
    ],
)
def test_samples_of_the_wrong_kind_raise_at_once_and_change_nothing(detector, tune, wanted, samples, words):
    stream = detector.stream()
    head = stream.process(tune[:30000])
    with pytest.raises(ValueError, match=words) as caught:
        stream.push(samples)
    assert isinstance(caught.value, KwsError)
    assert "\n" not in str(caught.value)
    rest = stream.process(tune[30000:], last=True)
    assert head.detections + rest.detections == wanted.detections
    assert rest.first_frame == len(head.scores)


@pytest.mark.parametrize("rate", [0, -16000, 4000, 16000.5, "16000", None])
def test_a_wrong_rate_raises_at_once(detector, rate):
    with pytest.raises(InputError, match="sample rate"):
        detector.stream(rate)


def test_another_rate_needs_a_package_that_is_named(detector, monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(KwsError, match=r"soxr is needed here: pip install '\.\[audio\]'"):
        detector.stream(48000)
    detector.stream(16000)


def test_no_samples_are_no_event(detector):
    result = detector.stream().process(np.empty(0, np.int16))
    assert result.detections == []
    assert result.scores.shape == result.ages.shape == (0, 3)
    assert result.log_posteriors.shape == (0, 7)


def test_keywords_are_added_without_training(detector):
    more = detector.with_keywords({"cab": [["C", "A", "B"]], "bad": [["B", "A", "D"]]})
    assert [keyword.name for keyword in more.keywords] == ["abc", "fed", "eel", "cab", "bad"]
    assert [keyword.name for keyword in detector.keywords] == ["abc", "fed", "eel"]
    assert more.keywords[-1].threshold == 0.4
    stream = more.stream()
    events = stream.push(tones.speak("   CAB      BAD   "))
    assert [event.keyword for event in events] == ["cab", "bad"]


@pytest.mark.parametrize(
    ("phrases", "threshold", "words"),
    [
        ({"abc": [["A"]]}, None, "already"),
        ({"new": [["A", "Z"]]}, None, "Z"),
        ({"new": []}, None, "no spelling"),
        ({"new": [["A"]]}, 0.0, "threshold"),
        ({"new": [["A"]]}, 1.5, "threshold"),
        ({" ": [["A"]]}, None, "name"),
    ],
)
def test_keywords_that_cannot_be_added(detector, phrases, threshold, words):
    with pytest.raises(KwsError, match=words):
        detector.with_keywords(phrases, threshold)


def test_one_threshold_for_all(detector, tune):
    assert detector.with_threshold(1.0).stream().push(tune) == []
    assert {keyword.threshold for keyword in detector.with_threshold(0.2).keywords} == {0.2}
    assert len(detector.with_threshold(0.2).stream().push(tune)) >= len(HEARD)


def refused(path, words):
    with pytest.raises(KwsError, match=words) as caught:
        Detector.load(path)
    assert Path(path).name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_there(tmp_path):
    refused(tmp_path / "a.onnx", "does not exist")
    refused(tmp_path, "there is no model")
    with pytest.raises(KwsError, match="is a folder"):
        OnnxModel.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x00" * 1000, b"\x08\x08\x3a\xff"])
def test_a_file_that_is_not_a_model(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    refused(tmp_path / "a.onnx", "onnxruntime|model info|not those of an ONNX file")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99])
def test_a_truncated_model(tmp_path, tone_model, share):
    content = tone_model.read_bytes()
    (tmp_path / "a.onnx").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "a.onnx", "not those of an ONNX file")


def test_a_foreign_model(tmp_path):
    refused(tones.write_model(tmp_path / "a.onnx", metadata=""), "not one of kws")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 3}, "upgrade kws"),
        ({"tokens": [*tones.TOKENS, "G"]}, "log_posteriors"),
        ({"states": []}, "count"),
        ({"states": [{"name": "tail", "shape": [241], "dtype": "float32"}]}, "count"),
        ({"chunk_samples": 640, "frames_per_chunk": 1}, "'pcm'"),
        ({"frame_samples": 1280, "frames_per_chunk": 1}, "log_posteriors"),
        ({"keywords": 3}, "keywords is not a list"),
    ],
)
def test_a_model_info_that_does_not_fit_its_graph(tmp_path, changes, words):
    text = json.dumps(tones.model_info(**changes))
    refused(tones.write_model(tmp_path / "a.onnx", metadata=text), words)


@pytest.mark.parametrize(("field", "value"), [("shape", [241]), ("shape", [240, 1]), ("dtype", "int64")])
def test_a_state_that_does_not_fit_its_graph(tmp_path, field, value):
    data = tones.model_info()
    data["states"][0][field] = value
    refused(tones.write_model(tmp_path / "a.onnx", metadata=json.dumps(data)), "'tail'")


def test_a_graph_whose_output_has_another_name(tmp_path):
    refused(tones.write_model(tmp_path / "a.onnx", posteriors="scores"), "scores")


def test_a_graph_whose_output_is_no_logarithm_of_probabilities(tmp_path):
    refused(tones.write_model(tmp_path / "a.onnx", last_operator="Softmax"), "logarithms")


def one_frame_of(tensor, tone_model, path):
    """The tone model with half the frames of a tensor lost, in a way that shows only when it runs."""
    model = onnx.load(tone_model)
    nodes = list(model.graph.node)
    place = next(number for number, node in enumerate(nodes) if node.output[0] == tensor)
    nodes[place].output[0] = "whole"
    nodes[place + 1 : place + 1] = [
        onnx.helper.make_node("Flatten", ["now"], ["ticks"], axis=0),
        onnx.helper.make_node("Squeeze", ["ticks", "at0"], ["tick_list"]),
        onnx.helper.make_node("Cast", ["tick_list"], ["late_ones"], to=onnx.TensorProto.BOOL),
        onnx.helper.make_node("Compress", ["whole", "late_ones"], [tensor], axis=1),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)
    return path


def test_a_graph_that_gives_too_few_frames(tmp_path, tone_model):
    path = one_frame_of("log_posteriors", tone_model, tmp_path / "a.onnx")
    refused(path, r"shape \(1, 1, 7\), not \(1, 2, 7\)")


def test_a_graph_that_fails_when_it_runs(tmp_path, tone_model, capfd):
    refused(one_frame_of("blank2", tone_model, tmp_path / "a.onnx"), "failed to run")
    assert capfd.readouterr().err == ""  # onnxruntime does not say it a second time


def test_a_model_runs_many_streams_at_once(tone_model, tune):
    model = OnnxModel.load(tone_model)
    chunks = tune[: 1280 * 60].reshape(3, 20, 1280)
    states = model.init_states(batch=3)
    separate = [model.init_states() for _ in chunks]
    for step in range(20):
        together, states, _ = model.run(np.ascontiguousarray(chunks[:, step]), states)
        for row in range(3):
            alone, separate[row], _ = model.run(chunks[row, step][None], separate[row])
            np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


def test_a_name_is_that_of_a_shipped_model():
    for name, path in shipped().items():
        assert find(name) == path
    with pytest.raises(KwsError, match="there is no model 'wake-wrods'"):
        find("wake-wrods")


def test_nothing_is_left_behind_where_onnxruntime_would_report_to_its_makers(tone_model, tmp_path):
    silence = tmp_path / "silence.wav"
    corpora.write_wav(silence, np.zeros(16_000, np.float32))
    home = tmp_path / "home"
    home.mkdir()
    said = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    command = [sys.executable, "-B", "-m", "kws", "detect", tone_model, silence]
    subprocess.run(command, env={**said, "HOME": str(home)}, check=True, capture_output=True)
    assert list(home.rglob("*")) == []  # onnxruntime 1.29 and later write an identifier of the device there


def test_the_device_needs_numpy_and_onnxruntime_alone(tone_model):
    code = """
import sys
import numpy as np
from kws.runtime.detector import Detector
Detector.load(sys.argv[1]).stream().push(np.zeros(20000, np.int16))
print(*sorted({name.partition(".")[0] for name, module in sys.modules.items()
               if "site-packages" in (getattr(module, "__file__", None) or "")}))
"""
    output = subprocess.run([sys.executable, "-c", code, str(tone_model)], capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    found = {name for name in output.stdout.split() if not name.startswith("_")}  # _: how pip installs kws
    assert found - {"kws"} == {"numpy", "onnxruntime"}


def test_detectors_and_streams_say_what_they_are(tone_model):
    detector = kws.Detector.load(tone_model)
    assert repr(detector) == "<kws.Detector tones: abc at 0.5, fed at 0.5, eel at 0.5>"
    stream = detector.stream(16_000)
    stream.push(np.zeros(1280 * 3 + 5, np.int16))
    assert repr(stream) == "<kws.Stream of tones at 16000 Hz, 0.24 s heard>"


def test_phrases_are_added_as_text_or_with_their_phones(tone_model):
    detector = kws.Detector.load(tone_model)
    added = detector.with_keywords(["bee dee=B D", "fee=F | B F"])
    assert [keyword.name for keyword in added.keywords[-2:]] == ["bee dee", "fee"]
    assert added.keywords[-1].spellings == (("F",), ("B", "F"))
    assert detector.with_keywords({"fee": [["F"]]}).keywords[-1].spellings == (("F",),)
    with pytest.raises(InputError, match=r"with_keywords\(\['fee=F'\]\)"):
        detector.with_keywords("fee=F")
    with pytest.raises(InputError, match="a phrase is text"):
        detector.with_keywords([["F", "B"]])


def test_a_phrase_with_phones_is_spelled_without_a_dictionary(monkeypatch):
    monkeypatch.setattr("kws.lexicon.load_cmudict", None)
    assert kws.spell("zorgo=Z AO R G OW") == [("Z", "AO", "R", "G", "OW")]
