"""A phrase that is typed, from outside: its threshold, what is said of it, and which model hears it."""

import json
import re

import pytest

import stored
import tones
from command import kws
from kws.runtime.speech.store import place, read_speech
from trees import ROOT
from waves import write_wave

HEAR = ROOT / "demo/hear.wav"
TUNES = ["  ABD  ", " BDF A BD", "EEB   ", "F", " AB BDE BD", "FEDABD E", "BDB", " D B A F "]
MORNING = "good morning=G UH D M AO R N IH NG"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write_wave(tmp_path_factory.mktemp("sounds") / "tune.wav", tones.speak("  BDFB   FED   "))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model of tones with speech beside it."""
    path = tones.write_model(tmp_path_factory.mktemp("stored") / "tones.onnx")
    stored.store(path, TUNES, repeats=50).write(place(path))
    return path


def thresholds(done):
    """What stderr says of each phrase, by its name."""
    lines = [
        re.match(r"kws: '(.*)' fires at ([\d.]+) for ([\d.]+) false accepts", line) for line in done.stderr.splitlines()
    ]
    return {line[1]: (float(line[2]), float(line[3])) for line in lines if line}


def test_a_phrase_gets_its_threshold_in_a_line(model, sound):
    done = kws("detect", model, sound, "--keyword", "bdfb=B D F B", "--keyword", "bdf=B D F", "--json")
    assert done.returncode == 0, done.stderr
    assert thresholds(done).keys() == {"bdfb", "bdf"}
    assert [rate for _, rate in thresholds(done).values()] == [0.5, 0.5]
    assert re.search(r"'bdf' .* from 0\.2 h of speech: 30 events above \d\.\d+; it sounds like \"bdfabd\"", done.stderr)
    assert re.search(r"'bdf' .*; few will be heard", done.stderr)
    assert re.search(r"thresholds set in \d+\.\d s", done.stderr)
    assert {"bdfb", "fed"} <= {json.loads(line)["keyword"] for line in done.stdout.splitlines()}


def test_more_false_accepts_lower_the_threshold(model, sound):
    found = [
        thresholds(kws("detect", model, sound, "--keyword", "bdf=B D F", "--fa-per-hour", rate))["bdf"]
        for rate in (0.1, 10, 2000)
    ]
    assert [rate for _, rate in found] == [0.1, 10, 2000]
    assert found[0][0] >= found[1][0] > found[2][0]


def test_a_threshold_that_is_given_wins(model, sound):
    for given in ("0.9", "bdf=0.9"):
        done = kws("detect", model, sound, "--keyword", "bdf=B D F", "--threshold", given)
        assert (done.returncode, done.stderr.count("fires at")) == (0, 0)
    other = kws("detect", model, sound, "--keyword", "bdf=B D F", "--threshold", "fed=0.9")
    assert thresholds(other).keys() == {"bdf"}


def test_speech_of_another_model_is_passed_over_in_a_sentence(model, sound, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes().replace(b"cosines", b"Cosines"))  # another graph
    place(other).write_bytes(place(model).read_bytes())
    done = kws("detect", other, sound, "--keyword", "bdf=B D F")
    assert done.returncode == 0
    refusal, default = done.stderr.splitlines()[-2:]
    assert "other.speech is the speech of another model than" in refusal
    assert "the default of tones, 0.4" in default


def test_score_sets_the_threshold_too(model, sound):
    done = kws("score", model, "--keyword", "bdf=B D F", "--negatives", sound.parent, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert re.search(r"'bdf' fires at [\d.]+ for 0\.5 false accepts an hour", done.stderr)


def test_a_phrase_without_a_model_is_heard_by_phones_alone():
    done = kws("detect", "--keyword", "computer=K AH M P Y UW T ER", HEAR, "--json")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["keyword"] for line in done.stdout.splitlines()} == {"computer"}
    assert "computer" in thresholds(done)


def test_a_word_of_the_default_model_keeps_it():
    for words in (["--only", "snowboy"], ["--threshold", "snowboy=0.5"]):
        done = kws("detect", "--keyword", MORNING, HEAR, *words, "--json")
        assert done.returncode == 0, done.stderr
        assert "snowboy" in {json.loads(line)["keyword"] for line in done.stdout.splitlines()}
        assert "the default of wake-words, 0.3" in done.stderr


def test_speech_is_stored_from_outside(tone_model, tmp_path):
    (tmp_path / "sounds").mkdir()
    for number, tune in enumerate(TUNES):
        write_wave(tmp_path / "sounds" / f"{number}.wav", tones.speak(tune))
    (tmp_path / "sounds" / "bad.wav").write_bytes(b"nothing")
    target = tmp_path / "tones.speech"
    done = kws("data", "store", tone_model, tmp_path / "sounds", "-o", target)
    assert done.returncode == 0, done.stderr
    assert "bad.wav" in done.stderr
    assert f"{len(TUNES)} recordings" in done.stdout
    speech = read_speech(target)
    assert len(speech.recordings) == len(TUNES)
    assert speech.data[0].name == "sounds"


def test_a_model_of_two_passes_stores_nothing(tmp_path):
    done = kws("data", "store", "wake-words", tmp_path, "-o", tmp_path / "x.speech")
    assert done.returncode == 1
    assert "wake-words has two passes" in done.stderr
    assert not (tmp_path / "x.speech").exists()
