"""The page's modules, each alone in real Chromium: the numbers and events of Python."""

import json
from base64 import b64encode
from collections.abc import Iterator

import numpy as np
import pytest

from browser import Browser
from kws import audio
from kws.decoding.event_peaks import EventPeaks
from kws.decoding.scorer import KeywordScorer, longest_path
from kws.decoding.trigger import Trigger
from kws.events import Detection
from kws.lexicon import Lexicon
from kws.runtime.detector import Detector
from kws.runtime.gate import Gate
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import shipped
from pauses import paused
from webpage import evaluate, served, speak


@pytest.fixture(scope="module")
def blank() -> Iterator[Browser]:
    """A page of the server on which its modules can be imported, with nothing running."""
    with served("wake-words") as port, Browser() as browser:
        browser.open(f"http://localhost:{port}/models.json")
        yield browser


# The scorer and the trigger, on log-posteriors

HEAR = """
const { EventPeaks, KeywordScorer, Trigger } = await import("/scoring.js");
const scorer = new KeywordScorer(spellings, owner, {
  blank, peakWeight, maxDurations, maxGapFrames, borders, maxPauseFrames,
});
const trigger = new Trigger(thresholds, refractory);
const watched = trigger.initState();
const openEvents = new EventPeaks(refractory);
const out = { scores: [], ages: [], events: [], peaks: [] };
const settle = (known) => out.peaks.push(...known.map(({ keyword, frame, peak }) => [frame, keyword, peak]));
let state = scorer.initState();
let frame = 0;
for (const rows of chunks) {
  const heard = scorer.score(Float32Array.from(rows.flat()), tokens, state);
  state = heard.state;
  out.scores.push(...heard.scores);
  out.ages.push(...heard.ages);
  const fired = trigger.run(heard.scores, heard.ages, frame, watched);
  out.events.push(...fired.map(({ row, keyword }) => [frame + row, keyword]));
  const width = scorer.keywords;
  const score = ({ row, keyword }) => heard.scores[row * width + keyword];
  const events = fired.map((one) => ({ keyword: one.keyword, frame: frame + one.row, score: score(one) }));
  settle(openEvents.hear(events, fired, heard.scores, frame, width));
  frame += rows.length;
}
settle(openEvents.end());
return out;
"""


