"""The demo: what it shows is true, and it runs as `make demo` runs it."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rich")

from kws.demo.hear import Truth, belongs, summary
from kws.demo.timeline import blocks
from kws.events import Detection
from kws.runtime.shipped import DEFAULT_MODEL, shipped
from trees import ROOT


def event(keyword: str, end_s: float) -> Detection:
    return Detection(keyword, 0.9, 0, int(end_s * 16_000))


WORDS = [Truth("alexa", 1.0, 1.5), Truth("jarvis", 4.0, 4.5)]


def test_events_belong_to_words_said_just_before():
    assert belongs(event("alexa", 1.7), WORDS[0])
    assert not belongs(event("jarvis", 1.7), WORDS[0])
    assert not belongs(event("alexa", 2.6), WORDS[0]) and not belongs(event("alexa", 0.9), WORDS[0])


def test_the_summary_counts_misses_and_false_events():
    text = summary([event("alexa", 1.6), event("alexa", 9.0)], WORDS)
    assert text == "1 of 2 wake words heard, 1 false events; missed: jarvis at 4.0 s"


def test_blocks_show_the_highest_score_of_each_stretch():
    scores = np.zeros(100)
    scores[37] = 1.0
    assert blocks(scores, 10) == "   █      "
    assert len(blocks(np.ones(3), 20)) == 20


@pytest.mark.skipif(DEFAULT_MODEL not in shipped(), reason="no model ships yet")
def test_the_demo_runs_and_draws(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "scores.png"
    words = [sys.executable, "-m", "kws.demo.hear", "-o", str(picture)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    hits, false = re.search(r"(\d+) of 12 wake words heard, (\d+) false", done.stdout).groups()
    assert int(hits) >= 10 and int(false) <= 3, "the recording holds confusables: snowball, few glasses"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    assert "kws listen" in " ".join(done.stdout.split())


def test_the_truth_of_the_recording_is_complete():
    truth = json.loads((ROOT / "demo" / "hear.json").read_text())
    assert len(truth["wake_words"]) == 12
    for word in truth["wake_words"]:
        said = " ".join(s["text"].lower() for s in truth["sentences"])
        assert word["keyword"] in said and 0 < word["end_s"] - word["start_s"] < 1.5
