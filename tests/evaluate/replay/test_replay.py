"""One source through a system: blocks change nothing, and the events are those of the device."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tones
from corpora import write_wav
from kws import audio
from kws.cli.main import main
from kws.decoding.trigger import Trigger
from kws.evaluate.replay.cache import system_digest
from kws.evaluate.replay.conditions import Rules
from kws.evaluate.replay.one import SourceError, replay
from kws.evaluate.replay.recording import FLOOR, Replayed, TestItem
from kws.evaluate.replay.systems import EngineSystem, SystemSpec, open_system

SOUND = tones.speak("ABC FED  EEB DAB ABC   ABC")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> TestItem:
    path = tmp_path_factory.mktemp("replay") / "tunes.wav"
    write_wav(path, np.concatenate([SOUND, np.zeros(3210, np.float32)]))
    return TestItem(path, "tunes", "negative")


@pytest.fixture(scope="module")
def system(tone_model):
    return open_system(SystemSpec(str(tone_model)))


def same(one: Replayed, other: Replayed) -> bool:
    parts = ("frames", "scores", "ages")
    return (one.item, one.samples) == (other.item, other.samples) and all(
        np.array_equal(getattr(one, part), getattr(other, part))
        and getattr(one, part).dtype == getattr(other, part).dtype
        for part in parts
    )


@settings(deadline=None, max_examples=25)
@given(block_samples=st.integers(1, 20_000) | st.sampled_from([1, 639, 640, 1280, 10**9]))
def test_blocks_of_any_size_give_the_same_recording(system, source, block_samples):
    assert same(replay(system, source, Rules(0.5), max(block_samples, 50)), replay(system, source, Rules(0.5)))


@pytest.mark.parametrize("silence_s", [0.0, 1.0])
def test_the_events_are_those_of_kws_detect(system, source, tone_model, tmp_path, capsys, silence_s):
    path = tmp_path / "between_silences.wav"
    silence = np.zeros(int(silence_s * 16_000), np.float32)
    write_wav(path, np.concatenate([silence, audio.read(source.audio) * 32768 / 32767, silence]))
    assert main(["detect", "--model", str(tone_model), "--json", str(path)]) == 0
    heard = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    recording = replay(system, source, Rules(silence_s))
    trigger, events = Trigger(system.thresholds, system.refractory_frames), []
    state = trigger.init_state()
    for frame, scores, ages in zip(recording.frames, recording.scores, recording.ages, strict=True):
        fired, state = trigger.step(scores, ages, int(frame), state)
        events += [(system.keywords[k], round((int(frame) + 1) * 0.04 + silence_s, 3)) for k in fired]
    assert len(events) >= 5
    assert events == [(event["keyword"], event["end_s"]) for event in heard]


def test_only_frames_over_the_floor_are_kept_and_counted_from_the_source_on(system, source):
    recording = replay(system, source, Rules(1.0))
    whole = open_system(SystemSpec(str(system.detector.model.path))).detector.stream()
    sound = np.pad(audio.read(source.audio), 16_000)
    result = whole.process(sound, last=True)
    kept = np.flatnonzero((result.scores > FLOOR).any(axis=1))
    assert 0 < len(kept) < len(result.scores)
    assert np.array_equal(recording.frames, kept - 25)
    assert np.array_equal(recording.scores, result.scores[kept]) and np.array_equal(recording.ages, result.ages[kept])
    assert recording.samples == len(audio.read(source.audio))


class Clicks:
    """An engine with frames of 32 ms that fires on a chunk whose first sample is loud."""

    keywords, thresholds, version, size_bytes, chunk_samples = ("click",), (0.5,), "1", 0, 512

    def reset(self) -> None:
        self.heard = 0

    def process(self, chunk: np.ndarray) -> bool:
        self.heard += 1
        return chunk[0] > 10_000


@pytest.mark.parametrize("silence_s", [0.0, 0.01, 1.0])
def test_a_source_begins_with_a_frame_of_any_length(tmp_path, silence_s):
    click = np.zeros(1000)
    click[[0, 512]] = 0.9
    write_wav(tmp_path / "click.wav", click)
    recording = replay(
        EngineSystem("clicks", Clicks()), TestItem(tmp_path / "click.wav", "click", "positive"), Rules(silence_s)
    )
    assert recording.frames.tolist() == [0, 1] and recording.samples == 1000


def test_nothing_heard_is_a_recording_of_no_frames(system, tmp_path):
    write_wav(tmp_path / "silence.wav", np.zeros(50_000))
    recording = replay(system, TestItem(tmp_path / "silence.wav", "silence", "negative"), Rules())
    assert recording.samples == 50_000
    assert recording.frames.shape == (0,) and recording.scores.shape == recording.ages.shape == (0, 3)


@pytest.mark.parametrize("damage", ["truncated", "no audio", "missing", "integers"])
def test_a_file_that_cannot_be_read_to_its_end_is_named(system, tmp_path, damage):
    path: Path = tmp_path / "broken.wav"
    write_wav(path, np.tile(SOUND, 3))
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-5000])
    elif damage == "no audio":
        path.write_text("not audio")
    elif damage == "integers":
        pytest.importorskip("soundfile").write(path, SOUND * 30_000, 16_000, subtype="FLOAT")
    else:
        path.unlink()
    with pytest.raises(SourceError, match=r"broken\.wav"):
        replay(system, TestItem(path, "broken", "negative"), Rules())


def test_phrases_after_a_pause_are_those_of_another_system(tone_model):
    specs = [SystemSpec(str(tone_model), after_pause=asked) for asked in (False, True)]
    anywhere, after = (open_system(spec) for spec in specs)
    assert system_digest(specs[0], anywhere) != system_digest(specs[1], after)
    sound = np.tile(tones.speak("ABCABC"), 2)
    heard = [(system.stream().process(sound).scores > 0.3).sum() for system in (anywhere, after)]
    assert heard[0] > heard[1] > 0


def test_a_gate_is_another_system_to_what_was_replayed_before(tone_model):
    """The model sleeps in the quiet, so scores there are others: no store may take one for the other."""
    specs = [SystemSpec(str(tone_model), gate=gate) for gate in (False, True)]
    systems = [open_system(spec) for spec in specs]
    plain, gated = (system_digest(spec, system) for spec, system in zip(specs, systems, strict=True))
    assert plain != gated
    quiet = np.zeros(20 * 16_000, np.float32)
    scores = [system.stream().process(quiet).log_posteriors[-1] for system in systems]
    assert not np.array_equal(*scores), "the one hears silence, the other sleeps"
