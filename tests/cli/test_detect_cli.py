"""`kws detect` and `kws info` as a user meets them: a process, its lines and its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tones
from encoded import encoded
from kws.cli import options
from kws.cli.main import main
from kws.runtime import shipped as shipped_models
from waves import write_wave


def kws(*words, **options):
    words = [sys.executable, "-m", "kws", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder of good and bad files."""
    folder: Path = tmp_path_factory.mktemp("sounds")
    write_wave(folder / "good.wav", tones.speak("  ABC     FE   "))
    write_wave(folder / "fast.wav", tones.speak("  EEB   ", rate=48000), 48000)
    write_wave(folder / "phone.wav", tones.speak("  EEB   ", rate=8000), 8000)
    write_wave(folder / "last.wav", tones.speak("  ABC")[:12700])
    write_wave(folder / "slow.wav", tones.speak("ABC", rate=4000), 4000)
    stereo = np.stack([tones.speak("  ABC   ")] * 2, axis=1)
    soundfile.write(folder / "stereo.flac", stereo, 16000)
    noise = np.random.default_rng(0).normal(0, 0.01, 48000)
    soundfile.write(folder / "cut.flac", np.concatenate([tones.speak("  ABC   "), noise, noise]), 16000)
    content = (folder / "cut.flac").read_bytes()
    (folder / "cut.flac").write_bytes(content[: len(content) * 2 // 3])
    soundfile.write(folder / "nan.wav", np.array([0.0, np.nan] * 9000), 16000, subtype="FLOAT")
    soundfile.write(folder / "unscaled.wav", np.array([0.0, 9000.0] * 9000), 16000, subtype="FLOAT")
    (folder / "text.wav").write_text("this is no sound\n")
    (folder / "empty.wav").touch()
    (folder / "folder.wav").mkdir()
    return folder


def test_each_event_is_a_line(tone_model, sounds):
    done = kws("detect", tone_model, sounds / "good.wav")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{sounds / 'good.wav'}: 0.")
    assert "abc" in first
    assert "score 1.00" in first
    assert "fed" in second


def test_each_event_is_a_line_of_json(tone_model, sounds):
    done = kws("detect", "--model", tone_model, sounds / "good.wav", sounds / "stereo.flac", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["keyword"] for event in events] == ["abc", "fed", "abc"]
    assert [Path(event["file"]).name for event in events] == ["good.wav", "good.wav", "stereo.flac"]
    for event in events:
        assert list(event) == ["file", "keyword", "score", "peak", "start_s", "end_s"]
        assert 0.9 < event["score"] <= event["peak"] <= 1
        assert 0 <= event["start_s"] < event["end_s"]
    assert abs(events[0]["start_s"] - 0.4) <= 0.08


@pytest.mark.parametrize("name", ["fast.wav", "phone.wav"])
def test_other_rates_are_resampled(tone_model, sounds, name):
    done = kws("detect", tone_model, sounds / name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["keyword"] for line in done.stdout.splitlines()] == ["eel"]


def test_a_keyword_at_the_end_of_a_file_is_heard(tone_model, sounds):
    assert "abc" in kws("detect", tone_model, sounds / "last.wav").stdout


FIELD = {  # what telephones, browsers, pipes and killed recorders leave
    "phone.m4a": lambda tune: encoded(tune, "ipod", "aac", 16_000),
    "browser.webm": lambda tune: encoded(tune, "webm", "libopus", 16_000, pipe=True),
    "radio.mp3": lambda tune: encoded(tune, "mp3", "libmp3lame", 16_000, pipe=True),
    "pipe.flac": lambda tune: encoded(tune, "flac", "flac", 16_000, pipe=True),
    "chained.ogg": lambda tune: b"".join(encoded(half, "ogg", "flac", 16_000) for half in np.split(tune, [9_000])),
    "crossed.flac": lambda tune: encoded(np.stack([tune, -tune], axis=1), "flac", "flac", 16_000),
}


@pytest.mark.parametrize(
    ("name", "through_stdin"),
    [*((name, False) for name in FIELD), *((name, True) for name in FIELD if name != "phone.m4a")],
)
def test_recordings_of_the_field_are_heard_to_their_end(tone_model, tmp_path, name, through_stdin):
    path = tmp_path / name
    path.write_bytes(FIELD[name](tones.speak("  ABC     FE   ")))
    words = [sys.executable, "-m", "kws", "detect", str(tone_model), "--json"]
    done = subprocess.run(
        [*words, "/dev/stdin" if through_stdin else str(path)],
        input=path.read_bytes() if through_stdin else b"",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line)["keyword"] for line in done.stdout.splitlines()] == ["abc", "fed"]


def test_an_index_at_the_end_is_reached_through_a_pipe(tone_model):
    """An .m4a says at its end where its sound lies: what a pipe gives is kept until it ends."""
    content = FIELD["phone.m4a"](tones.speak("  ABC     FE   "))
    words = [sys.executable, "-m", "kws", "detect", str(tone_model), "/dev/stdin", "--json"]
    done = subprocess.run(words, input=content, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line)["keyword"] for line in done.stdout.splitlines()] == ["abc", "fed"]


