"""Many streams in one process: each hears what it would hear alone, whoever comes, goes and stumbles beside it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tones
from kws import audio
from kws.decoding.scorer import KeywordScorer
from kws.decoding.trigger import Trigger
from kws.errors import InputError, KwsError
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.streams import MOST_AT_ONCE
from trees import ROOT

TUNES = ["  ABC   FED", " FED ABC ABC", "EEB  EEB", "ABC", "     ", "DDABCDD FE A"]


@pytest.fixture(scope="module")
def sounds():
    """A tune each, in a little noise, so that every stream's posteriors are its own."""
    rng = np.random.default_rng(0)
    spoken = [tones.speak(tune) for tune in TUNES]
    return [(sound + rng.normal(0, 0.003, sound.size)).astype(np.float32) for sound in spoken]


def alone(detector, sound, last, rate=16000):
    stream = detector.stream(rate)
    return stream.push(sound) + (stream.flush() if last else [])


def peaks_alone(detector, sound, last):
    stream = detector.stream()
    stream.push(sound)
    peaks = stream.peaks
    if last:
        stream.flush()
        peaks = [*peaks, *stream.peaks]
    return peaks


def of(handle, events):
    return [event for who, event in events if who is handle]


# What may happen: a tune joins; one of those present is given a block, ends or leaves; what waits is run.
one = st.integers(0, 50)
happening = st.one_of(
    st.tuples(st.just("join"), one),
    *[st.tuples(st.just("push"), one, st.integers(0, 9000))] * 4,  # as most of what happens
    st.tuples(st.sampled_from(["flush", "leave"]), one),
    st.tuples(st.sampled_from(["run", "step"])),
)


@given(st.lists(happening, min_size=20, max_size=80))
@settings(max_examples=25, deadline=None)
def test_interleaved_is_separate_whoever_joins_and_leaves(detector, sounds, happenings):
    streams, events, peaks, gone = detector.streams(), [], [], []
    present = [[streams.join(), sound, 0] for sound in sounds[:3]]  # each with what it says and how much of it is said
    for what, *numbers in happenings:
        if what == "join":
            present.append([streams.join(), sounds[numbers[0] % len(sounds)], 0])
        elif what in ("run", "step"):
            events += getattr(streams, what)()
            peaks += streams.peaks
        elif present:
            handle, sound, place = chosen = present[numbers[0] % len(present)]
            if what == "push":
                handle.push(sound[place : place + numbers[1]])
                chosen[2] = min(place + numbers[1], len(sound))
                continue
            present.remove(chosen)
            if what == "flush":
                handle.flush()
                events += streams.run()
                peaks += streams.peaks
            assert not handle.leave() or what != "flush"
            gone.append((*chosen, what == "flush"))
    events += streams.run()
    peaks += streams.peaks
    for handle, sound, place in present:
        assert of(handle, events) == alone(detector, sound[:place], last=False)
        assert of(handle, peaks) == peaks_alone(detector, sound[:place], last=False)
    for handle, sound, place, ended in gone:
        known, all_known = of(handle, peaks), peaks_alone(detector, sound[:place], last=ended)
        assert known == (all_known if ended else all_known[: len(known)])
        heard, wanted = of(handle, events), alone(detector, sound[:place], last=ended)
        assert heard == (wanted if ended else wanted[: len(heard)])  # who leaves leaves what waits unheard


def test_who_leaves_is_told_the_peaks_by_then(detector, sounds):
    streams = detector.streams()
    handle = streams.join()
    handle.push(sounds[0][:16_000])
    (event,) = of(handle, streams.run())
    assert streams.peaks == []
    (left,) = handle.leave()
    assert replace(left, peak=None) == event and left.peak >= event.score
    assert handle.leave() == []


def test_every_keyword_of_every_stream_is_heard_when_many_run_at_once(detector, sounds):
    streams = detector.streams()
    handles = [(streams.join(), sounds[n % len(sounds)]) for n in range(2 * MOST_AT_ONCE + 3)]
    events = []
    for begin in range(0, max(map(len, sounds)), 1000):
        for handle, sound in handles:
            handle.push(sound[begin : begin + 1000])
        events += streams.run()
    for handle, _ in handles:
        handle.flush()
    events += streams.run()
    wanted = [alone(detector, sound, last=True) for sound in sounds]
    assert sum(map(len, wanted)) >= len(TUNES)
    for number, (handle, _) in enumerate(handles):
        assert of(handle, events) == wanted[number % len(sounds)]


