"""`kws detect` between other programs: pipes, raw samples, odd names, narrow encodings, and outputs that are gone."""

import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tones
from trees import ROOT
from waves import write_wave


def kws(*words, **options):
    words = [sys.executable, "-m", "kws", *map(str, words)]
    return subprocess.run(words, **{"capture_output": True, "check": False, "text": True, **options})


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return write_wave(tmp_path_factory.mktemp("sounds") / "good.wav", tones.speak("  ABC     FE   "))


@pytest.fixture(scope="module")
def raw() -> bytes:
    return (tones.speak("  ABC     FE   ") * 32_767).astype("<i2").tobytes()


def heard(done):
    lines = map(json.loads, done.stdout.splitlines())
    return [line["keyword"] for line in lines if "keyword" in line]


# Where sound comes from


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_from_a_pipe_and_from_a_file(tone_model, good, name):
    words = ("detect", tone_model, name, "--json")
    piped = kws(*words, input=good.read_bytes(), text=False)
    assert (piped.returncode, piped.stderr) == (0, b"")
    with good.open("rb") as file:
        redirected = kws(*words, stdin=file)
    direct = kws("detect", tone_model, good, "--json")
    events = [json.loads(line) for line in direct.stdout.splitlines()]
    for done in (piped.stdout.decode(), redirected.stdout):
        assert [json.loads(line) for line in done.splitlines()] == [{**event, "file": name} for event in events]


def test_a_named_pipe_and_a_shells_own(tone_model, good, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(good.read_bytes()))
    writer.start()
    done = kws("detect", tone_model, pipe, "--json")
    writer.join()
    assert (done.returncode, done.stderr, heard(done)) == (0, "", ["abc", "fed"])
    script = f"{sys.executable} -m kws detect {tone_model} <(cat {good}) --json"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, heard(done)) == (0, "", ["abc", "fed"])


@pytest.mark.parametrize(
    ("sound", "sentence"), [(b"", "kws: - is empty\n"), (b"no sound at all", "kws: - is not a sound file\n")]
)
def test_what_is_wrong_with_a_pipe_is_said_by_its_name(tone_model, good, sound, sentence):
    done = kws("detect", tone_model, "-", good, "--json", input=sound, text=False)
    assert (done.returncode, done.stderr.decode()) == (1, sentence)
    assert len(done.stdout.splitlines()) == 2  # the other file is heard


def test_the_picture_of_standard_input_has_a_name(tone_model, good, tmp_path):
    done = kws("detect", tone_model, "-", "--explain", input=good.read_bytes(), text=False, cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "stdin.explain.png").is_file()


def test_raw_samples_from_a_file_and_a_pipe(tone_model, raw, tmp_path):
    (tmp_path / "good.raw").write_bytes(raw)
    for done in (
        kws("detect", tone_model, tmp_path / "good.raw", "--raw", 16000, "--json"),
        kws("detect", tone_model, "-", "--raw", 16000, "--json", input=raw, text=False),
    ):
        assert done.returncode == 0
        assert heard(done) == ["abc", "fed"]
    fast = (tones.speak("  ABC     FE   ", rate=48_000) * 32_767).astype("<i2").tobytes()
    done = kws("detect", tone_model, "-", "--raw", 48_000, "--json", input=fast, text=False)
    assert (done.returncode, heard(done)) == (0, ["abc", "fed"])