BAD = {
    "missing.wav": "does not exist",
    "empty.wav": "is empty",
    "text.wav": "is not a sound file",
    "folder.wav": "is a folder",
    "slow.wav": "4000 Hz",
    "nan.wav": "not finite",
    "unscaled.wav": "divide int16 by 32768",
    "cut.flac": "damaged",
}


def test_bad_files_are_named_one_by_one_and_do_not_stop_the_good_ones(tone_model, sounds):
    files = [sounds / name for name in [*list(BAD)[:4], "good.wav", *list(BAD)[4:], "stereo.flac"]]
    done = kws("detect", tone_model, *files, "--json")
    assert done.returncode == 1
    complaints = done.stderr.splitlines()
    assert len(complaints) == len(BAD)
    for complaint, (name, words) in zip(complaints, BAD.items(), strict=True):
        assert complaint.startswith("kws: ")
        assert str(sounds / name) in complaint
        assert words in complaint
    events = [json.loads(line) for line in done.stdout.splitlines()]
    heard = [(Path(event["file"]).name, event["keyword"]) for event in events]
    # What a damaged file holds before its damage is heard too.
    assert heard == [("good.wav", "abc"), ("good.wav", "fed"), ("cut.flac", "abc"), ("stereo.flac", "abc")]


def test_a_bad_model_is_one_sentence(tmp_path, sounds):
    (tmp_path / "a.onnx").write_bytes(b"hello")
    for model in (tmp_path / "a.onnx", tmp_path / "b.onnx", sounds / "folder.wav"):
        done = kws("detect", "--model", model, sounds / "good.wav")
        assert done.returncode == 1
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("kws: ")
        assert str(model) in done.stderr


def test_added_keywords_and_thresholds(tone_model, sounds):
    # Of the tone model's tokens B, D and F are phones too.
    done = kws("detect", tone_model, sounds / "good.wav", "--threshold", "0.9999", "--json")
    assert (done.returncode, done.stdout) == (0, "")
    done = kws("detect", tone_model, sounds / "good.wav", "--keyword", "new=B B", "--json")
    assert done.returncode == 0
    assert [json.loads(line)["keyword"] for line in done.stdout.splitlines()] == ["abc", "fed"]
    done = kws("detect", tone_model, sounds / "good.wav", "--keyword", "bee=B", "--json")
    assert "bee" in [json.loads(line)["keyword"] for line in done.stdout.splitlines()]
    done = kws("detect", tone_model, sounds / "good.wav", "--keyword", "new=K AE T")
    assert done.returncode == 1
    assert "unknown tokens: AE, K, T" in done.stderr
    done = kws("detect", tone_model, sounds / "good.wav", "--keyword", "hey zzqx qqzz")
    assert done.returncode == 1
    assert "zzqx, qqzz" in done.stderr  # found in no dictionary, both named


@pytest.mark.parametrize(
    "words",
    [
        ["detect"],
        ["detect", "a.onnx"],
        ["detect", "a.wav", "--threshold", "2"],
        ["detect", "--loud", "a.wav"],
    ],
)
def test_wrong_usage(words):
    done = kws(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: kws detect")


def test_the_model_may_be_a_name(tone_model, sounds, monkeypatch, capsys, tmp_path):
    for module in (shipped_models, options):
        monkeypatch.setattr(module, "shipped", lambda: {"tones": tone_model})
    good = str(sounds / "good.wav")
    for words in (["tones", good], ["--model", "tones", good]):
        assert main(["detect", *words]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["detect", "--model", "toons", good]) == 1
    assert "there is no model 'toons'" in capsys.readouterr().err
    # A file of that name is a sound file.
    monkeypatch.chdir(tmp_path)
    write_wave(tmp_path / "tones", tones.speak("  ABC   "))
    assert main(["detect", "--model", str(tone_model), "tones"]) == 0
    assert capsys.readouterr().out.startswith("tones: ")
    assert main(["detect", str(tone_model), "tones"]) == 0
    assert capsys.readouterr().out.startswith("tones: ")


def test_events_are_printed_when_they_fire(tone_model, sounds):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, "-m", "kws", "detect", tone_model, sounds / "good.wav", sounds / "empty.wav"]
    done = subprocess.run(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=buffered
    )
    said = done.stdout.splitlines()
    assert ["abc" in said[0], "fed" in said[1], "is empty" in said[2]] == [True] * 3


def test_a_terminal_sees_how_far_a_long_file_is(tone_model, tmp_path):
    write_wave(tmp_path / "long.wav", np.full(16000 * 61, 0.1))
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "kws", "detect", str(tone_model), str(tmp_path / "long.wav")]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=theirs, text=True, check=False)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, "")
    assert "long.wav: 0.5 min" in shown
    assert "long.wav: 1.0 min" in shown
    assert shown.endswith("\r\x1b[K")
    assert kws("detect", tone_model, tmp_path / "long.wav").stderr == ""  # no terminal, no progress