def test_the_shipped_model_hears_the_same_in_company():
    detector = Detector.load("wake-words")
    recording = audio.read(ROOT / "demo" / "hear.wav")
    sounds = [recording[begin : begin + 8 * 16000] for begin in (0, 30000, 60001)]
    streams = detector.streams()
    handles = [streams.join() for _ in sounds]
    for handle, sound in zip(handles, sounds, strict=True):
        handle.push(sound)
    events = streams.run()
    for handle, sound in zip(handles, sounds, strict=True):
        heard, wanted = of(handle, events), alone(detector, sound, last=False)
        assert [(e.keyword, e.start, e.end) for e in heard] == [(e.keyword, e.start, e.end) for e in wanted] != []
        assert [e.score for e in heard] == pytest.approx([e.score for e in wanted], rel=1e-3)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_each_stream_has_its_own_rate(detector, sounds, rate):
    streams = detector.streams()
    fast, plain = streams.join(rate), streams.join()
    assert (fast.sample_rate, plain.sample_rate) == (rate, 16000)
    tune = tones.speak(TUNES[0], rate=rate)
    for part in np.array_split(tune, 30):
        fast.push(part)
    plain.push(sounds[1])
    events = streams.run()
    assert of(fast, events) == alone(detector, tune, last=False, rate=rate) != []
    assert of(plain, events) == alone(detector, sounds[1], last=False)


def test_several_chunks_of_a_stream_are_heard_in_one_call_and_no_event_is_late(monkeypatch):
    detector, calls = Detector.load("wake-words"), []
    sound = audio.read(ROOT / "demo" / "hear.wav")[: 10 * 16_000]
    blocks = np.split(sound, range(1280, len(sound), 1280))
    alone, wanted = detector.stream(), []
    for number, block in enumerate(blocks):
        wanted += [(number, event.keyword) for event in alone.push(block)]
    run = detector.model.run
    monkeypatch.setattr(detector.model, "run", lambda pcm, states: calls.append(pcm.size) or run(pcm, states))
    streams = detector.streams()
    handle, found = streams.join(), []
    for number, block in enumerate(blocks):
        handle.push(block)
        assert streams.waiting == handle.is_due
        found += [(number, event.keyword) for _, event in streams.run()]
        assert not handle.is_due
    assert found == wanted != []
    assert len(calls) < 0.4 * sum(calls) / 1280


def test_who_has_left_is_no_longer_due(detector, sounds):
    streams = detector.streams()
    handle = streams.join()
    handle.push(sounds[0])
    assert handle.is_due and streams.waiting == 1
    handle.leave()
    assert not handle.is_due and streams.waiting == 0


def test_the_first_pass_alone_hears_many_streams():
    pair = Detector.load("wake-words")
    first = Detector(pair.model, verify=False)
    sound = audio.read(ROOT / "demo" / "hear.wav")[:32_000]
    streams = first.streams()
    handle = streams.join()
    handle.push(sound)
    events = of(handle, streams.run())
    assert [event.keyword for event in events] == [event.keyword for event in first.stream().process(sound).detections]


def test_a_step_hears_those_that_have_waited_longest(detector):
    streams = detector.streams()
    handles = [streams.join() for _ in range(MOST_AT_ONCE + 2)]
    chunk = np.zeros(1280, np.int16)
    for handle in reversed(handles):
        handle.push(np.concatenate([chunk, chunk]))
    assert streams.waiting == len(handles)
    streams.step()
    assert [handle.waiting for handle in handles] == [2, 2] + [1] * MOST_AT_ONCE
    streams.step()
    assert [handle.waiting for handle in handles][:2] == [1, 1]
    streams.run()
    assert streams.waiting == sum(handle.waiting for handle in handles) == 0
    assert streams.step() == streams.run() == []


def test_a_wrong_block_is_its_senders_alone(detector, sounds):
    streams = detector.streams()
    good, bad = streams.join(), streams.join()
    good.push(sounds[0][:20000])
    bad.push(sounds[1][:700])
    for block in (np.zeros(10), np.array([0, np.nan], np.float32), [1, 2], np.zeros((4, 2), np.int16)):
        with pytest.raises(InputError, match="samples must be"):
            bad.push(block)
    bad.push(sounds[1][700:])
    good.push(sounds[0][20000:])
    events = streams.run()
    assert of(good, events) == alone(detector, sounds[0], last=False) != []
    assert of(bad, events) == alone(detector, sounds[1], last=False) != []
    with pytest.raises(InputError, match="sample rate"):
        streams.join(4000)