@pytest.mark.parametrize("seed", range(6))
def test_scores_and_events_are_those_of_python(seed, blank):
    """Random spellings (repeated labels, several of a keyword), posteriors that say them now and then, odd chunks."""
    rng = np.random.default_rng(seed)
    tokens, frames, blank_id = 7, 400, int(seed % 2) * 3
    labels = [token for token in range(tokens) if token != blank_id]
    spellings = [rng.choice(labels, rng.integers(1, 5)).tolist() for _ in range(6)]
    owner = [0, 1, 1, 2, 3, 0]
    logits = rng.normal(0, 1.5, (frames, tokens))
    place = 0
    while place < frames - 30:  # one spelling after the other, label by label, with blanks between
        for label in spellings[rng.integers(len(spellings))]:
            for token in (label, blank_id):
                length = 18 if rng.random() < 0.1 else int(rng.integers(1, 3))  # now and then a held sound
                logits[place : place + length, token] += rng.uniform(1, 8)
                place += length
        place += int(rng.integers(0, 15))
    posteriors = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    longest = [20 + 5 * int(rng.integers(0, 3)) for _ in spellings]  # a long one may take longer
    borders = [[len(labels) // 2] if len(labels) > 1 else [] for labels in spellings]
    limits = {"max_duration_frames": longest, "max_gap_frames": 5, "peak_weight": 0.7}
    limits |= {"borders": borders, "max_pause_frames": 12}
    scorer = KeywordScorer(spellings, owner, blank=blank_id, **limits)
    trigger = Trigger([0.3, 0.5, 0.2, 0.4], 8)
    scores, ages, _ = scorer.score(posteriors, scorer.init_state())
    fired, _ = trigger.run(scores, ages, 0, trigger.init_state())
    assert len(fired) > 8

    cuts = np.sort(rng.integers(0, frames, 30))
    heard = evaluate(
        blank, HEAR, spellings=spellings, owner=owner, blank=blank_id, peakWeight=0.7, maxDurations=longest,
        maxGapFrames=5, borders=borders, maxPauseFrames=12, thresholds=[0.3, 0.5, 0.2, 0.4], refractory=8,
        tokens=tokens,
        chunks=[part.astype(float).tolist() for part in np.split(posteriors, cuts)],
    )  # fmt: skip
    np.testing.assert_allclose(np.reshape(heard["scores"], scores.shape), scores, rtol=1e-12, atol=1e-300)
    np.testing.assert_array_equal(np.reshape(heard["ages"], ages.shape), ages)
    assert heard["events"] == [list(event) for event in fired]
    peaks = EventPeaks(8)
    made = [Detection(str(keyword), float(scores[row, keyword]), row, row) for row, keyword in fired]
    known = [*peaks.hear(made, fired, scores, 0), *peaks.end()]
    assert [place[:2] for place in heard["peaks"]] == [[event.start, int(event.keyword)] for event in known]
    np.testing.assert_allclose([place[2] for place in heard["peaks"]], [event.peak for event in known], rtol=1e-12)


LONGEST = """
const { longestPath } = await import("/scoring.js");
return usual.map((frames) => labels.map((count) => longestPath(count, frames)));
"""


def test_a_long_phrase_may_take_as_long_as_in_python(blank):
    labels, usual = list(range(1, 60)), [9, 50, 58, 120]
    wanted = [[longest_path(count, frames) for count in labels] for frames in usual]
    assert evaluate(blank, LONGEST, labels=labels, usual=usual) == wanted


# Sound and model files

RESAMPLE = """
const { Resampler } = await import("/resample.js");
const resampler = new Resampler(rate);
const out = [];
let place = 0;
for (const length of [...lengths, sound.length]) {
  out.push(...resampler.push(Float32Array.from(sound.slice(place, (place += length)))));
}
return [...out, ...resampler.push(new Float32Array(0), true)];
"""


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_the_resampler_keeps_what_a_model_hears_and_blocks_change_nothing(rate, blank):
    """A chirp up to 7 kHz arrives in time and whole; what cannot be heard at 16 kHz leaves nothing behind."""
    seconds, low, high = 0.5, 50.0, min(7_000.0, 0.4 * rate)

    def chirp(at: int) -> np.ndarray:
        t = np.arange(round(seconds * at)) / at
        fade = np.minimum(1, np.minimum(t, seconds - t) / 0.05)
        return fade * np.sin(2 * np.pi * (low * t + (high - low) * t**2 / (2 * seconds)))

    sound = chirp(rate).astype(np.float32).astype(float).tolist()
    whole = np.array(evaluate(blank, RESAMPLE, rate=rate, sound=sound, lengths=[]))
    assert whole.size == 8_000
    assert np.abs(whole - chirp(16_000)).max() < 2e-3
    assert evaluate(blank, RESAMPLE, rate=rate, sound=sound, lengths=[1, 0, 777, 3]) == whole.tolist()
    if rate > 16_000:
        hiss = np.sin(2 * np.pi * 9_000 * np.arange(rate // 4) / rate).tolist()
        alias = np.array(evaluate(blank, RESAMPLE, rate=rate, sound=hiss, lengths=[]))
        assert np.abs(alias[500:-500]).max() < 1e-4


READ = """
const { readModelInfo } = await import("/modelinfo.js");
const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
try { return readModelInfo(bytes).info; } catch (error) { return error.message; }
"""


def test_the_model_info_is_read_from_the_model_file(blank):
    model = shipped()["wake-words"]
    whole = model.read_bytes()
    assert evaluate(blank, READ, file=b64encode(whole).decode()) == json.loads(OnnxModel.load(model).info.to_json())
    for spoiled, wanted in [(whole[:-100], "damaged"), (b"RIFF" * 9, "not an .onnx file"), (b"", "no model info")]:
        assert wanted in evaluate(blank, READ, file=b64encode(spoiled).decode())
    newer = whole.replace(b'"schema": 1,', b'"schema": 9,')
    assert "schema" in evaluate(blank, READ, file=b64encode(newer).decode())
    none = whole.replace(b"kws.manifest", b"kws.manifesd")
    assert "not a model of kws" in evaluate(blank, READ, file=b64encode(none).decode())


STREAM = """
const { Detector } = await import("/detector.js");
const bytes = new Uint8Array(await (await fetch("/models/wake-words.onnx")).arrayBuffer());
const stream = (await Detector.load(bytes)).stream(rate, undefined, gated);
const integers = new Int16Array(Uint8Array.from(atob(pcm), (letter) => letter.charCodeAt(0)).buffer);
const sound = Float32Array.from(integers, (integer) => integer / 32768);
const results = [];
for (let at = 0; at < sound.length; at += block) results.push(...await stream.push(sound.subarray(at, at + block)));
results.push(...await stream.flush());
return {
  posteriors: results.flatMap((r) => [...r.posteriors]), scores: results.flatMap((r) => [...r.scores]),
  events: results.flatMap((r) => r.events), peaks: results.flatMap((r) => r.peaks),
};
"""


@pytest.mark.parametrize(("rate", "block"), [(16_000, 999), (48_000, 1024), (44_100, 4096)])
def test_a_stream_hears_in_the_browser_what_it_hears_in_python(rate, block, blank, tmp_path):
    sound = audio.read(speak(tmp_path / "words.wav"), rate)
    pcm = (sound * 32_767).astype("<i2")
    stream = Detector.load().stream(rate)
    wanted = stream.process(pcm, last=True)
    heard = evaluate(blank, STREAM, rate=rate, block=block, pcm=b64encode(pcm).decode(), gated=False)
    off = np.abs(np.reshape(heard["scores"], wanted.scores.shape) - wanted.scores).max()
    assert off < (1e-4 if rate == 16_000 else 0.05)  # two resamplers differ near 8 kHz
    if rate == 16_000:
        posteriors = np.reshape(heard["posteriors"], wanted.log_posteriors.shape)
        np.testing.assert_allclose(posteriors, wanted.log_posteriors, atol=1e-3)
    spans = [(event.keyword, event.start_s, event.end_s) for event in wanted.detections]
    assert len(spans) == 2
    for told in ("events", "peaks"):
        assert [(event["keyword"], event["start_s"], event["end_s"]) for event in heard[told]] == spans
    peaks = [event.peak for event in stream.peaks]
    assert [event["peak"] for event in heard["peaks"]] == pytest.approx(peaks, abs=1e-3 if rate == 16_000 else 0.05)


GATE = """
const { Gate } = await import("/gate.js");
const gate = new Gate(1280, 10);
const integers = new Int16Array(Uint8Array.from(atob(pcm), (letter) => letter.charCodeAt(0)).buffer);
const sound = Float32Array.from(integers, (integer) => integer / 32768);
const out = [];
for (let at = 0; at < sound.length; at += 1280) {
  const { heard, before, anew } = gate.take(sound.subarray(at, at + 1280));
  out.push([heard ? before.length : -1, anew]);
}
return out;
"""


def test_the_gate_lets_the_same_chunks_pass_as_in_python(blank):
    rng = np.random.default_rng(0)
    levels = np.repeat([1e-4, 3e-4, 0.03, 1e-3, 0.0, 2e-3, 1e-4], rng.integers(1, 60, 7))
    pcm = (np.repeat(levels, 1280) * rng.standard_normal(1280 * len(levels)) * 32_767).astype("<i2")
    gate, wanted = Gate(1280, 10), []
    for chunk in pcm.astype(np.float32).reshape(-1, 1, 1280) / np.float32(32_768):
        parts = list(gate.take(chunk))
        before = sum(part.pcm.shape[1] // 1280 for part in parts if part.again)
        wanted.append([before if parts[-1].heard else -1, any(part.anew for part in parts)])
    assert min(wanted)[0] < 0 < max(wanted)[0], "it sleeps, and wakes with what it kept"
    assert evaluate(blank, GATE, pcm=b64encode(pcm.tobytes()).decode()) == wanted


def test_a_stream_with_a_gate_hears_in_the_browser_what_it_hears_in_python(blank, tmp_path):
    quiet = 1e-4 * np.random.default_rng(0).standard_normal(6 * 16_000)
    pcm = (np.concatenate([quiet, audio.read(speak(tmp_path / "words.wav")), quiet]) * 32_767).astype("<i2")
    wanted = Detector.load().stream(gate=True).process(pcm, last=True)
    heard = evaluate(blank, STREAM, rate=16_000, block=4000, pcm=b64encode(pcm).decode(), gated=True)
    assert np.abs(np.reshape(heard["scores"], wanted.scores.shape) - wanted.scores).max() < 1e-4
    assert (wanted.log_posteriors[:, 1:] == -30).all(axis=1).sum() > 50, "frames in which the model slept"
    spans = [(event.keyword, event.start_s, event.end_s) for event in wanted.detections]
    assert len(spans) == 2
    for told in ("events", "peaks"):
        assert [(event["keyword"], event["start_s"], event["end_s"]) for event in heard[told]] == spans


@pytest.mark.parametrize("pause_s", [0.5, 0.8])
def test_a_pause_between_two_words_is_heard_in_the_browser_as_in_python(pause_s, blank):
    pcm = (paused(pause_s) * 32_767).astype("<i2")
    wanted = Detector.load().stream().process(pcm, last=True)
    heard = evaluate(blank, STREAM, rate=16_000, block=4000, pcm=b64encode(pcm).decode(), gated=False)
    assert np.abs(np.reshape(heard["scores"], wanted.scores.shape) - wanted.scores).max() < 1e-4
    assert [event["keyword"] for event in heard["events"]] == ["smart mirror"]


TYPED = """
const { readModelInfo, withKeyword } = await import("/modelinfo.js");
const info = readModelInfo(new Uint8Array(await (await fetch("/models/wake-words.onnx")).arrayBuffer())).info;
return withKeyword(info, "hey you", phones).keywords.at(-1);
"""


@pytest.mark.parametrize("phones", ["HH EY Y UW", "HH EY1 - Y UW0", "hh ey - y uw|HH EY Y AH|HH - EY Y - OW"])
def test_typed_phones_have_the_borders_of_python(phones, blank):
    added = evaluate(blank, TYPED, phones=phones)
    borders = [tuple(ends) for ends in added["borders"]]
    assert dict(zip(map(tuple, added["spellings"]), borders, strict=True)) == Lexicon({}).spell_words(f"x={phones}")
