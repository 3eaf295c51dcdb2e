"""benchmarks/starts.py: what is counted of streams that begin in the middle of speech."""

import importlib
import sys

import numpy as np
import pytest

import tones
from corpora import write_wav
from trees import ROOT


@pytest.fixture
def starts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("starts")


def around(tune: str, before_s: float, after_s: float) -> np.ndarray:
    parts = np.zeros(round(16_000 * before_s)), tones.speak(tune), np.zeros(round(16_000 * after_s))
    return np.concatenate(parts).astype(np.float32)


def test_both_streams_count_the_same_event_at_the_same_time(starts, detector):
    (found,) = starts.heard(detector, around("ABC", 2.0, 4.0), [24_000], 48_000)
    assert found.seconds == 3 and len(found.cold) == len(found.warm) == 1
    assert found.cold[0] == pytest.approx(found.warm[0], abs=0.081) and 0.5 < found.cold[0] < 1.4


@pytest.mark.parametrize(("before_s", "after_s"), [(0.2, 6.0), (5.0, 1.0)])
def test_what_ends_outside_of_the_stretch_counts_for_neither(starts, detector, before_s, after_s):
    (found,) = starts.heard(detector, around("ABC", before_s, after_s), [24_000], 48_000)
    assert (found.cold, found.warm) == ((), ())


def test_a_stream_that_begins_there_does_not_hear_what_was_before(starts, detector):
    sound = around("ABC", 1.0, 4.0)
    middle = 16_000 + len(tones.speak("A"))
    (found,) = starts.heard(detector, sound, [middle], 48_000)
    assert (len(found.cold), len(found.warm)) == (0, 1)


def test_a_start_depends_on_the_seed_and_the_name_alone(starts):
    begins = starts.begins_of("a.wav", 100_000, 0, 3)
    assert begins[:1] == starts.begins_of("a.wav", 100_000, 0, 1) and len(set(begins)) == 3
    others = starts.begins_of("a.wav", 100_000, 1, 3) + starts.begins_of("b.wav", 100_000, 0, 3)
    assert not set(begins) & set(others)
    assert all(25_000 <= begin < 75_000 for begin in begins + others)


def test_the_table_of_a_source(starts, tone_model, tmp_path, monkeypatch, capsys):
    """Too short a recording, and one that says a keyword, are left out."""
    lengths = {"a": 6.0, "b": 6.0, "short": 3.0, "says": 6.0}
    rows = ["audio,seconds,text,speaker,split"]
    for name, length in lengths.items():
        write_wav(tmp_path / f"{name}.wav", np.zeros(round(16_000 * length), np.float32))
        rows.append(f"{name}.wav,{length},{'say abc now' if name == 'says' else 'other words'},x,dev")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    source = f"{tmp_path}@dev"
    monkeypatch.setattr(sys, "argv", ["starts.py", "--negatives", source, source, "--model", str(tone_model)])
    starts.main()
    head, first, begin, *_, last = capsys.readouterr().out.splitlines()
    assert head.split()[-3:] == ["FA/h", "(95", "%)"]
    assert first.split()[1] == "2" and " begins there " in first and "      0  0 (0 to " in first
    assert " its first 1.4 s " in begin and last.split()[0] == "0.00"


def test_rates_and_begins_of_counts(starts):
    lines = list(starts.lines("x", [starts.Stretch(1800.0, (0.4, 3.0), (2.0,)), starts.Stretch(1800.0, (), ())]))
    assert lines[0].split() == "x 2 1.00 begins there 2 2 (0.24 to 7.22)".split()
    assert [lines[row].split()[:6] for row in (1, 3)] == [f"0.00 its first 1.4 s {n}".split() for n in (1, 0)]
    assert lines[2].split() == "1.00 hears all 1 1 (0.03 to 5.57)".split()
