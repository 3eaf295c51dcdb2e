"""Laws of stored speech: what is replayed, which threshold comes of it, and what is refused."""

import json
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stored
import tones
from kws.decoding.trigger import LEAST
from kws.errors import InputError, KwsError
from kws.runtime.detector import Detector
from kws.runtime.speech import replay
from kws.runtime.speech.phrases import calibrated, speech_of
from kws.runtime.speech.store import digest, place, read_speech
from kws.runtime.speech.tail import tail_of

TUNES = ["  ABD  ", " BDF A BD", "EEB   ", "F", "  ", " AB BDE BD", "FEDABD E", "BDB", " D B A F "]
PHRASE = "bdf=B D F"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model of tones with speech beside it."""
    path = tones.write_model(tmp_path_factory.mktemp("stored") / "tones.onnx")
    stored.store(path, TUNES, repeats=3).write(place(path))
    return path


@pytest.fixture(scope="module")
def speech(model):
    return read_speech(place(model))


def test_what_is_written_is_read(model, speech, tmp_path):
    made = stored.store(model, TUNES, repeats=3)
    assert (speech.model, speech.data, speech.recordings) == (made.model, made.data, made.recordings)
    np.testing.assert_array_equal(speech.posteriors.levels, made.posteriors.levels)
    np.testing.assert_array_equal(speech.posteriors.rest, made.posteriors.rest)
    made.write(tmp_path / "again.speech")
    assert (tmp_path / "again.speech").read_bytes() == place(model).read_bytes()


def test_a_replay_is_that_of_each_recording_alone(model, speech):
    """Laid end to end, side by side and in blocks, recordings hear nothing of each other."""
    info = Detector.load(model).info
    scorer = info.scoring.scorer(info.tokens, [[("B", "D")], [("A", "B", "D"), ("F",)], [("E", "E", "B")]])
    found = replay.peaks(speech, scorer, info.scoring)
    first, alone = 0, [[], [], []]
    for number, recording in enumerate(speech.recordings):
        scores, ages, _ = scorer.score(speech.posteriors.frames(np.arange(first, first + recording.frames)))
        first += recording.frames
        for keyword, own in enumerate(alone):
            left = scores[:, keyword].copy()
            while left.max() > replay.FLOOR:
                frame = int(left.argmax())
                own.append((number, frame, int(ages[frame, keyword]), left[frame]))
                left[max(0, frame - 24) : frame + 25] = 0
    for own, wanted in zip(found, alone, strict=True):
        assert sorted((peak.recording, peak.frame, peak.age) for peak in own) == sorted(row[:3] for row in wanted)
        assert [peak.score for peak in own] == pytest.approx(sorted((row[3] for row in wanted), reverse=True))
        assert own


def test_what_is_stored_scores_as_what_was_heard(model, speech):
    """Of true posteriors the peaks are those of the store, but for the rounding."""
    info = Detector.load(model).info
    scorer = info.scoring.scorer(info.tokens, [[("B", "D")]])
    (found,) = replay.peaks(speech, scorer, info.scoring)
    true = [scorer.score(frames)[0].max() for frames in stored.posteriors_of(model, TUNES)]
    for number, score in enumerate(true):
        heard = max((peak.score for peak in found if peak.recording == number), default=0.0)
        assert heard == pytest.approx(score, abs=0.1)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(0.003, 0.999), max_size=60).map(lambda scores: sorted(scores, reverse=True)),
    st.floats(0.1, 20),
    st.lists(st.floats(0.01, 50), min_size=2, max_size=6).map(sorted),
)
def test_the_more_false_accepts_are_allowed_the_lower_is_the_threshold(scores, hours, rates):
    tails = [tail_of(scores, hours, rate, 0.002) for rate in rates]
    thresholds = [tail.threshold for tail in tails]
    assert thresholds == sorted(thresholds, reverse=True)
    for rate, tail in zip(rates, tails, strict=True):
        assert 0.002 < tail.threshold <= 1
        assert sum(score >= tail.threshold for score in scores) <= rate * hours + 0.5


def test_one_event_is_no_reason_for_a_high_threshold_where_the_rate_allows_one():
    """At 0.5 an hour 1.74 h promise 0.87 events: one loud peak stays, two do not, and a rate of 0.1 allows none."""
    quiet = np.linspace(0.2, 0.05, 40).tolist()
    assert tail_of([0.9, *quiet], 1.74, 0.5, 0.002).threshold < 0.7
    assert tail_of([0.9, 0.8, *quiet], 1.74, 0.5, 0.002).threshold > 0.8
    assert tail_of([0.9, *quiet], 1.74, 0.1, 0.002).threshold > 0.9


def test_a_tail_that_is_exponential_is_continued():
    """1000 peaks an hour of log-odds with mean excess 0.5: the threshold for one in ten hours is where it should be."""
    excesses = np.sort(np.random.default_rng(0).exponential(0.5, 10_000))[::-1]
    scores = (1 / (1 + np.exp(6 - excesses))).tolist()
    tail = tail_of(scores, 10, 0.1, 0.002)
    assert np.log(tail.threshold / (1 - tail.threshold)) + 6 == pytest.approx(0.5 * np.log(10_000), rel=0.15)
    assert tail.events == 30


def test_a_phrase_has_its_threshold_and_the_others_keep_theirs(model):
    plain = Detector.load(model)
    found = plain.with_phrases(PHRASE, "fbd=F B D", fa_per_hour=2)
    assert found.keywords[: len(plain.keywords)] == plain.keywords
    added = found.keywords[len(plain.keywords) :]
    assert [keyword.name for keyword in added] == ["bdf", "fbd"]
    assert all(keyword.calibration.fa_per_hour == 2 for keyword in added)
    alone = [plain.with_phrases(phrase, fa_per_hour=2).keywords[-1] for phrase in (PHRASE, "fbd=F B D")]
    assert list(added) == alone  # a phrase beside others has the threshold that it has alone


def test_what_a_phrase_sounds_like_is_what_was_said_there(model, speech):
    info = Detector.load(model).info
    (keyword,) = Detector.load(model).with_keywords({"feda": [("F", "E", "D", "A")]}).keywords[-1:]
    (found,) = calibrated(speech, info, [keyword], 0.5)
    assert found.sounds_like == ("fedabde",)
    assert found.keyword.threshold >= LEAST
    assert '"fedabde"' in str(found)


def test_speech_that_says_the_phrase_is_no_false_accept(model, speech):
    """The words of each recording are its letters: "bdb" is said in three of them."""
    detector = Detector.load(model)
    named, other = detector.with_keywords({"bdb": [("B", "D", "B")], "other": [("B", "D", "B")]}).keywords[-2:]
    said, unsaid = calibrated(speech, detector.info, [named, other], 0.5)
    assert said.keyword.threshold < unsaid.keyword.threshold
    assert "bdb" in unsaid.sounds_like
    assert "bdb" not in said.sounds_like


def test_a_file_of_another_model_is_refused(model, tmp_path):
    other = tones.write_model(tmp_path / "other.onnx", posteriors="log_posteriors", last_operator="LogSoftmax")
    content = bytearray(other.read_bytes())
    spot = content.find(np.float32(50).tobytes())
    content[spot : spot + 4] = np.float32(51).tobytes()  # another steepness: other posteriors
    other.write_bytes(content)
    assert digest(other) != digest(model)
    place(other).write_bytes(place(model).read_bytes())
    with pytest.raises(KwsError, match="the speech of another model"):
        Detector.load(other).with_phrases(PHRASE)


def test_a_threshold_in_the_file_makes_it_no_other_model(model, tmp_path):
    info = tones.model_info()
    info["keywords"][0]["threshold"] = 0.7
    other = tones.write_model(tmp_path / "other.onnx", metadata=json.dumps(info))
    assert digest(other) == digest(model)


def test_without_stored_speech_a_sentence_says_what_to_do(tone_model):
    assert speech_of(Detector.load(tone_model).model) is None
    with pytest.raises(KwsError, match=r"no speech is stored for tones: .*kws data store"):
        Detector.load(tone_model).with_phrases(PHRASE)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(model, rate):
    with pytest.raises(InputError, match="fa_per_hour"):
        Detector.load(model).with_phrases(PHRASE, fa_per_hour=rate)


def test_a_phrase_that_is_heard_already_is_refused(model):
    with pytest.raises(KwsError, match="hears 'fed' already"):
        Detector.load(model).with_phrases("fed=F B D")


@pytest.mark.parametrize("damage", ["cut", "no zip", "no entry", "schema", "recordings", "words", "json"])
def test_a_damaged_file_is_one_sentence(model, tmp_path, damage):
    path = tmp_path / "bad.speech"
    whole = place(model).read_bytes()
    if damage in ("cut", "no zip"):
        path.write_bytes(whole[:-100] if damage == "cut" else b"nothing")
    else:
        with zipfile.ZipFile(place(model)) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        if damage == "no entry":
            del entries["ends"]
        elif damage == "words":
            entries["words"] += b" more"
        else:
            old, new = {
                "schema": (rb'"schema": 1', b'"schema": 9'),
                "recordings": (rb'"frames": \[', b'"frames": [7, '),
                "json": (rb"\A\{", b"["),
            }[damage]
            entries["about.json"] = re.sub(old, new, entries["about.json"])
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
    refuse(path)


def refuse(path):
    with pytest.raises(KwsError, match=rf"{re.escape(path.name)} is no stored speech") as refused:
        read_speech(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, "unknown", "secret"])
def test_what_no_decompressor_can_read_is_one_sentence(model, tmp_path, method):
    path, known = tmp_path / "bad.speech", isinstance(method, int)
    with zipfile.ZipFile(place(model)) as archive, zipfile.ZipFile(path, "w") as bad:
        for name in archive.namelist():
            bad.writestr(name, archive.read(name), method if known else zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    if known:  # the first entry's bytes, after its header, its name and what LZMA says of itself
        content[44:64] = bytes(range(200, 220))
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        for spot in re.finditer(re.escape(mark), content) if not known else ():
            place_of, value = (flags, 1) if method == "secret" else (flags + 2, 99)
            content[spot.start() + place_of] = value
    path.write_bytes(content)
    refuse(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": [0], "speakers": [""], "symbols": b"", "words": b"", "ends": b""},
        {"frames": [2**40]},
        {"frame_samples": 10**30},
        {"nats": [-1e300] * 8},
        {"nats": [5.0] * 8},
        {"nats": []},
    ],
)
def test_impossible_numbers_in_a_file_are_one_sentence(model, tmp_path, changes):
    path = tmp_path / "bad.speech"
    with zipfile.ZipFile(place(model)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(entries["about.json"])
    if len(changes.get("nats", ())):
        changes = {"nats": changes["nats"][:1] * len(about["nats"])}
    entries |= {name: value for name, value in changes.items() if isinstance(value, bytes)}
    about |= {name: value for name, value in changes.items() if not isinstance(value, bytes)}
    entries["about.json"] = json.dumps(about).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    refuse(path)
