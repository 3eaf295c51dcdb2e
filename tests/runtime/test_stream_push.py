"""`Stream.push` lets the model hear small blocks together, and no event comes later for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tones
from kws import audio
from kws.runtime.detector import Detector
from trees import ROOT

CHUNK = 640  # of the model of tones


@pytest.fixture(scope="module")
def detector(tone_model):
    return Detector.load(tone_model)


@pytest.fixture(scope="module")
def sound():
    tune = tones.speak("   ABC    D FE  BEE   ABC ABC      CAB   ")
    return (tune + np.random.default_rng(0).normal(0, 0.003, tune.size)).astype(np.float32)


def counted(detector, monkeypatch):
    """The number of samples in each call of the graph from now on."""
    calls, run = [], detector.model.run

    def counting(pcm, states):
        calls.append(pcm.shape[1])
        return run(pcm, states)

    monkeypatch.setattr(detector.model, "run", counting)
    return calls


def pushed(stream, blocks):
    """The events with the number of samples pushed when each came, and all peaks."""
    events, peaks, taken = [], [], 0
    for block in blocks:
        taken += len(block)
        events += [(event, taken) for event in stream.push(block)]
        peaks += stream.peaks
    events += [(event, taken) for event in stream.flush()]
    return events, peaks + stream.peaks


@given(st.lists(st.integers(0, 80_000), max_size=40), st.booleans())
@settings(max_examples=30, deadline=None)
def test_blocks_change_no_event(detector, sound, cuts, gate):
    whole = detector.stream(gate=gate)
    wanted = whole.process(sound, last=True).detections
    events, peaks = pushed(detector.stream(gate=gate), np.split(sound, sorted(cuts)))
    assert [event for event, _ in events] == wanted
    assert peaks == whole.peaks


def test_an_event_comes_with_the_block_that_decides_it(detector, sound):
    blocks = np.split(sound, range(CHUNK, len(sound), CHUNK))
    events, _ = pushed(detector.stream(), blocks)
    eager, due, taken = detector.stream(), [], 0
    for block in blocks:
        taken += len(block)
        due += [taken] * len(eager.process(block).detections)
    assert len(due) >= 3
    assert [taken for _, taken in events[: len(due)]] == due


def test_small_blocks_are_heard_together(monkeypatch):
    detector, sound = Detector.load("wake-words"), audio.read(ROOT / "demo" / "hear.wav")[: 10 * 16_000]
    wanted = detector.stream().process(sound).detections
    calls, info = counted(detector, monkeypatch), detector.info
    stream = detector.stream()
    events = [event for block in np.split(sound, range(320, len(sound), 320)) for event in stream.push(block)]
    kept = info.chunks_per_call * info.chunk_samples
    assert [(e.keyword, e.start, e.end) for e in events] == [(e.keyword, e.start, e.end) for e in wanted] != []
    assert len(sound) - kept <= sum(calls) <= len(sound)
    assert len(calls) < 0.4 * sum(calls) / info.chunk_samples


def test_process_waits_for_nothing_after_push(detector, sound):
    stream, eager = detector.stream(), detector.stream()
    for block in np.split(sound[: 20 * CHUNK], 20):
        stream.push(block)
    first = eager.process(sound[: 20 * CHUNK])
    then = stream.process(sound[20 * CHUNK : 21 * CHUNK])
    wanted = eager.process(sound[20 * CHUNK : 21 * CHUNK])
    assert then.first_frame <= len(first.scores)
    np.testing.assert_array_equal(then.scores[-len(wanted.scores) :], wanted.scores)
    assert eager.wait_s == stream.wait_s


@given(st.lists(st.tuples(st.integers(0, 9_000), st.sampled_from(["push", "push", "process", "wrong"])), max_size=40))
@settings(max_examples=40, deadline=None)
def test_push_and_process_may_take_turns(detector, sound, turns):
    whole = detector.stream()
    wanted = whole.process(sound, last=True)
    stream, events, at = detector.stream(), [], 0
    for size, way in turns:
        block, at = sound[at : at + size], at + size * (way != "wrong")
        if way == "wrong":
            with pytest.raises(ValueError, match="finite"):
                stream.process(np.array([np.nan], np.float32))
        elif way == "push":
            events += stream.push(block)
        else:
            found = stream.process(block)
            np.testing.assert_array_equal(
                found.scores, wanted.scores[found.first_frame : found.first_frame + len(found.scores)]
            )
            events += found.detections
    events += stream.push(sound[at:])
    events += stream.flush()
    assert events == wanted.detections


def test_a_wrong_block_loses_nothing_that_is_kept(detector, sound):
    wanted = detector.stream().process(sound, last=True).detections
    stream, events = detector.stream(), []
    for block in np.split(sound, range(CHUNK, len(sound), CHUNK)):
        events += stream.push(block)
        with pytest.raises(ValueError, match="finite"):
            stream.push(np.array([np.nan], np.float32))
    assert events + stream.flush() == wanted


def test_a_stream_that_is_reset_has_forgotten_what_it_kept(detector, sound):
    wanted = detector.stream().process(sound, last=True).detections
    stream = detector.stream()
    stream.push(sound[: 3 * CHUNK])
    stream.push(sound[: 2 * CHUNK + 7])
    stream.reset()
    assert stream.process(sound, last=True).detections == wanted
