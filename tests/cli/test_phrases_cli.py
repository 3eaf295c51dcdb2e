"""Phrases, words and models as a user names them on the command line: what cannot work is said."""

import json

import pytest

import tones
from command import kws
from trees import ROOT
from waves import write_wave

HEAR = ROOT / "demo/hear.wav"
TONES_DEFAULT = "the threshold is the default of tones, 0.4"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_wave(tmp_path_factory.mktemp("sounds") / "good.wav", tones.speak("  ABC     FE   "))


def heard(done):
    return [json.loads(line)["keyword"] for line in done.stdout.splitlines()]


def test_a_phrase_longer_than_two_seconds_is_heard(tone_model, tmp_path):
    tune = "BDF" * 6
    said = write_wave(tmp_path / "long.wav", tones.speak(f"  {tune}  "))
    done = kws("detect", tone_model, said, "--keyword", f"long={' '.join(tune)}", "--only", "long", "--json")
    assert done.returncode == 0
    (event,) = map(json.loads, done.stdout.splitlines())
    assert event["keyword"] == "long"
    assert event["end_s"] - event["start_s"] > 2


def test_why_a_long_phrase_did_not_fire_names_its_own_limit(tone_model, tmp_path):
    said = write_wave(tmp_path / "slow.wav", tones.speak(f"  {'BDF' * 6}  ", tone_s=0.12, gap_s=0.2))
    phrase = f"long={' '.join('BDF' * 6)}"
    done = kws("detect", tone_model, said, "--explain", "--keyword", phrase, "-o", tmp_path)
    assert done.returncode == 0
    assert "it may take at most 3600 ms" in done.stdout


@pytest.mark.parametrize(("phones", "count"), [("B", "one phone"), ("B D F", "3 phones")])
def test_a_short_phrase_is_warned_of_in_one_line(tone_model, good, phones, count):
    done = kws("detect", tone_model, good, "--keyword", f"x={phones}")
    assert done.returncode == 0
    warning, default = done.stderr.splitlines()
    assert TONES_DEFAULT in default
    assert warning.startswith(f"kws: 'x' has {count}")
    assert "false events" in warning


def test_a_phrase_that_the_verifier_cannot_hear_whole_is_warned_of():
    phrase = "x=" + " ".join(["B", "D", "F"] * 4)
    done = kws("detect", "wake-words", HEAR, "--keyword", phrase, "--only", "x")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("kws: 'x' is longer than the 10 phones that the verifier of wake-words hears")
    assert "verifier" not in kws("detect", "phones", HEAR, "--keyword", phrase).stderr


def test_keywords_of_the_model_are_not_warned_of(tone_model, good):
    assert kws("detect", tone_model, good).stderr == ""
    (line,) = kws("detect", tone_model, good, "--keyword", "four=B D F B").stderr.splitlines()
    assert line.startswith(f"kws: 'four': {TONES_DEFAULT}")
    chosen = kws("detect", tone_model, good, "--keyword", "four=B D F B", "--threshold", "four=0.3")
    assert (chosen.returncode, chosen.stderr) == (0, "")


def test_what_is_left_out_of_a_phrase_is_said(tone_model, good):
    done = kws("detect", tone_model, good, "--keyword", "Go \N{MAN DANCING}, b&d!=B D F B", "--threshold", "0.5")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "kws: \N{MAN DANCING} , & ! is left out of 'go b d': only letters, digits and apostrophes can be heard"
    ]
    assert kws("detect", tone_model, good, "--keyword", "go-b_d\u2019s=B D F B", "--threshold", "0.5").stderr == ""


def test_one_word_of_the_model_alone(tone_model, good):
    assert heard(kws("detect", tone_model, good, "--json")) == ["abc", "fed"]
    assert heard(kws("detect", tone_model, good, "--json", "--only", "fed")) == ["fed"]
    assert heard(kws("detect", tone_model, good, "--json", "--only", "fed", "--only", "ABC")) == ["abc", "fed"]
    done = kws("detect", tone_model, good, "--only", "fedd")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such keyword, the nearest is 'fed'" in done.stderr
    done = kws("serve", tone_model, "--only", "fedd")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such keyword, the nearest is 'fed'" in done.stderr
    added = ["--keyword", "bee=B", "--only", "fed"]
    assert set(heard(kws("detect", tone_model, good, "--json", *added))) == {"bee", "fed"}


def test_a_threshold_for_each_word(tone_model, good):
    deaf = ["--threshold", "fed=0.99999"]
    assert heard(kws("detect", tone_model, good, "--json", *deaf)) == ["abc"]
    assert heard(kws("detect", tone_model, good, "--json", "--threshold", "0.99999", "--threshold", "abc=0.5")) == [
        "abc"
    ]
    done = kws("detect", tone_model, good, "--threshold", "feed=0.5")
    assert done.returncode == 1
    assert "--threshold is for 'feed', and the keywords are abc, fed" in done.stderr
    assert kws("detect", tone_model, good, "--threshold", "fed=2").returncode == 2


@pytest.mark.parametrize("threshold", ["abc=0.3=0.4", "=0.3", "==0.3", " =0.3", "abc=", "="])
def test_a_threshold_that_is_none_is_refused(tone_model, good, threshold):
    done = kws("detect", tone_model, good, "--threshold", threshold)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: argument --threshold: " in done.stderr.splitlines()[-1]


def test_underscores_join_words():
    done = kws("detect", HEAR, "--only", "smart_mirror", "--threshold", "Smart_Mirror=0.5", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(heard(done)) == {"smart mirror"}


def test_a_phrase_that_is_given_twice_has_the_spellings_of_both(tone_model, good):
    for phrases in (("x=B", "x=D D D D"), ("x=D D D D", "x=B")):
        first, second = phrases
        done = kws("detect", tone_model, good, "--json", "--keyword", first, "--keyword", second, "--only", "x")
        assert "x" in heard(done), done.stderr


@pytest.mark.parametrize("recipe", ["phrase", "fewshot"])
def test_a_second_phrase_to_train_is_refused(recipe):
    done = kws("train", recipe, "--phrase", "hey computer", "--phrase", "good night")
    assert done.returncode == 2
    assert "--phrase is given twice" in done.stderr


@pytest.mark.parametrize("name", ["wake-word", "wakewords", "Wake_Words", "phone", "fones", "wake"])
def test_a_misspelt_model_is_refused(good, name):
    """Not taken for a file that is missing, with the others heard by another model."""
    done = kws("detect", name, good)
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert f"{name!r} and no model of that name: the nearest model is" in sentence


def test_a_file_that_is_missing_is_no_misspelt_model(good):
    done = kws("detect", "wake-words.wav", good)
    assert (done.returncode, done.stderr) == (1, "kws: wake-words.wav does not exist\n")


def test_a_misspelt_model_is_named_by_every_verb(good):
    for words in (["info", "wake-word"], ["detect", "-m", "wake-word", good], ["listen", "wake-word"]):
        done = kws(*words)
        assert done.returncode == 1
        assert "the nearest is 'wake-words'" in done.stderr