def test_info_shows_what_is_inside(tone_model):
    done = kws("info", tone_model)
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "tones",
        "16000 Hz",
        "1280 samples = 80 ms",
        "640 samples = 40 ms",
        "10,560 parameters",
        "abc      0.5000     0.5 FA/h (1 false in 2.00 h of tunes)  A B C\n",
        "F E D",
        "F E\n",
        "not calibrated",
        "tail   240    float32  960",
        "968",
        "Jean-Baptiste Fourier",
        "kws 0.1.0, commit unknown",
    ):
        assert words in done.stdout


def test_info_as_json_is_the_model_info(tone_model):
    done = kws("info", tone_model, "--json")
    data = json.loads(done.stdout)
    assert data.pop("file") == str(tone_model)
    assert data.pop("bytes") == tone_model.stat().st_size
    assert data == tones.model_info()


def test_info_of_what_is_no_model(sounds):
    done = kws("info", sounds / "text.wav")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_info_fits_a_hundred_columns():
    done = kws("info")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines[1:]) <= 100  # the first has the path, which may be of any length
    assert "calibrated on telephone_without_computer, common_voice@dev" in done.stdout


def events_of(done) -> list[tuple]:
    """The events of lines of JSON without the names of their files."""
    return [tuple(json.loads(line).values())[1:] for line in done.stdout.splitlines()]


def test_a_gain_and_a_channel_are_heard_as_in_a_file_that_was_made_so(tone_model, tmp_path):
    tune = tones.speak("  ABC     FE   ")
    other = np.random.default_rng(0).normal(0, 0.3, tune.size)
    soundfile.write(tmp_path / "two.wav", np.stack([other, tune / 1000], axis=1), 16_000, subtype="FLOAT")
    louder = np.float32(tune / 1000) * np.float32(10 ** (60 / 20))
    soundfile.write(tmp_path / "made.wav", louder, 16_000, subtype="FLOAT")
    wanted = kws("detect", tone_model, tmp_path / "made.wav", "--json")
    done = kws("detect", tone_model, tmp_path / "two.wav", "--json", "--channel", 2, "--gain", 60)
    assert (done.returncode, done.stderr) == (0, "")
    assert events_of(done) == events_of(wanted)
    assert [event[0] for event in events_of(done)] == ["abc", "fed"]
    told = kws("detect", tone_model, tmp_path / "two.wav", "--explain", "--channel", 2, "--gain", 60, "-o", tmp_path)
    assert "abc fired" in told.stdout
    assert told.stderr == ""


def test_a_channel_that_a_file_lacks_names_the_file_and_stops_no_other(tone_model, sounds):
    done = kws("detect", tone_model, sounds / "good.wav", sounds / "stereo.flac", "--channel", 2, "--json")
    assert done.returncode == 1
    assert done.stderr == f"kws: {sounds / 'good.wav'} has 1 channel, and no channel 2\n"
    assert [event[0] for event in events_of(done)] == ["abc"]


@pytest.mark.parametrize("words", [("--gain", "61"), ("--gain", "nan"), ("--gain", "loud"), ("--channel", "0")])
def test_a_gain_or_a_channel_that_cannot_be_is_refused(tone_model, sounds, words):
    done = kws("detect", tone_model, sounds / "good.wav", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"argument {words[0]}" in done.stderr


def test_very_quiet_files_are_named_on_stderr_with_the_gain_that_helps(tone_model, tmp_path):
    tune = tones.speak("  ABC   ")
    quiet = write_wave(tmp_path / "quiet.wav", tune * 10 ** (-72 / 20) / np.abs(tune).max())
    silent = write_wave(tmp_path / "silent.wav", np.zeros(16_000))
    loud = write_wave(tmp_path / "loud.wav", tune)
    done = kws("detect", tone_model, quiet, silent, loud, "--json")
    assert [event[0] for event in events_of(done)][-1] == "abc"
    first, second = done.stderr.splitlines()
    assert first.startswith(f"kws: {quiet}: the loudest sample is at -72 dBFS")
    assert first.endswith("try --gain 42")
    assert second.startswith(f"kws: {silent}: every sample is zero, digital silence")
    assert kws("detect", tone_model, quiet, "--gain", "42").stderr == ""


@pytest.mark.parametrize(("model", "says"), [("speech-commands", True), ("wake-words", False)])
def test_what_is_too_quiet_depends_on_whether_the_model_follows_the_level(model, says, tmp_path):
    tune = tones.speak("  ABC   ")
    quiet = write_wave(tmp_path / "quiet.wav", tune * 10 ** (-50 / 20) / np.abs(tune).max())
    said = kws("detect", model, quiet).stderr
    assert ("-50 dBFS: most words so quiet are missed; try --gain 20" in said) == says == bool(said)
