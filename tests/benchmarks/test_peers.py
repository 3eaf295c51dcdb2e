"""benchmarks/peers.py: its table, its processes, and what it does when one engine fails."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import reports
import tones
from adapters import ADAPTER
from corpora import write_wav
from kws.evaluate.replay.engines import REQUIREMENTS
from kws.evaluate.report.model import Report
from trees import ROOT


def benchmark(name: str, monkeypatch) -> object:
    """A script of benchmarks/, as a module."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module(name)


def made_report(keywords: dict, conditions: bool = True, ends: bool = True) -> Report:
    """Of each keyword (misses, false accepts, positives) at the own threshold and two rates."""
    report, found = reports.make_report(["like"], 1), {}
    like = report["keywords"]["like"]
    for name, triples in keywords.items():
        points = [
            reports.point(target, 0.5, m, n, fa, 2.0)
            for target, (m, fa, n) in zip((None, 0.5, 1.0), triples, strict=True)
        ]
        noisy = {"10 dB": [{"misses": 2 * m, "positives": n, "frr": None} for m, _, n in triples]} if conditions else {}
        found[name] = {**like, "points": points, "conditions": noisy}
    late = {"alexa": [*[100.0] * 8, 200.0], "jarvis": [None, 50.0], "x": [999.0]}
    trials = [
        {**report["trials"][0], "keyword": word, "condition": condition, "latency_ms": ms if ends else None}
        for word in keywords
        for ms in late[word]
        for condition in ("clean", "10 dB")
    ]
    report["system"] |= {"version": "1.0", "bytes": 2_000_000}
    return reports.typed({**report, "keywords": found, "trials": trials})


def test_a_row_sums_the_shared_keywords_alone(monkeypatch):
    table = benchmark("support.peer_table", monkeypatch)
    words = {"alexa": [(1, 0, 10)] * 3, "jarvis": [(3, 2, 20), (4, 1, 20), (2, 2, 20)], "x": [(9, 9, 9)] * 3}
    report = made_report(words)
    row = table.row("ours", report, ["alexa", "jarvis"], table.Cost(0.0123, (0.01, 0.02), 66.0, 5))
    assert [(p.missed.misses, p.missed.positives, p.false_accepts) for p in row.points.values()] == [
        (4, 30, 2), (5, 30, 1), (3, 30, 2)
    ]  # fmt: skip
    assert row.points["1"].noise.misses == 6 and row.latency_ms.n == 10
    result = table.Result("d", "c", "m", "k", (row,), {"x": "no wheel"})
    text = table.markdown(result)
    line = next(line for line in text.splitlines() if line.startswith("| ours: alexa, jarvis"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    assert cells[1].startswith("5/30 = 16.7 % (") and cells[1].endswith("1 FA")
    assert cells[3].startswith("6/30") and cells[4].startswith("4/30") and cells[5].startswith("8/30")
    assert cells[6:] == ["2 in 2.00 h", "0.0123", "66", "100 (155)", "2.00"]
    assert "x failed: no wheel" in text


def test_a_row_without_noise_costs_or_word_ends_has_empty_cells(monkeypatch):
    table = benchmark("support.peer_table", monkeypatch)
    row = table.row("ours", made_report({"jarvis": [(0, 0, 5)] * 3}, conditions=False, ends=False), ["jarvis"], None)
    result = table.Result("d", "c", "m", "k", (row,), {})
    last = table.markdown(result).splitlines()[-1]
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert [i for i, cell in enumerate(cells) if not cell] == [3, 5, 7, 8, 9]


def test_what_fails_is_named_and_the_rest_goes_on(monkeypatch, tmp_path):
    peers = benchmark("peers", monkeypatch)
    failures: dict[str, str] = {}
    for name, code in (("bad", "import sys; sys.exit('no wheel for this machine')"), ("good", "print(1)")):
        with peers.noted(failures, name):
            printed = peers.run(tmp_path / name / "log", sys.executable, "-c", code)
    assert printed == "1\n" and list(failures) == ["bad"]
    assert "no wheel for this machine" in failures["bad"] and str(tmp_path / "bad" / "log") in failures["bad"]


def test_an_environment_is_made_once(monkeypatch, tmp_path):
    peers = benchmark("peers", monkeypatch)
    commands: list[tuple] = []

    def pretend(log: Path, *words: object) -> str:
        commands.append(words)
        if "venv" in words:
            Path(str(words[-1])).mkdir(parents=True)
        return ""

    monkeypatch.setattr(peers, "run", pretend)
    for _ in range(2):
        python = peers.environment("porcupine", tmp_path, ["--no-cache-dir"])
    made, filled = commands
    assert made[-1] == tmp_path / "porcupine" and Path(python).is_relative_to(tmp_path / "porcupine")
    assert {*REQUIREMENTS["porcupine"], "--no-cache-dir"} <= set(filled)


@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_costs_are_measured_in_a_process_of_their_own(kind, tone_model, tmp_path):
    (tmp_path / "adapter.py").write_text(ADAPTER)
    write_wav(tmp_path / "sound.wav", tones.speak("ABC" * 30))
    place = tone_model if kind == "model" else "adapter:Loud"
    command = [sys.executable, ROOT / "benchmarks/support/cost.py", place, tmp_path / "sound.wav", "abc"]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0 < found["cpu_s"] < 60 and found["peak_mb"] > 5
    assert found["audio_s"] == pytest.approx(30 * 3 * 0.16 - 5, abs=0.2)  # but for the first five seconds
