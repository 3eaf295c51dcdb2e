"""`kws score` and `kws calibrate` from outside, on tunes whose events are known."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tones
from command import kws
from corpora import COLUMNS, write_wav
from kws.metadata import Calibration
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import shipped

pytest.importorskip("scipy")
pytestmark = pytest.mark.usefixtures("without_figures")


def manifest(folder: Path, clips: list[tuple[str, np.ndarray]]) -> Path:
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i, (text, samples) in enumerate(clips):
            write_wav(folder / f"{i}.wav", samples)
            writer.writerow((f"{i}.wav", len(samples) / 16_000, text, "", "dev"))
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> tuple[Path, Path]:
    """Positives: "abc" sung loud twice and once not at all; negatives: half a minute with one loud "abc"."""
    root = tmp_path_factory.mktemp("recordings")
    said = [("abc", tones.speak("ABC")), ("abc", tones.speak("ABC")), ("abc", np.zeros(8000, np.float32))]
    said += [("fed", tones.speak("FED")), ("eel", tones.speak("EEB"))]
    quiet = np.zeros(16_000 * 10, np.float32)
    loud = [("", quiet), ("", np.concatenate([quiet, tones.speak("ABC"), quiet]))]
    return manifest(root / "positives", said), manifest(root / "negatives", loud)


def test_score_counts_events(tone_model, recordings, tmp_path):
    positives, negatives = recordings
    done = kws("score", tone_model, "--positives", positives, "--negatives", negatives, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())["keywords"]
    assert report["abc"]["positives"] == 3 and report["fed"]["positives"] == 1
    first, last = report["abc"]["det"][0], report["abc"]["det"][-1]
    assert (first["misses"], first["false_accepts"]) == (1, 1)
    assert last["misses"] >= 1 and last["threshold"] > 0.5
    others = sum(len(tones.speak(tune)) for tune in ("FED", "EEB"))
    seconds = 30 + len(tones.speak("ABC")) / 16_000 + others / 16_000
    assert report["abc"]["hours"] == pytest.approx(seconds / 3600, rel=1e-6)
    assert "1/3" in done.stdout


def test_a_corrupt_clip_is_named_and_the_rest_is_counted(tone_model, recordings, tmp_path):
    positives = shutil.copytree(recordings[0], tmp_path / "copy")
    (positives / "1.wav").write_text("not audio")
    done = kws("score", tone_model, "--positives", positives)
    assert done.returncode == 0 and "1.wav" in done.stderr and "1 skipped" in done.stderr
    assert "1/2" in done.stdout


def test_calibrate_writes_thresholds_and_their_provenance(tone_model, recordings, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(tone_model, path)
    positives, negatives = recordings
    words = (
        "calibrate",
        path,
        "--positives",
        positives,
        "--negatives",
        f"{negatives}@dev",
        "--fa-per-hour",
        200,
    )
    done = kws(*words)
    assert done.returncode == 0, done.stderr
    before, after = OnnxModel.load(tone_model).info, OnnxModel.load(path).info
    abc = after.keywords[0]
    assert abc.calibration is not None and abc.calibration.false_accepts == 1 and abc.calibration.fa_per_hour == 200
    assert "dev" in abc.calibration.data and "negatives" in abc.calibration.data
    assert abc.threshold != before.keywords[0].threshold and after.states == before.states
    assert [e.keyword for e in Detector.load(path).stream().process(tones.speak("ABC"), last=True).detections] == [
        "abc"
    ]


def test_what_the_hours_cannot_show_is_said(tone_model, recordings, tmp_path):
    path, copy = tmp_path / "model.onnx", tmp_path / "copy.onnx"
    shutil.copy(tone_model, path)
    content = path.read_bytes()
    silence = manifest(tmp_path / "silence", [("", np.zeros(72 * 16_000, np.float32))])
    done = kws("calibrate", path, "--negatives", silence, "--fa-per-hour", 0.5, "-o", copy)
    assert done.returncode == 0, done.stderr
    assert (
        "abc: 0 in 0.02 h: at most 150/h at 95 %; 6 h without any are needed to show 0.5/h; "
        "too little to set a threshold below the model's default, 0.4" in done.stdout
    )
    assert f"written: {copy}" in done.stdout and path.read_bytes() == content
    abc = OnnxModel.load(copy).info.keywords[0]
    assert abc.threshold == 0.4 and abc.calibration == Calibration(0.5, 0, 72 / 3600, "silence")
    assert "0.5 FA/h (0 false in 0.02 h of silence)" in kws("info", copy).stdout
    assert kws("detect", copy, recordings[0] / "0.wav").stdout.count("abc") == 1
    done = kws("calibrate", path, "--negatives", silence, "--fa-per-hour", 200)
    assert done.returncode == 0 and "needed to show" not in done.stdout
    assert OnnxModel.load(path).info.keywords[0].threshold == 0.01  # 72 s do show 200/h


def test_calibrate_never_writes_over_a_shipped_model(recordings, tmp_path):
    model = shipped()["wake-words"]
    before = model.stat().st_mtime_ns
    link = tmp_path / "link.onnx"
    link.symlink_to(model)
    for words in ([], ["wake-words"], [model], [link], ["wake-words", "-o", model]):
        done = kws("calibrate", *words, "--negatives", recordings[1], "--fa-per-hour", 1)
        assert done.returncode == 1 and "wake-words ships with kws and stays as it is: give -o FILE.onnx" in done.stderr
    assert model.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--positives", "{positives}"], "give --negatives"),
        (["--negatives", "{abc}"], "every recording says abc: give --negatives that do not"),
        (["--negatives", "{negatives}", "-o", "copy"], "copy cannot be written: give -o a file that ends in .onnx"),
        (["--negatives", "{negatives}", "-o", "no/copy.onnx"], "in a folder that exists"),
    ],
)
def test_mistakes_of_calibrating_are_one_sentence(words, sentence, tone_model, recordings, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(tone_model, path)
    content = path.read_bytes()
    abc = manifest(tmp_path / "abc", [("ABC!", tones.speak("ABC"))])
    places = {"positives": recordings[0], "negatives": recordings[1], "abc": abc}
    done = kws("calibrate", path, "--fa-per-hour", 1, *(word.format(**places) for word in words))
    assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr
    assert path.read_bytes() == content


def test_calibrate_refuses_a_rate_that_makes_a_keyword_deaf(tone_model, recordings, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(tone_model, path)
    content = path.read_bytes()
    done = kws("calibrate", path, "--positives", recordings[0], "--negatives", recordings[1], "--fa-per-hour", 0)
    assert done.returncode == 1 and "no threshold that this audio allows hears abc at 0 FA/h" in done.stderr
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--positives", "nowhere.csv"], "no manifest at nowhere.csv"),
        (["--positives", "{negatives}"], "says a keyword of the model"),
        ([], "no recording to hear"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, tone_model, recordings):
    done = kws("score", tone_model, *(word.format(negatives=recordings[1]) for word in words))
    assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr
