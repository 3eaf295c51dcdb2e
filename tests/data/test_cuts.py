"""Words cut out of sentences, found again where the demo recording says they are."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pocketsphinx")
soundfile = pytest.importorskip("soundfile")

from corpora import write_wav  # noqa: E402
from kws.audio import read  # noqa: E402
from kws.data.cuts import cut  # noqa: E402
from kws.data.manifest import Utterance, read_manifest, write_manifest  # noqa: E402
from trees import ROOT  # noqa: E402

DEMO = ROOT / "demo"
WORDS = ("alexa", "computer", "jarvis")


def sentences(folder: Path) -> list[tuple[str, float]]:
    """Every sentence of the demo as a clip, with a manifest; returns name and start of each."""
    told = json.loads((DEMO / "hear.json").read_text())
    samples = read(DEMO / "hear.wav")
    rows, starts = [], []
    for number, said in enumerate(told["sentences"]):
        path = folder / f"{number}.wav"
        write_wav(path, samples[int(said["start_s"] * 16_000) : int(said["end_s"] * 16_000)])
        text = " ".join(said["text"].lower().translate(str.maketrans("", "", ".,!?;:")).split())
        rows.append(Utterance(path, said["end_s"] - said["start_s"], text, said["voice"], "dev"))
        starts.append((path.stem, said["start_s"]))
    (folder / "gone.wav").write_text("no audio")
    rows.append(Utterance(folder / "gone.wav", 1.0, "alexa", "nobody", "dev"))
    write_manifest(folder / "manifest.csv", rows)
    return starts


def test_words_are_cut_where_they_are_said_and_keep_speaker_and_split(tmp_path):
    starts = dict(sentences(tmp_path / "corpus"))
    command = [sys.executable, "-m", "kws", "data", "cut", tmp_path / "corpus", "--root", tmp_path / "cut"]
    done = subprocess.run([*command, "--words", *WORDS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "skipped" in done.stderr and "gone.wav" in done.stderr
    cuts = read_manifest(tmp_path / "cut")
    told = json.loads((DEMO / "hear.json").read_text())["wake_words"]
    for word in WORDS:
        expected = [said["start_s"] for said in told if said["keyword"] == word]
        found = [row for row in cuts if row.text == word]
        assert len(found) >= len(expected) - 1 > 0, "at most one is swallowed"
        for row in found:
            sentence, sample = row.audio.stem.split("_")
            at = starts[sentence] + int(sample) / 16_000
            assert min(abs(at - start) for start in expected) < 0.15, (word, at)
            assert 0.2 < row.seconds < 1.2 and len(read(row.audio)) == pytest.approx(row.seconds * 16_000, abs=16)
            assert row.split == "dev" and row.speaker.startswith(("kokoro:", "piper:"))


def test_a_cut_is_faded_on_both_sides():
    piece = cut(np.ones(16_000, np.float32), 4000, 8000)
    assert piece[0] == 0 and piece[-1] == 0 and piece[len(piece) // 2] == 1
    assert (np.diff(piece[:400]) >= 0).all() and 4000 < len(piece) < 6000


def test_a_corpus_that_is_not_there_gets_one_sentence(tmp_path):
    command = [sys.executable, "-m", "kws", "data", "cut", "nowhere", "--root", tmp_path, "--words", "on"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "nowhere" in done.stderr and "Traceback" not in done.stderr


def test_align_says_where_each_text_is_said(tmp_path):
    told = json.loads((DEMO / "hear.json").read_text())["wake_words"]
    samples = read(DEMO / "hear.wav")
    rows = []
    for i, word in enumerate(told):
        lead = 0.4 + 0.1 * (i % 4)
        clip = samples[int((word["start_s"] - lead) * 16_000) : int((word["end_s"] + 0.4) * 16_000)]
        write_wav(tmp_path / f"{i}.wav", clip)
        rows.append(Utterance(tmp_path / f"{i}.wav", len(clip) / 16_000, word["keyword"], "", "dev", (lead, 0.0)))
    expected = [(row.span[0], row.seconds - 0.4) for row in rows]
    write_wav(tmp_path / "hiss.wav", np.random.default_rng(0).normal(0, 0.05, 4000).astype(np.float32))
    extra = [
        Utterance(tmp_path / "hiss.wav", 0.25, "view glass", "", "dev"),
        Utterance(tmp_path / "0.wav", 2, "", "", ""),
    ]
    write_manifest(tmp_path / "manifest.csv", [*(replace(row, span=None) for row in rows), *extra])
    command = [sys.executable, "-m", "kws", "data", "align", tmp_path, "-o", tmp_path / "aligned.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = read_manifest(tmp_path / "aligned.csv")
    assert "hiss.wav" in done.stdout and [row.span for row in found[-2:]] == [None, None]
    errors = [abs(np.subtract(row.span, true)) for row, true in zip(found, expected, strict=False) if row.span]
    assert len(errors) >= len(told) - 2 and np.median(errors) < 0.1 and max(end for _, end in errors) < 0.35
