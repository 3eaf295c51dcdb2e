"""`kws bench` measures what it says; its figures are sane, whatever the machine."""

import json

import pytest

from kws.cli.main import main


def figures(tone_model, capsys):
    assert main(["bench", str(tone_model), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_figures_are_sane(tone_model, capsys):
    found = figures(tone_model, capsys)
    assert found["model"] == "tones"
    assert found["chunk_ms"] == 80
    assert 0 < found["cpu_s_per_audio_s"] < 0.5
    assert found["times_real_time"] == pytest.approx(1 / found["cpu_s_per_audio_s"])
    for part in ("model", "scorer", "push"):
        spread = found[f"{part}_us"]
        assert 0 < spread["p50"] <= spread["p95"] <= spread["p99"]
    assert found["push_us"]["p50"] > found["model_us"]["p50"]
    assert found["machine"]["cores"] >= 1 and found["machine"]["versions"]["kws"]
    assert 0.02 < found["start_s"] < 20
    assert 20 < found["peak_mb"] < 150  # a process of its own: this one has more


def test_the_text_says_the_same(tone_model, capsys):
    assert main(["bench", str(tone_model)]) == 0
    text = capsys.readouterr().out
    for words in (
        "tones",
        "core",
        "onnxruntime",
        "x real time",
        "us per 80 ms",
        "p99",
        "scorer",
        "start",
        "peak memory",
    ):
        assert words in text


def test_what_is_no_model_is_refused(tmp_path, capsys):
    assert main(["bench", str(tmp_path / "a.onnx")]) == 1
    assert "does not exist" in capsys.readouterr().err
