"""benchmarks/faults: each row runs with few cases and loses nothing; a loss, a crash and a hang are noticed."""

import os
import sys
import time

import pytest

from kws.runtime import strangers
from trees import ROOT

pytest.importorskip("av")
pytest.importorskip("onnx")
pytest.importorskip("soundfile")
pytest.importorskip("wyoming")


@pytest.fixture(scope="module")
def faults():
    """The modules of the benchmark, by name."""
    sys.path.insert(0, str(ROOT / "benchmarks/faults"))
    try:
        import files
        import load
        import row
        import stops

        yield {module.__name__: module for module in (files, load, row, stops)}
    finally:
        sys.path.remove(str(ROOT / "benchmarks/faults"))


ROWS = {
    "sounds": ("files", 60),
    "models": ("files", 60),
    "manifests": ("files", 60),
    "clients": ("load", 20),
    "laws": ("load", 3),
    "crowd": ("load", 10),
    "endless": ("load", 0.07),
}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_loses_nothing(name, faults, tmp_path, tone_model, monkeypatch):
    monkeypatch.setattr(strangers, "MOST_S", 0.5)
    module, count = ROWS[name]
    setting = faults["row"].Setting(count, tmp_path, tone_model)
    for row in getattr(faults[module], name)(setting):
        assert row.tried > 0 and row.lost == [], row
        assert str(row).startswith(f"| {row.fault} | {row.tried} | 0 | ")


def test_a_command_that_is_stopped_ends_with_the_same(faults, tmp_path, tone_model):
    stops = faults["stops"]
    (calibrating,) = (job for job in stops.JOBS if job.name == "calibrating")
    rows = list(stops.stops(faults["row"].Setting(1, tmp_path, tone_model), jobs=(calibrating,)))
    kinds = ["kill -9", "a limit on the size of files", "a full disk"]  # the last where a disk can be mounted
    assert [row.fault for row in rows] in [[f"{kind} while calibrating" for kind in kinds[:n]] for n in (2, 3)]
    assert all(row.tried > 0 and row.lost == [] for row in rows), rows


def test_what_is_exported_is_what_a_training_leaves(faults, tmp_path):
    pytest.importorskip("pytorch_lightning")
    import torch

    from kws.recipes.tiny.recipe import RECIPE
    from kws.train.trainer import train

    (exporting,) = (job for job in faults["stops"].JOBS if job.name == "exporting")
    checkpoint = tmp_path / exporting.words[1]
    checkpoint.parent.mkdir()
    torch.save({}, checkpoint)
    assert train(RECIPE.changed(output=str(checkpoint.parent), data="")) == checkpoint  # nothing is left to train


def test_a_job_without_results_and_one_that_hangs_are_noticed(faults, tmp_path, monkeypatch):
    stops = faults["stops"]
    with pytest.raises(SystemExit, match="leaves no shards"):
        stops._whole(stops.Job("nothing", ("--version",), ("shards/*.csv",)), tmp_path)
    monkeypatch.setattr(stops, "LONGEST_S", 0.01)
    row = faults["row"].Row("a fault")
    assert not stops._told(row, stops._kws(tmp_path, ("--version",)), "a limit")
    assert row.lost == [f"ended with {stops.HUNG} with a limit"]


def test_what_is_lost_is_noticed(faults, monkeypatch):
    row = faults["row"].Row("a fault")
    monkeypatch.setattr(faults["row"], "LONGEST_S", 1)

    def case(number: int) -> str:
        if number == 1:
            raise ValueError("a fault of ours")
        if number == 3:
            os._exit(1)
        if number == 5:
            time.sleep(20)
        return "passed"

    outcomes = faults["row"].sheltered(row, 7, case)
    assert row.tried == 7 and len(row.lost) == 3
    assert "ValueError: a fault of ours" in row.lost[0] and "ended its process" in "".join(row.lost)
    assert "TimeoutError" in row.lost[-1] and outcomes["passed"] >= 3
