"""`kws detect --explain`: the path it shows is the scorer's, its parts make the score, and its words are true."""

import itertools
import json
import math
import subprocess
import sys
import tracemalloc
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs
import tones
from kws import audio
from kws.decoding.scorer import KeywordScorer, best_path
from kws.decoding.temperature import softened
from kws.runtime.detector import Detector
from kws.runtime.explain.diagnosis import CLEAR, Phone, parts_lacking, phones_of, posteriors_of, propose
from kws.runtime.explain.explainer import MOST_PICTURED, Explainer
from kws.runtime.explain.figure import mel_db, picture_paths, spectrogram
from kws.runtime.explain.sound import Sound, level_db
from kws.runtime.explain.text import as_values, in_words, sound_facts
from kws.runtime.keywords import open_detector
from posteriors import frames, log_softmax
from trees import ROOT
from waves import write_wave

TOKENS = ("<blank>", "A", "B", "C", "D")

# The path.


def random_case(seed):
    """Posteriors (50, 5), spellings with owners and limits, all from one seed."""
    rng = np.random.default_rng(seed)
    posteriors = log_softmax(rng.normal(size=(50, 5)) * 2.5 + [1.5, 0, 0, 0, 0])
    spellings = [rng.integers(1, 5, rng.integers(1, 6)).tolist() for _ in range(3)]
    limits = {"max_duration_frames": int(rng.integers(1, 20)), "max_gap_frames": int(rng.integers(0, 6))}
    return posteriors, spellings, KeywordScorer(spellings, [0, 1, 0], peak_weight=0.7, **limits), limits


