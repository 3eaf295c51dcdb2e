"""The gate: what is loud is always heard, and half a second before it; in the quiet the model does not run."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tones
from kws.runtime.gate import KEPT_S, Gate
from kws.runtime.session import OnnxModel

CHUNK, QUIET = 1280, 10
RNG = np.random.default_rng(0)


def noise(chunks, level):
    return (level * RNG.standard_normal(chunks * CHUNK)).astype(np.float32)


def heard(gate, sound, cuts=()):
    """Which chunks of the sound the gate lets the model hear, and in which order."""
    order, at = [], 0
    ends = [*cuts, len(sound) // CHUNK]
    for end in sorted({end for end in ends if end}):
        for part in gate.take(sound[None, at * CHUNK : end * CHUNK]):
            count = part.pcm.shape[1] // CHUNK
            begin = at - count if part.again else at
            assert np.array_equal(part.pcm[0], sound[begin * CHUNK : (begin + count) * CHUNK])
            order += range(begin, begin + count) if part.heard else []
            at += 0 if part.again else count
        assert at == end, "each chunk is in one part"
    return order


bursts = st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0.0, 1e-4, 0.003, 0.1])), min_size=1, max_size=8)


@settings(deadline=None)
@given(bursts, st.data())
def test_how_a_stream_is_cut_changes_nothing(parts, data):
    sound = np.concatenate([noise(chunks, level) for chunks, level in parts])
    cuts = data.draw(st.lists(st.integers(0, len(sound) // CHUNK), max_size=5).map(sorted))
    assert heard(Gate(CHUNK, QUIET), sound, cuts) == heard(Gate(CHUNK, QUIET), sound)


@settings(deadline=None)
@given(st.integers(0, 60), st.sampled_from([1e-4, 1e-3, 0.01]), st.floats(6, 40), st.integers(1, 5))
def test_what_is_loud_is_heard_and_half_a_second_before_it(before, level, snr_db, chunks):
    """6 dB over the noise: as loud as the louder half of a word at 5 dB."""
    burst = noise(chunks, level * 10 ** (snr_db / 20))
    sound = np.concatenate([noise(before + 60, level), burst, noise(30, level)])
    order = heard(Gate(CHUNK, QUIET), sound)
    kept = int(KEPT_S * 16000 / CHUNK)
    assert set(range(before + 60 - kept, before + 60 + chunks + QUIET)) <= set(order)
    assert order == sorted(set(order)), "in order of time, and none twice"


@pytest.mark.parametrize("level", [0.0, 1e-5, 1e-3, 0.1])
def test_steady_noise_is_quiet_and_memory_is_bounded(level):
    gate = Gate(CHUNK, QUIET)
    order = heard(gate, noise(500, level))
    assert gate.asleep and len(order) < 100
    assert sum(chunk.shape[1] for chunk in gate._kept) <= KEPT_S * 16000


def test_a_louder_noise_is_quiet_in_the_end():
    sound = np.concatenate([noise(100, 1e-3), noise(600, 1e-2)])
    order = heard(Gate(CHUNK, QUIET), sound)
    assert set(range(100, 150)) <= set(order), "20 dB louder is heard at first"
    assert 699 not in order, "and has become the floor some seconds later"


def test_a_hiss_is_loud_where_a_rumble_is_louder():
    """An s under traffic: the differences of the samples tell it, though the energy does not."""
    time = np.arange(200 * CHUNK)
    rumble = (0.1 * np.sin(2 * np.pi * 50 * time / 16000)).astype(np.float32) + noise(200, 1e-4)
    hiss = np.diff(noise(200, 0.005), prepend=np.float32(0)) * ((time > 150 * CHUNK) & (time < 152 * CHUNK))
    order = heard(Gate(CHUNK, QUIET), rumble + hiss.astype(np.float32))
    assert 149 in order and 151 in order and 130 not in order


@pytest.fixture(scope="module")
def sound():
    """Tunes with long pauses, in a little noise."""
    rng, pause = np.random.default_rng(1), np.zeros(6 * 16000)
    tunes = [tones.speak(tune) for tune in ("ABC", "FED ABC", "EEB ABC")]
    spoken = np.concatenate([pause, *itertools.chain(*((tune, pause) for tune in tunes))])
    return (spoken + rng.normal(0, 0.0005, spoken.size)).astype(np.float32)


def events_of(stream, sound, block):
    found = [e for at in range(0, len(sound), block) for e in stream.push(sound[at : at + block])]
    return found + stream.flush()


def test_events_are_those_without_a_gate(detector, sound):
    without = events_of(detector.stream(), sound, 4000)
    assert len(without) >= 3
    for block in (400, 5000, len(sound)):
        gated = events_of(detector.stream(gate=True), sound, block)
        assert [(e.keyword, e.start, e.end) for e in gated] == [(e.keyword, e.start, e.end) for e in without]


def test_alone_is_in_company(detector, sound):
    streams = detector.streams(gate=True)
    first, found = streams.join(), []
    first.push(sound[:50_000])
    other = streams.join()
    for at in range(50_000, len(sound), 7001):
        first.push(sound[at : at + 7001])
        other.push(sound[::-1][at : at + 3000])
        found += [event for handle, event in streams.run() if handle is first]
    first.flush()
    found += [event for handle, event in streams.run() if handle is first]
    assert found == events_of(detector.stream(gate=True), sound, 4000)


def test_frames_and_peaks_are_told_of_as_without(detector, sound):
    plain, gated = (detector.stream(gate=gate) for gate in (False, True))
    peaks = [], []
    for at in range(0, len(sound), 9000):
        results = [stream.process(sound[at : at + 9000]) for stream in (plain, gated)]
        assert results[0].scores.shape == results[1].scores.shape
        assert results[0].first_frame == results[1].first_frame
        assert np.allclose(np.exp(results[1].log_posteriors).sum(axis=1), 1, atol=1e-3)
        for told, stream in zip(peaks, (plain, gated), strict=True):
            told += [(event.keyword, event.end) for event in stream.peaks]
    assert peaks[0] == peaks[1] and peaks[0]


def test_a_stream_that_is_reset_is_as_new(detector, sound):
    stream = detector.stream(gate=True)
    stream.push(sound)
    stream.reset()
    assert events_of(stream, sound, 4000) == events_of(detector.stream(gate=True), sound, 4000)


def test_the_model_does_not_run_while_it_is_quiet(detector, monkeypatch):
    calls = []
    run = OnnxModel.run
    monkeypatch.setattr(OnnxModel, "run", lambda *args: calls.append(1) or run(*args))
    stream = detector.stream(gate=True)
    stream.push(np.zeros(5 * 16000, np.float32))
    begun = len(calls)
    stream.push(np.zeros(60 * 16000, np.float32))
    assert 0 < begun == len(calls)


def heard_and_peaks(stream, sound, cuts=()):
    """Events and peaks of a stream that is cut somehow, as (keyword, start, end)."""
    events, peaks = [], []
    for begin, end in itertools.pairwise([0, *cuts, len(sound)]):
        events += stream.push(sound[begin:end])
        peaks += stream.peaks
    events += stream.flush()
    return places(events), places(peaks + stream.peaks)


def in_company(detector, sound, cuts=()):
    """The same of a handle that is heard after each cut."""
    streams, events, peaks = detector.streams(gate=True), [], []
    handle = streams.join()

    def run():
        events.extend(event for _, event in streams.run())
        peaks.extend(event for _, event in streams.peaks)

    for begin, end in itertools.pairwise([0, *cuts, len(sound)]):
        handle.push(sound[begin:end])
        run()
    handle.flush()
    run()
    assert handle.leave() == [], "no peak is left"
    return places(events), places(peaks)


def places(events):
    return [(event.keyword, event.start, event.end) for event in events]


pieces = st.one_of(
    st.integers(0, 64_000).map(np.zeros),
    st.integers(1, 20_000).map(lambda count: 0.02 * np.random.default_rng(count).standard_normal(count)),
    st.sampled_from(["ABC", "FED", "FE", "EEB", "AB", "BC"]).map(tones.speak),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(pieces, max_size=10), st.sampled_from([0.0, 1e-5, 1e-3]), st.sampled_from([0.0, 0.2]), st.data())
def test_quiet_noise_and_words_give_the_events_of_a_stream_without_a_gate(detector, parts, floor, offset, data):
    sound = np.concatenate([*parts, np.zeros(0)])
    sound = sound + offset + floor * np.random.default_rng(0).standard_normal(sound.size)
    sound = sound.clip(-1, 1).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sound)), max_size=5)))
    plain = heard_and_peaks(detector.stream(), sound)
    assert heard_and_peaks(detector.stream(gate=True), sound, cuts) == plain
    assert in_company(detector, sound, cuts) == plain


@pytest.mark.parametrize("after", range(44, 56))
def test_a_word_that_begins_as_the_model_falls_asleep_is_heard(detector, after):
    """Its first tone is not loud in this noise: the model sleeps for a chunk or two of it, and goes on where it was."""
    sound, first, word = np.zeros(160_000), tones.speak("FED"), 0.5 * tones.speak("ABC", tone_s=0.2)
    sound[80_000 : 80_000 + len(first)] = first
    begin = 80_000 + len(first) + 16_000 + (after - 25) * 320
    sound[begin : begin + len(word)] += word
    sound = (sound + 0.03 * np.random.default_rng(0).standard_normal(sound.size)).clip(-1, 1).astype(np.float32)
    plain = heard_and_peaks(detector.stream(), sound)
    assert [keyword for keyword, _, _ in plain[0]] == ["fed", "abc"]
    assert heard_and_peaks(detector.stream(gate=True), sound) == in_company(detector, sound) == plain


@pytest.mark.parametrize("before", range(6_000, 26_000, 2_000))
def test_a_peak_is_told_of_though_the_model_sleeps_by_then(detector, before):
    """A word that is not loud in its noise, heard while the model is still awake."""
    sound = np.concatenate([np.zeros(before), 0.6 * tones.speak("ABC"), np.zeros(60_000)])
    sound = (sound + 0.1 * np.random.default_rng(0).standard_normal(sound.size)).clip(-1, 1).astype(np.float32)
    alone = heard_and_peaks(detector.stream(gate=True), sound, range(4_000, len(sound), 4_000))
    assert alone[0] == alone[1]
    assert in_company(detector, sound, range(4_000, len(sound), 4_000)) == alone
    assert in_company(detector, sound) == alone


def test_what_may_wait_while_asleep_is_what_may_in_a_fresh_stream(detector):
    stream = detector.stream(gate=True)
    fresh = stream.wait_s
    stream.push(np.zeros(60 * 16_000, np.float32))
    assert stream.wait_s == fresh


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_int16_at_any_rate_gives_the_same_times_after_long_quiet(detector, rate):
    pytest.importorskip("soxr")
    word = np.concatenate([np.zeros(5 * rate), tones.speak("ABC", rate=rate), np.zeros(3 * rate)])
    found = []
    for gate in (False, True):
        stream = detector.stream(rate, gate=gate)
        for _ in range(10):
            stream.push(np.zeros(6 * rate, np.int16))
        found.append(places([*stream.push((word * 32_767).astype(np.int16)), *stream.flush()]))
    assert found[0] == found[1] and len(found[0]) == 1
    assert 65 * 16_000 < found[0][0][2] < 66 * 16_000