def test_raw_samples_are_heard_as_they_come(tone_model, raw):
    words = [sys.executable, "-m", "kws", "detect", str(tone_model), "-", "--raw", "16000", "--json"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(raw[: len(raw) // 2])
        process.stdin.flush()  # the pipe stays open
        event = json.loads(process.stdout.readline())
        assert (event["keyword"], "peak" in event) == ("abc", False)
        process.stdin.close()
        assert process.wait() == 0


def test_live_each_peak_follows_in_a_line_of_its_own_and_is_that_of_the_file(tone_model, good, raw):
    live = kws("detect", tone_model, "-", "--raw", 16000, "--json", input=raw, text=False)
    lines = [json.loads(line) for line in live.stdout.splitlines()]
    fired, peaks = ([line for line in lines if (name in line)] for name in ("keyword", "peak_of"))
    assert len(fired) == len(peaks) == len(lines) / 2
    in_file = [json.loads(line) for line in kws("detect", tone_model, good, "--json").stdout.splitlines()]
    wanted = [(e["keyword"], e["score"], e["end_s"], pytest.approx(e["peak"], abs=1e-3)) for e in in_file]
    both = [(e["keyword"], e["score"], e["end_s"], p["peak"]) for e, p in zip(fired, peaks, strict=True)]
    assert [(k, pytest.approx(s, abs=1e-3), t, p) for k, s, t, p in both] == wanted
    assert [(p["peak_of"], p["end_s"]) for p in peaks] == [(e["keyword"], e["end_s"]) for e in fired]
    words = kws("detect", tone_model, "-", "--raw", 16000, input=raw, text=False).stdout.decode().splitlines()
    assert [line.endswith(")") and "(peak " in line for line in words] == ["peak_of" in line for line in lines]
    assert ", peak " in kws("detect", tone_model, good).stdout.splitlines()[0]


def test_raw_samples_that_cannot_be_right(tone_model, raw, tmp_path):
    (tmp_path / "odd.raw").write_bytes(raw + b"x")
    (tmp_path / "none.raw").touch()
    done = kws("detect", tone_model, *tmp_path.iterdir(), tmp_path / "missing.raw", "--raw", 16000, "--json")
    assert (done.returncode, heard(done)) == (1, ["abc", "fed"])
    assert sorted(line.removeprefix(f"kws: {tmp_path}/") for line in done.stderr.splitlines()) == [
        "missing.raw does not exist",
        "none.raw has no samples",
        "odd.raw ends inside a sample: is it 16-bit mono?",
    ]
    done = kws("detect", tone_model, tmp_path / "odd.raw", "--raw", 4000)
    assert (done.returncode, done.stdout) == (1, "")
    assert "4000 Hz cannot be used" in done.stderr
    assert kws("detect", tone_model, tmp_path / "odd.raw", "--raw", 0).returncode == 2


# Names


@pytest.mark.parametrize("name", ["-x.wav", "--json", "--"])
def test_names_with_a_dash_follow_two_dashes(tone_model, good, tmp_path, name):
    (tmp_path / name).write_bytes(good.read_bytes())
    done = kws("detect", "-m", tone_model, "--json", "--", name, good, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    files = {json.loads(line)["file"] for line in done.stdout.splitlines()}
    assert files == {name, str(good)}


def test_a_file_called_like_a_shipped_model_hides_no_model(good, tmp_path):
    (tmp_path / "wake-words").write_bytes(good.read_bytes())
    for words in (["info"], ["info", "wake-words"], ["detect", good], ["detect", "wake-words"]):
        done = kws(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert "not those of an ONNX file" in kws("info", "./wake-words", cwd=tmp_path).stderr


@pytest.mark.parametrize("narrow", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_letters_that_the_output_lacks(tone_model, good, tmp_path, narrow):
    name = os.fsdecode(b"gr\xc3\xbc\xc3\x9f\xff.wav")
    (tmp_path / name).write_bytes(good.read_bytes())
    for words in ([], ["--explain"]):
        done = kws("detect", tone_model, name, *words, cwd=tmp_path, env=os.environ | narrow, text=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"abc" in done.stdout


# Outputs that are gone


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["info"], ["detect", ROOT / "demo/hear.wav"], ["--version"], ["--help"]])
def test_a_full_output_is_one_sentence(words, unbuffered):
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = kws(*words, capture_output=False, stdout=full, stderr=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (1, "kws: the output cannot be written: No space left on device\n")


def test_a_reader_that_has_gone():
    script = f"{sys.executable} -m kws detect {ROOT / 'demo/hear.wav'} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (141, "", 1)


def test_closed_and_full_streams_stop_nothing(tone_model, good, tmp_path):
    for closed, code in ((">&-", 0), ("2>&-", 0), ("<&-", 0), ("2>/dev/full", 0)):
        script = f"{sys.executable} -m kws detect {tone_model} {good} --keyword x=B {closed}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if closed != ">&-":
            assert "abc" in done.stdout
    script = f"{sys.executable} -m kws detect {tone_model} missing.wav 2>&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m kws detect {tone_model} - <&-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "kws: - is standard input, and that is closed\n")


def test_no_room_for_what_comes_through_a_pipe(tone_model, good):
    done = kws(
        "detect", tone_model, "-", input=good.read_bytes(), text=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode().startswith("kws: - is kept in ")
    assert done.stderr.decode().endswith("until it ends, which failed: File too large\n")