@given(st.integers(0, 2**32 - 1), st.integers(0, 25))
@settings(max_examples=40, deadline=None)
def test_the_traced_path_has_the_score_and_keeps_the_rules(seed, cut):
    posteriors, spellings, scorer, limits = random_case(seed)
    scores, ages, _ = scorer.score(posteriors)
    _, _, state = scorer.score(posteriors[:cut])
    for frame, keyword in itertools.product(range(cut + 20, 50, 3), (0, 1)):
        path = scorer.trace(posteriors[cut : frame + 1], keyword, state)
        if path is None:
            assert scores[frame, keyword] == 0
            continue
        labels = spellings[path.spelling]
        assert (path.spelling == 1) == (keyword == 1)
        assert (
            len(path.places) == ages[frame, keyword] <= limits["max_duration_frames"] + (limits["max_gap_frames"] < 1)
        )
        assert path.places[0] == 0 and path.places[-1] == 2 * len(labels) - 2
        rows = posteriors[frame + 1 - len(path.places) : frame + 1]
        tokens = [0 if place % 2 else labels[place // 2] for place in path.places]
        costs = [row[token] - row.max() for row, token in zip(rows, tokens, strict=True)]
        assert np.cumsum(costs) == pytest.approx(path.llr, abs=1e-9)
        for before, after in itertools.pairwise(path.places):
            assert after - before in (0, 1, 2)
            if after - before == 2:
                assert before % 2 == 0 and labels[before // 2] != labels[after // 2]
        phones = phones_of(
            path, tuple(TOKENS[t] for t in labels), np.exp(posteriors[cut : frame + 1].astype(np.float64)), TOKENS, cut
        )
        log = sum(p.llr + p.gap_llr + 0.7 * p.peak for p in phones) / len(phones)
        assert log == pytest.approx(math.log(scores[frame, keyword]), abs=1e-9)
        for number, phone in enumerate(phones):
            own = rows[path.places == 2 * number, labels[number]].max()
            # A held first sound keeps its peak when its path begins anew.
            assert phone.peak == pytest.approx(own) or (number == 0 and phone.peak > own)


def test_a_path_that_began_before_the_frames_is_refused():
    scorer = KeywordScorer([[1, 2]], [0], max_duration_frames=9, max_gap_frames=3)
    posteriors = frames(1, 0, 2)
    _, _, state = scorer.score(posteriors[:2])
    with pytest.raises(ValueError, match="covers 3 frames"):
        scorer.trace(posteriors[2:], 0, state)
    assert scorer.trace(posteriors[:1], 0) is None


def test_the_best_path_has_no_blanks_and_no_repetitions():
    assert best_path(frames(0, 1, 1, 0, 1, 2, 2, 0)) == [(1, 1), (1, 4), (2, 5)]
    assert best_path(frames(0, 0)) == []


def phone_of(llr, gap_llr, peak):
    return Phone("A", 0, 1, math.exp(peak), peak, llr, 0, gap_llr, None, 0.0)


losses = st.floats(-9, 0, allow_subnormal=False)


@given(st.lists(st.tuples(losses, losses, losses), min_size=1, max_size=3), st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_what_lacks_is_the_fewest_parts_that_reach_the_threshold(parts, threshold):
    phones = tuple(phone_of(*part) for part in parts)
    lacking, extra_sounds, score_if_perfect = parts_lacking(phones, 1.0, threshold)
    assert score_if_perfect >= threshold * (1 - 1e-9)
    single = [p.llr + p.peak for p in phones] + [p.gap_llr for p in phones]
    chosen = {*lacking, *(len(phones) + label for label in extra_sounds)}
    rest = sum(loss for part, loss in enumerate(single) if part not in chosen)
    assert score_if_perfect == pytest.approx(math.exp(rest / len(phones)))
    for fewer in itertools.combinations(range(len(single)), max(0, len(chosen) - 1)):
        left = sum(loss for part, loss in enumerate(single) if part not in fewer)
        assert not chosen or math.exp(left / len(phones)) < threshold * (1 + 1e-9)


@pytest.mark.parametrize(("temperature", "discount"), [(1.0, 0.0), (3.0, 0.0), (3.0, 0.5), (1.0, -2.0)])
def test_a_phone_is_judged_by_what_the_model_heard_before_its_temperature_and_discount(temperature, discount):
    sharp = log_softmax(np.random.default_rng(0).normal(0, 4, (20, 5)))
    soft = softened(sharp, temperature).copy()
    soft[:, 0] -= discount
    excerpt = SimpleNamespace(log_posteriors=log_softmax(soft).astype(np.float32))
    found = posteriors_of(excerpt, SimpleNamespace(temperature=temperature, blank_discount=discount))
    assert np.allclose(found, np.exp(sharp), atol=1e-5)


def test_softened_phones_that_are_clear_are_not_called_weak():
    """`phones` has a temperature of 3: its posteriors are far from 1 where it is sure."""
    detector = open_detector("phones", ["jarvis"], known=True)
    assert detector.info.temperature > 1
    sound = audio.read(ROOT / "demo/hear.wav")
    phones = [phone for d in explain(detector, sound, ["jarvis"]).diagnoses if d.fired for phone in d.phones]
    clear = [phone.best >= CLEAR for phone in phones]
    assert sum(clear) >= 4 > 2 * sum(math.exp(phone.peak) >= CLEAR for phone in phones)


# The diagnoses.


def explain(detector, samples, asked=(), block=16000):
    explainer = Explainer(detector, asked)
    for start in range(0, len(samples), block):
        assert explainer.push(samples[start : start + block]) == []
    (explanation,) = explainer.flush()
    return explanation


def diagnosis_of(detector, samples, keyword="abc"):
    """The only diagnosis of a keyword, and all words about the file."""
    explanation = explain(detector, samples, [keyword])
    (diagnosis,) = explanation.diagnoses
    assert diagnosis.keyword.name == keyword
    return diagnosis, "\n".join(in_words(explanation, detector.info))


def test_a_keyword_that_is_said_fired(detector):
    diagnosis, words = diagnosis_of(detector, tones.speak("  ABC   "))
    assert (diagnosis.cause, diagnosis.spelling, diagnosis.lacking) == ("fired", ("A", "B", "C"), ())
    assert words.startswith("abc fired at 0.") and "the model heard from" in words and ": A B C" in words


def test_a_tone_that_is_left_out_is_named(detector):
    diagnosis, words = diagnosis_of(detector, tones.speak("  A C   "))
    assert (diagnosis.cause, diagnosis.lacking) == ("phones", (1,))
    assert diagnosis.score < 0.5 <= diagnosis.score_if_perfect
    assert "abc did not fire: at best score" in words
    assert "B was not heard" in words and "that alone kept it silent" in words


def scaled(tune, loudness):
    return tones.speak(tune) * np.float32(loudness / 0.3)


BLURRED = np.concatenate([tones.speak("  A"), scaled("B", 0.108) + scaled("D", 0.125), tones.speak("C   ")])


def test_a_tone_in_anothers_place_is_named(detector):
    diagnosis, words = diagnosis_of(detector, BLURRED)
    assert (diagnosis.lacking, diagnosis.phones[1].rival) == ((1,), "D")
    assert "D was heard there with" in words and ": A D C" in words


def test_a_sound_between_the_phones_is_named(detector):
    sound = np.concatenate([tones.speak("  AB"), scaled("D", 0.118), tones.speak("C   ")])
    diagnosis, words = diagnosis_of(detector, sound)
    assert diagnosis.extra_sounds == (2,)
    assert "other sounds between B and C" in words


def test_a_gap_that_is_too_long_is_measured(detector):
    sound = np.concatenate([tones.speak("  AB"), np.zeros(12800, np.float32), tones.speak("C   ")])
    diagnosis, words = diagnosis_of(detector, sound)
    assert diagnosis.cause == "gap" and 20 <= diagnosis.gap <= 22
    assert "said too slowly" in words and "between B and C there were 8" in words and "at most 600 ms may be" in words


@pytest.mark.parametrize("block", [640, 16000, 10**6])
def test_a_keyword_that_takes_too_long_is_measured(detector, block):
    parts = [tones.speak("  "), tones.speak("A", 0.4, 0.5), tones.speak("B", 0.8, 0.5), tones.speak("C   ")]
    samples = np.concatenate([*parts, np.zeros(10 * 16000, np.float32)])
    explanation = explain(detector, samples, ["abc"], block)
    (diagnosis,) = explanation.diagnoses
    words = "\n".join(in_words(explanation, detector.info))
    assert diagnosis.cause == "too long"
    assert "all of it was heard, but over 2" in words and "it may take at most 2000 ms" in words


def test_what_comes_too_soon_after_an_event_is_told(detector):
    explanation = explain(detector, tones.speak("  ABCABC    "), ["abc"])
    event, again = explanation.diagnoses
    assert (event.cause, again.cause, again.event) == ("fired", "refractory", event.frame)
    words = "\n".join(in_words(explanation, detector.info))
    assert f"after the event at {(event.frame + 1) * 0.04:.2f} s; 1000 ms must lie between" in words


def test_a_held_end_is_part_of_the_event(detector):
    held = np.concatenate([tones.speak("  AB"), tones.speak("C", 1.2), tones.speak("   ")])
    diagnosis, _ = diagnosis_of(detector, held)
    assert diagnosis.cause == "fired"


def test_where_nothing_like_it_is_said_that_is_said(detector):
    diagnosis, words = diagnosis_of(detector, tones.speak("  FEDFED   "))
    assert diagnosis.cause == "nothing like it" and diagnosis.proposal is None
    assert "nothing like it was heard: none of its phones was clear" in words and "kws score" not in words
    diagnosis, words = diagnosis_of(detector, np.zeros(16000, np.float32))
    assert "digital silence" in words and "no phone at all" in words and "cut off" not in words


@pytest.mark.parametrize(("samples", "told"), [(10, 0), (3 * 640 - 1, 0), (3 * 640, 1)])
def test_a_sound_that_is_too_short_for_a_word_is_told(detector, samples, told):
    explanation = explain(detector, np.full(samples, 0.001, np.float32), ["abc"])
    words = in_words(explanation, detector.info)
    assert len(explanation.diagnoses) == told
    if not told:
        assert words == [f"it lasts {samples / 16:.3g} ms: too short to hold a keyword"]


def test_a_word_that_is_cut_off_is_told(detector):
    _, words = diagnosis_of(detector, tones.speak("BC   "))
    assert "it begins where the file begins" in words
    _, words = diagnosis_of(detector, tones.speak("  AB"))
    assert "it ends where the file ends" in words and "would fire" not in words


def test_a_quiet_word_is_told(detector):
    diagnosis, words = diagnosis_of(detector, tones.speak("  ABC   ") * np.float32(0.003))
    assert not diagnosis.fired and diagnosis.level_db == pytest.approx(-63.5, abs=2)
    assert "it is quiet there, -6" in words


def test_a_near_miss_says_which_threshold_would_do(detector):
    strict = detector.with_threshold(0.9999)
    diagnosis, words = diagnosis_of(strict, tones.speak("  ABC   "))
    assert not diagnosis.fired
    threshold = float(words.partition("a threshold of ")[2].split()[0])
    fired = explain(detector.with_threshold(threshold), tones.speak("  ABC   "), ["abc"]).diagnoses
    assert [diagnosis.fired for diagnosis in fired] == [True]


def test_the_spelling_that_is_proposed_fires(detector):
    # Of the tone model's tokens B, D and F are phones too.
    added = detector.with_keywords({"new": [["B", "D", "F", "D", "B"]]})
    samples = tones.speak("  BDFDF   ")
    diagnosis, words = diagnosis_of(added, samples, "new")
    assert diagnosis.proposal is not None and diagnosis.proposal.spelling == ("B", "D", "F", "D")
    assert f'"new 2=B D F D" (score {diagnosis.proposal.score:.2f}) would fire' in words
    again = detector.with_keywords({"new 2": [diagnosis.proposal.spelling]})
    told = explain(again, samples, ["new 2"]).diagnoses
    assert [diagnosis.fired for diagnosis in told] == [True]
    assert propose(detector, explain(detector, BLURRED, ["abc"]).diagnoses[0]) is None


def test_of_many_keywords_events_and_near_misses_are_told(detector):
    told = explain(detector, np.concatenate([tones.speak("  ABC     "), BLURRED])).diagnoses
    assert [(diagnosis.keyword.name, diagnosis.fired) for diagnosis in told] == [("abc", True), ("abc", False)]
    silent = explain(detector, np.zeros(16000, np.float32)).diagnoses
    assert len(silent) == 1
    asked = explain(detector, tones.speak("  ABC   "), ["abc", "eel"]).diagnoses
    assert sorted(diagnosis.keyword.name for diagnosis in asked) == ["abc", "eel"]


tunes = st.text("ABCDEF  ", min_size=1, max_size=24)


@given(tunes, st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_events_are_those_of_the_stream_and_blocks_change_nothing(tone_model, tune, seed):
    detector = open_detector(str(tone_model), [])
    samples = tones.speak(tune + " ")
    block = int(np.random.default_rng(seed).integers(500, 30_000))
    explanation = explain(detector, samples, block=block)
    found = [(s.keyword.name, s.score, s.start * 640, (s.frame + 1) * 640) for s in explanation.diagnoses if s.fired]
    events = detector.stream().process(samples, last=True).detections
    assert sorted(found) == sorted((e.keyword, e.score, e.start, e.end) for e in events)
    whole = explain(detector, samples, block=len(samples))
    assert in_words(explanation, detector.info) == in_words(whole, detector.info)
    for diagnosis in explanation.diagnoses:
        limit = 50 if diagnosis.cause not in ("too long", "gap") else 150
        assert diagnosis.frame + 1 - diagnosis.start <= limit
        log = sum(phone.llr + phone.gap_llr + phone.peak for phone in diagnosis.phones) / len(diagnosis.phones)
        assert diagnosis.score == pytest.approx(math.exp(min(0.0, log)), rel=1e-9)
    json.dumps(as_values(explanation, detector.info), allow_nan=False)


def test_memory_does_not_grow_with_the_file(detector):
    explainer = Explainer(detector)
    song = tones.speak("ABC    A C  FFD   ")
    sizes = []
    tracemalloc.start()
    for _ in range(3):
        for _ in range(12):
            explainer.push(song)
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[2] - sizes[1] < 400_000 < len(song) * 4 * 12  # what the last third of the sound alone would take
    told = explainer.flush()[0].diagnoses
    assert sum(diagnosis.fired for diagnosis in told) >= 36
    assert sum(diagnosis.excerpt is not None for diagnosis in told) == MOST_PICTURED


# The sound.


@given(st.lists(st.integers(0, 6000), max_size=12))
def test_how_a_sound_is_cut_changes_none_of_its_facts(cuts):
    samples = np.random.default_rng(0).normal(0, 0.5, 6000).astype(np.float32)
    whole, cut = Sound(), Sound()
    whole.add(samples)
    for piece in np.split(samples, sorted(cuts)):
        cut.add(piece)
    assert (cut.samples, cut.peak, cut.clipped) == (whole.samples, whole.peak, whole.clipped)
    assert cut.above_telephone_db == pytest.approx(whole.above_telephone_db)


def test_what_is_wrong_with_a_sound():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 48000).astype(np.float32)
    spectrum = np.fft.rfft(noise)
    spectrum[4000 * 3 :] = 0
    telephone = np.fft.irfft(spectrum).astype(np.float32)
    for samples, words in [(noise, None), (telephone, "above 4 kHz"), (np.clip(noise * 30, -1, 1), "clipped")]:
        sound = Sound()
        for part in np.array_split(samples, 7):
            sound.add(part)
        facts = sound_facts(sound)
        assert [words in fact for fact in facts] == [True] if words else facts == []
    assert level_db(np.full(640, 0.1, np.float32)) == pytest.approx(-20, abs=0.01)
    assert level_db(np.zeros(640, np.float32)) == -math.inf


@pytest.mark.parametrize("hop", [160, 700])
def test_the_spectrogram_shows_a_tone_where_and_when_it_sounds(hop):
    time = np.arange(16000) / 16000
    samples = np.where(time > 0.5, np.sin(2 * np.pi * 1000 * time), 0).astype(np.float32)
    decibels = mel_db(samples, hop)
    assert decibels.shape == (96, -(-16000 // hop))
    mels = 2595 * np.log10(1 + np.array([60, 1000, 8000]) / 700)
    band = round(95 * float((mels[1] - mels[0]) / (mels[2] - mels[0])))
    assert abs(int(decibels[:, -3].argmax()) - band) <= 1
    assert decibels[band, -3] - decibels[band, 3] > 60


def test_the_spectrogram_of_silence_is_white():
    axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    spectrogram(axes, np.zeros(8000, np.float32))
    (image,) = axes.images
    assert image.norm(image.get_array()).max() == 0


# The command.


def kws(*words, **options):
    words = [sys.executable, "-m", "kws", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


def test_the_command_tells_and_draws(tone_model, tmp_path):
    write_wave(tmp_path / "good.wav", tones.speak("  ABC   "))
    write_wave(tmp_path / "miss.wav", BLURRED)
    # The model may stand before an option.
    done = kws("detect", tone_model, "--explain", "good.wav", "miss.wav", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "good.wav:" and lines[1].startswith("  abc fired at")
    assert "  picture: good.explain.png" in lines and "  picture: miss.explain.png" in lines
    image = pytest.importorskip("matplotlib.image")
    for name in ("good", "miss"):
        pixels = image.imread(tmp_path / f"{name}.explain.png")
        assert min(pixels.shape[:2]) > 500 and pixels[..., :3].std() > 0.1
        title = np.flatnonzero((pixels[:18, :, :3] < 0.6).any(axis=(0, 2)))  # the columns with ink
        assert title.min() < 0.03 * pixels.shape[1] and title.max() < 0.5 * pixels.shape[1]


def test_the_command_draws_where_it_is_told_to(tone_model, tmp_path):
    write_wave(tmp_path / "good.wav", tones.speak("  ABC   "))
    done = kws("detect", tone_model, tmp_path / "good.wav", "--explain", "-o", tmp_path / "new" / "why.svg")
    assert (done.returncode, done.stderr) == (0, "")
    assert ET.parse(tmp_path / "new" / "why.svg").getroot().tag.endswith("svg")
    done = kws("detect", tone_model, tmp_path / "good.wav", "--explain", "-o", tmp_path / "good.wav" / "x")
    assert done.returncode == 1 and "abc fired" in done.stdout
    assert "cannot be written" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_diagnosis_is_a_line_of_json(tone_model, tmp_path):
    write_wave(tmp_path / "miss.wav", np.concatenate([BLURRED, tones.speak("ABC   ")]))
    words = ["detect", tone_model, "--explain", "--json", "--keyword", "ABC", "miss.wav"]
    done = kws(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    missed, fired = [json.loads(line) for line in done.stdout.splitlines()]
    event = json.loads(kws("detect", tone_model, "--json", "miss.wav", cwd=tmp_path).stdout)
    assert {key: fired[key] for key in event} == event and fired["fired"] is True
    assert (missed["cause"], missed["lacking"], missed["fired"]) == ("phones", [1], False)
    assert [phone["rival"] for phone in missed["phones"]] == [None, "D", None]
    assert [token["phone"] for token in missed["heard"]] == ["A", "D", "C"]
    log = sum(phone["llr"] + phone["gap_llr"] + phone["log_best"] for phone in missed["phones"]) / 3
    assert math.exp(log) == pytest.approx(missed["score"], abs=1e-4)
    assert (tmp_path / missed["picture"]).is_file()


def test_a_bad_file_does_not_stop_the_others(tone_model, tmp_path):
    write_wave(tmp_path / "good.wav", tones.speak("  ABC   "))
    write_wave(tmp_path / "cut.wav", tones.speak("  ABC     "))
    content = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) * 2 // 3])
    done = kws("detect", tone_model, "--explain", "missing.wav", "cut.wav", "good.wav", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["missing.wav", "cut.wav"]
    assert done.stdout.count("abc fired") == 2 and "missing" not in done.stdout


def test_without_matplotlib_the_words_come_all_the_same(tone_model, tmp_path):
    for name in ("one.wav", "two.wav"):
        write_wave(tmp_path / name, tones.speak("  ABC   "))
    script = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(name, path=None, target=None):\n"
        "        if name == 'matplotlib': raise ModuleNotFoundError('there is none', name=name)\n"
        "sys.meta_path.insert(0, Without)\n"
        "from kws.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", script, "detect", str(tone_model), "--explain", "one.wav", "two.wav"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.count("abc fired") == 2 and "picture" not in done.stdout
    assert (
        done.stderr
        == "kws: no picture was drawn: matplotlib is needed here: pip install '.[score]' in the folder of kws\n"
    )


def test_where_pictures_go(tmp_path):
    assert picture_paths(None, ["a/x.wav", "b/x.opus", "y.wav"]) == [
        Path("x.explain.png"),
        Path("x.explain-2.png"),
        Path("y.explain.png"),
    ]
    assert picture_paths(tmp_path / "v1.2", ["x.wav"]) == [tmp_path / "v1.2" / "x.explain.png"]
    assert picture_paths(tmp_path / "x.PDF", ["x.wav"]) == [tmp_path / "x.PDF"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--explain", "-o", "a.svg", "a.wav", "b.wav"], "2 files"),
        (["--explain", "-o", "a.jpg", "a.wav"], "one of .png, .svg, .pdf"),
        (["-o", "x", "a.wav"], "--explain"),
    ],
)
def test_wrong_outputs_are_refused(words, said, tone_model):
    done = kws("detect", "--model", tone_model, *words)
    assert done.returncode in (1, 2) and said in done.stderr.splitlines()[-1] and done.stdout == ""


def test_of_two_passes_it_says_what_the_verifier_was_asked_and_answered(tmp_path):
    path = pairs.write_pair(tmp_path / "pair.onnx")
    sound = tones.speak("   ABC    FED    AC    ")
    for threshold, cause, words in (
        (0.02, "fired", "proposed it with"),
        (0.999999, "refused", "the verifier refused it"),
    ):
        detector = Detector.load(path).with_threshold(threshold)
        explainer = Explainer(detector, ["abc"])
        explainer.push(sound)
        (explanation,) = explainer.flush()
        told = [d for d in explanation.diagnoses if d.verdict is not None]
        assert [d.cause for d in told] == [cause]
        (diagnosis,) = told
        assert (diagnosis.verdict.score >= threshold) == (cause == "fired")
        assert diagnosis.decided == diagnosis.frame + pairs.HOLD
        assert words in "\n".join(in_words(explanation, detector.info))
        (line,) = [v for v in as_values(explanation, detector.info) if v["cause"] == cause]
        stream = detector.stream()
        events = stream.process(sound, last=True).detections
        if cause == "fired":
            assert line["peak"] == pytest.approx(next(e.peak for e in stream.peaks if e.keyword == "abc"), abs=1e-4)
            assert line["end_s"] == pytest.approx(next(e.end_s for e in events if e.keyword == "abc"))
            assert line["score"] == pytest.approx(next(e.score for e in events if e.keyword == "abc"), abs=1e-3)
        assert line["first_pass_score"] == pytest.approx(diagnosis.score, abs=1e-3)


def test_of_two_passes_it_says_where_the_verifier_was_not_asked(tmp_path):
    detector = Detector.load(pairs.write_pair(tmp_path / "pair.onnx", floor=0.9))
    explainer = Explainer(detector, ["abc"])
    explainer.push(tones.speak("   AC    "))
    (explanation,) = explainer.flush()
    assert explanation.diagnoses and all(d.verdict is None for d in explanation.diagnoses)
    assert "the verifier was not asked" in "\n".join(in_words(explanation, detector.info))
