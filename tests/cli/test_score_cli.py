"""`kws score` as a user meets it where the disk is full, and with manifests that a spreadsheet wrote."""

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import scored

REPORT = {"report.json", "events.csv", "report.html", "det.png", "det.svg", "scores.png", "scores.svg"}


@pytest.fixture
def folder(tmp_path):
    scored.write_inputs(tmp_path)
    return tmp_path


def kws(folder, *words, limit_bytes=None):
    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    words = [sys.executable, "-m", "kws", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, preexec_fn=limit)


def test_a_report_is_whole_or_absent(folder):
    """A file that may not grow any further fails as one does on a full disk."""
    full = kws(folder, *scored.BEFORE, limit_bytes=200_000)  # the page is larger
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1] == "kws: before: File too large"
    assert [path.name for path in (folder / "before").iterdir()] == ["replay.db"]
    done = kws(folder, *scored.BEFORE)  # goes on where that one stopped
    assert done.returncode == 0
    assert {path.name for path in (folder / "before").iterdir()} >= REPORT
    before = {path.name: path.read_bytes() for path in (folder / "before").iterdir()}
    full = kws(folder, *scored.BEFORE, "--silence", "0.5", limit_bytes=260_000)
    assert full.returncode == 1
    after = {path.name: path.read_bytes() for path in (folder / "before").iterdir()}
    assert {name: after[name] for name in REPORT} == {name: before[name] for name in REPORT}
    assert set(after) == set(before)


def test_no_room_for_what_was_replayed_is_one_sentence(folder):
    full = kws(folder, *scored.BEFORE, limit_bytes=20_000)
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert full.stderr.splitlines()[-1].startswith("kws: before/replay.db cannot be used:")


def test_a_manifest_from_a_spreadsheet_is_read_and_a_bad_row_stops_nothing(folder):
    (folder / "excel.csv").write_text(
        "Audio;Seconds;Text;Speaker;Split\r\n"
        "said\\0.wav;0,9;Alexa;Ann;dev\r\n"
        ";;;;\r\n"
        "said/2.wav;long;Alexa;Ann;dev\r\n"
        "said/4.wav;0,9;Alexa;Ann;dev\r\n",
        "utf-8-sig",
        newline="",
    )
    assert (folder / "said/0.wav").is_file()
    done = kws(folder, "score", "engine.py:Before", "--positives", "excel.csv", "--negatives", "radio", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert "skipped: excel.csv line 4: seconds is 'long', not a number" in done.stderr
    assert "4 recordings" in done.stderr  # two of them of the radio
    assert "1 skipped" in done.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("audio;seconds\n;1\n", "there is no recording to hear"),
        ("file;length\na.wav;1\n", "lacks the columns audio, seconds"),
        ("", "lacks the columns audio, seconds"),
        ("audio,seconds,text\nmissing.wav,1,alexa\n", "there is no recording to hear"),
        ("audio,seconds,text\nsaid/0.wav,1,something else\n", "none of the recordings says a keyword"),
    ],
)
def test_nothing_counted_is_a_failure(folder, content, sentence):
    (folder / "bad.csv").write_text(content)
    done = kws(folder, "score", "engine.py:Before", "--positives", "bad.csv", "--jobs", 1)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr.splitlines()[-1]


def test_names_of_files_that_are_no_text(folder):
    """Escaped in the report: a name of bytes that are no UTF-8 stops nothing."""
    name = os.fsdecode(b"caf\xe9.wav")
    (folder / "radio/manifest.csv").unlink()
    (folder / "radio/0.wav").rename(folder / "radio" / name)
    done = kws(folder, *scored.BEFORE)
    assert done.returncode == 0, done.stderr
    for written in ("report.json", "events.csv", "report.html"):
        assert "caf\\udce9.wav" in (folder / "before" / written).read_text(encoding="utf-8")
    report = json.loads((folder / "before/report.json").read_text(encoding="utf-8"))
    assert name in json.dumps(report, ensure_ascii=False)


def scores(folder, name: str) -> dict[tuple, float]:
    """The score of each occurrence in a report, and of each false accept and confusable."""
    report = json.loads((folder / name / "report.json").read_text())
    rows = [*report["trials"], *report["accepts"]]
    return {(row["name"], row["keyword"], row.get("condition"), row["start_s"]): row["score"] for row in rows}


def test_a_gain_is_heard_in_every_recording_kept_in_the_report_and_compared_with_no_other(folder):
    before = kws(folder, *scored.BEFORE)
    assert before.returncode == 0, before.stderr
    louder = [*scored.BEFORE[:-2], "--gain", "-6.0206", "-o", "softer"]
    done = kws(folder, *louder, "--against", "before")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("gain_db 0 there and -6.0206 here")
    rules = json.loads((folder / "softer/report.json").read_text())["rules"]
    assert (rules["gain_db"], rules["channel"]) == (-6.0206, None)
    assert "all of it was heard with --gain -6.0206" in done.stdout
    assert "--gain -6.0206" in (folder / "softer/report.html").read_text()
    full, half = scores(folder, "before"), scores(folder, "softer")
    words = [key for key in full if key[1] == "alexa" and key in half]  # the highest sample
    assert len(words) > 10
    assert {key[0].split("/")[0] for key in words} >= {"said", "alike"}
    for key in words:
        assert half[key] == pytest.approx(full[key] / 2, abs=0.011), key
    again = kws(folder, *louder, "--against", "softer")
    assert again.returncode == 0, again.stderr
    assert "against engine.py:Before, on the same recordings" in again.stdout


def test_recordings_without_the_channel_are_named_counted_and_skipped(folder):
    path = folder / "said/0.wav"
    sound, rate = soundfile.read(path)
    soundfile.write(path, np.stack([np.zeros_like(sound), sound], axis=1), rate)
    words = ["score", "engine.py:Before", "--positives", "said", "--jobs", 1, "-o", "second"]
    done = kws(folder, *words, "--channel", 2)
    assert done.returncode == 0, done.stderr
    assert f"skipped: {folder / 'said/1.wav'} has 1 channel, and no channel 2" in done.stderr
    assert "1 recordings" in done.stderr
    assert "10 skipped" in done.stderr
    report = json.loads((folder / "second/report.json").read_text())
    assert report["rules"]["channel"] == 2
    assert [trial["score"] > 0.05 for trial in report["trials"]] == [True]
    first = kws(folder, *words, "--channel", 1)  # beside what was kept of the second channel
    assert first.returncode == 0, first.stderr
    assert (
        sum(trial["score"] > 0.05 for trial in json.loads((folder / "second/report.json").read_text())["trials"]) == 9
    )


@pytest.mark.parametrize("option", ["--gate", "--after-pause"])
def test_an_engine_of_others_has_no_gate_of_ours(option, folder):
    refused = kws(folder, *scored.BEFORE, option)
    assert refused.returncode == 1
    assert refused.stderr == f"kws: {option} is of models of kws, and engine.py:Before is an engine of others\n"
