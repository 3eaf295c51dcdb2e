"""`kws classify` from outside: folders of tunes, counts that are known, files that cannot be read."""

import json
from pathlib import Path

import numpy as np
import pytest

import tones
from command import kws
from corpora import write_wav

pytest.importorskip("scipy")
pytest.importorskip("tqdm")


def lay_out(root: Path, clips: dict[str, list[str | None]]) -> Path:
    """A folder per class with a clip per tune; None is silence."""
    for name, tunes in clips.items():
        for i, tune in enumerate(tunes):
            write_wav(root / name / f"{i}.wav", np.zeros(16_000) if tune is None else tones.speak(f" {tune} "))
    return root


def test_it_counts_what_is_right_and_what_was_heard_instead(tone_model, tmp_path):
    clips = lay_out(
        tmp_path, {"abc": ["ABC", "ABC", "FED"], "fed": ["FED", "FE"], "_silence_": [None], "_unknown_": ["EEB", "ABC"]}
    )
    done = kws("classify", tone_model, clips, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["correct"], report["total"], report["skipped"]) == (6, 8, 0)
    assert report["accuracy"] == 0.75
    assert report["per_class"]["abc"] == {"correct": 2, "total": 3}
    assert report["confusion"]["abc"] == {"abc": 2, "fed": 1}
    assert report["confusion"]["_unknown_"] == {"_unknown_": 1, "abc": 1}
    text = kws("classify", tone_model, clips).stdout
    assert "6/8 = 75.00%" in text and "fed 1" in text


def test_words_of_the_model_that_are_no_class_are_what_unknown_means(tone_model, tmp_path):
    clips = lay_out(tmp_path, {"eel": ["EEB"], "_unknown_": ["ABC", "FED", "FE"]})
    report = json.loads(kws("classify", tone_model, clips, "--json").stdout)
    assert report["correct"] == 4


def test_a_manifest_names_the_classes_too(tone_model, tmp_path):
    lay_out(tmp_path, {"1": ["ABC"], "2": ["FED"], "3": [None]})
    rows = ["audio,seconds,text,speaker,split", "1/0.wav,1,abc,a,dev", "2/0.wav,1,fed,b,dev", "3/0.wav,1,,c,dev"]
    (tmp_path / "manifest.csv").write_text("\n".join([*rows, "1/0.wav,1,eel,d,train"]))
    report = json.loads(kws("classify", tone_model, f"{tmp_path}@dev", "--json").stdout)
    assert (report["correct"], report["total"]) == (3, 3) and set(report["per_class"]) == {"abc", "fed", "_silence_"}


def test_clips_that_cannot_be_read_are_named_counted_and_left_out(tone_model, tmp_path):
    clips = lay_out(tmp_path, {"abc": ["ABC"], "fed": ["FED"]})
    (clips / "abc" / "broken.flac").write_bytes(b"no audio")
    (clips / "abc" / "empty.wav").touch()
    (clips / "notes").mkdir()
    done = kws("classify", tone_model, clips, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert (report["correct"], report["total"], report["skipped"]) == (2, 2, 2)
    assert "broken.flac" in done.stderr and "empty.wav" in done.stderr


@pytest.mark.parametrize(
    ("clips", "said"),
    [({}, "folder"), ({"zorgo": ["ABC"]}, "zorgo"), ({"yes": ["ABC"]}, "token")],
)
def test_what_cannot_be_classified_gets_one_sentence(tone_model, tmp_path, clips, said):
    done = kws("classify", tone_model, lay_out(tmp_path / "clips", clips))
    assert done.returncode == 1 and said in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