def test_a_model_that_fails_once_leaves_nobody_deaf(detector, sounds, monkeypatch):
    streams = detector.streams()
    handles = [streams.join() for _ in range(2)]
    for handle in handles:
        handle.push(sounds[0])
    waiting = handles[0].waiting
    with monkeypatch.context() as broken:
        broken.setattr(OnnxModel, "run", fail)
        with pytest.raises(KwsError, match="out of memory"):
            streams.run()
    lost = {waiting - handle.waiting for handle in handles}
    assert len(lost) == 1 and 0 < lost.pop() <= detector.info.chunks_per_call
    streams.run()
    assert max(handle.waiting for handle in handles) <= 3  # in which no event is possible
    for handle in handles:
        handle.push(sounds[1])
        handle.leave()
    assert streams.run() == []


def fail(*_):
    raise KwsError("the model failed to run: out of memory")


def test_a_buffer_may_be_used_again_before_what_it_held_is_heard(detector, sounds):
    streams = detector.streams()
    handle, buffer = streams.join(), np.empty(1280, np.float32)
    for begin in range(0, len(sounds[0]) - 1280, 1280):
        buffer[:] = sounds[0][begin : begin + 1280]
        handle.push(buffer)
    buffer[:] = 0
    assert of(handle, streams.run()) == alone(detector, sounds[0], last=False) != []


def test_who_has_ended_or_left_takes_no_more(detector):
    streams = detector.streams()
    handle = streams.join()
    handle.flush()
    with pytest.raises(InputError, match="ended"):
        handle.push(np.zeros(10, np.int16))
    handle.leave()
    handle.leave()
    with pytest.raises(InputError, match="left"):
        handle.push(np.zeros(10, np.int16))
    assert streams.waiting == 0
    assert streams.run() == []


def test_those_who_left_leave_no_memory_behind(detector, sounds):
    streams = detector.streams()
    sizes = set()
    for _ in range(40):
        handles = [streams.join() for _ in range(3)]
        for handle in handles:
            handle.push(sounds[0])
        streams.run()
        sizes.add(sum(array.nbytes for array in streams._states._arrays))
        for handle in handles:
            handle.leave()
    assert len(sizes) == 1


def log_softmax(logits):
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=5), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(1, 12),
    st.integers(0, 4),
)
@settings(max_examples=60, deadline=None)
def test_a_scorer_gives_every_stream_of_a_batch_its_own_numbers(seed, spellings, batch, max_duration, max_gap):
    rng = np.random.default_rng(seed)
    owner = [number // 2 for number in range(len(spellings))]
    scorer = KeywordScorer(spellings, owner, max_duration_frames=max_duration, max_gap_frames=max_gap)
    posteriors = log_softmax(rng.normal(size=(batch, 12, 5)) * 3).astype(np.float32)
    first, first_ages, between = scorer.score(posteriors[:, :7])
    then, then_ages, after = scorer.score(posteriors[:, 7:], between)
    assert first.shape == (batch, 7, scorer.keywords)
    for row in range(batch):
        scores, ages, state = scorer.score(posteriors[row])
        np.testing.assert_array_equal(np.concatenate([first[row], then[row]]), scores)
        np.testing.assert_array_equal(np.concatenate([first_ages[row], then_ages[row]]), ages)
        np.testing.assert_array_equal(after.paths[row], state.paths)


def test_a_scorer_refuses_a_state_of_other_streams():
    scorer = KeywordScorer([[1, 2], [3]], [0, 1], max_duration_frames=9, max_gap_frames=3)
    with pytest.raises(InputError, match="cannot follow"):
        scorer.score(np.zeros((3, 2, 4)), scorer.init_state(2))
    with pytest.raises(InputError, match="cannot follow"):
        scorer.score(np.zeros((2, 4)), scorer.init_state(2))
    scores, ages, state = scorer.score(np.zeros((0, 2, 4)))
    assert scores.shape == ages.shape == (0, 2, 2)
    assert state.paths.shape == scorer.init_state(0).paths.shape


def test_a_trigger_is_asked_only_where_a_threshold_is_reached():
    trigger = Trigger([0.5, 0.8], 3)
    scores = np.array([[[0.4, 0.7], [0.5, 0.1]], [[0.4, 0.79], [0.1, 0.2]], [[0.0, 0.8], [np.nan, 0.0]]])
    assert trigger.reached(scores).any(axis=(1, 2)).tolist() == [True, False, True]
