"""Adapters of the users': what is made of their scores, and what is said when they do not keep their word."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import ADAPTER, opened, scores, sound
from corpora import write_wav
from kws.decoding.trigger import Trigger
from kws.errors import KwsError


@pytest.fixture
def adapter(tmp_path) -> Path:
    (tmp_path / "adapter.py").write_text(ADAPTER)
    return tmp_path / "adapter.py"


def test_an_adapter_of_the_users(adapter):
    assert scores(opened(f"{adapter}:Loud", "x", "y"), sound(0, 0.5, chunk=160)).tolist() == [[0, 0], [0.5, 0.5]]
    assert scores(opened(f"{adapter}:Fires"), sound(0, 0.5, chunk=160)).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Short", r"gave \[0.5\] for a chunk, not 2 scores in \[0, 1\]"),
        ("Wild", r"gave \[nan, 2.0\] for a chunk, not 2 scores"),
        ("Raises", r"failed in process \(RuntimeError: no licence, .*adapter.py line \d+\)"),
        ("Stuck", r"failed in reset \(ValueError, .*adapter.py"),
        ("Refuses", r"failed in its constructor \(OSError: no model file"),
        ("Empty", "lacks keywords, thresholds, version, size_bytes, chunk_samples, process, reset"),
        ("Uneven", "has 2 keywords and 1 thresholds"),
        ("None_", "has no class None_"),
    ],
)
def test_an_adapter_that_misbehaves_is_blamed_in_one_sentence(adapter, name, sentence):
    with pytest.raises(KwsError, match=sentence) as caught:
        scores(opened(f"{adapter}:{name}", "x", "y"), sound(0, chunk=160))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("{folder}/none.py:X", "there is no adapter at .*none.py"),
        ("{folder}/bad.py", "name the class as well, .*bad.py:CLASS"),
        ("no_such_module:X", "failed in its import .*no_such_module"),
        ("{folder}/bad.py:X", "failed in its import .SyntaxError"),
    ],
)
def test_an_adapter_that_cannot_be_loaded_is_named(tmp_path, place, sentence):
    (tmp_path / "bad.py").write_text("class X(")
    with pytest.raises(KwsError, match=sentence):
        opened(place.format(folder=tmp_path))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 700), max_size=8))
def test_blocks_change_nothing(tmp_path_factory, cuts):
    file = tmp_path_factory.getbasetemp() / "loud.py"
    file.write_text(ADAPTER)
    system = opened(f"{file}:Loud")
    samples = np.random.default_rng(0).uniform(-1, 1, 2000).astype(np.float32) * np.repeat([0, 1, 0, 0.02], 500)
    whole = system.stream().process(samples, last=True)
    listening = system.stream()
    places = [0, *np.clip(np.cumsum(cuts), 0, 2000), 2000]
    parts = [listening.process(samples[a:b]) for a, b in itertools.pairwise(places)]
    parts.append(listening.process(np.empty(0, np.float32), last=True))
    for kind in ("scores", "ages"):
        assert np.array_equal(np.concatenate([getattr(part, kind) for part in parts]), getattr(whole, kind))


@pytest.mark.parametrize(
    ("seconds_loud", "between", "baseline", "events"),
    [
        (0.5, 1.5, 0.0, 2),  # said twice
        (1.6, 1.5, 0.0, 2),  # held beyond the refractory: still one event each time
        (1.6, 1.5, 0.1, 4),  # but not of an engine whose score never falls to nothing: nobody knows when it began
        (0.2, 0.3, 0.0, 1),  # said twice within the refractory
        (4.0, 1.0, 0.0, 6),  # held for so long that it is no word: counted again after 2 s, and after 3 s
    ],
)
def test_a_held_score_is_one_event(adapter, seconds_loud, between, baseline, events):
    system = opened(f"{adapter}:Loud")
    samples = np.full(round(16_000 * (2 * seconds_loud + 2 * between + 1)), baseline, np.float32)
    for start in (1.0, 1.0 + seconds_loud + between):
        samples[round(16_000 * start) : round(16_000 * (start + seconds_loud))] = 0.5
    heard = system.stream().process(samples)
    trigger = Trigger(system.thresholds, system.refractory_frames)
    found, _ = trigger.run(heard.scores, heard.ages, 0, trigger.init_state())
    assert len(found) == events


def test_an_adapter_is_scored_as_a_model_is_and_without_torch(adapter, tmp_path):
    """`kws score` from outside; it loads nothing of the training wing."""
    burst, calm = 0.5 * np.ones(3200, np.float32), np.zeros(8000, np.float32)
    said, other = tmp_path / "said", tmp_path / "other"
    for folder, clips in ((said, [burst, calm]), (other, [calm, np.concatenate([calm, burst, calm])])):
        for i, clip in enumerate(clips):
            write_wav(folder / f"{i}.wav", clip)
    rows = "".join(f"{i}.wav,1,abc,someone,\n" for i in range(2))
    (said / "manifest.csv").write_text(f"audio,seconds,text,speaker,split\n{rows}")
    script = """
import sys
from kws.cli.main import main
code = main(sys.argv[1:])
sys.exit(code or sorted({"torch", "torchaudio", "pytorch_lightning"} & set(sys.modules)) or 0)
"""
    words = ["score", f"{adapter}:Loud", "--keyword", "abc", "--positives", said, "--negatives", other, "--jobs", "1"]
    command = [sys.executable, "-c", script, *map(str, words), "-o", str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own = json.loads((tmp_path / "report/report.json").read_text())["keywords"]["abc"]["points"][0]
    assert (own["positives"], own["misses"], own["false_accepts"]) == (2, 1, 1)
