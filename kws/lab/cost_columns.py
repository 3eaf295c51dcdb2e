"""Columns of a study's tables: the cost of every cell, measured side by side on free
cores and kept in costs.json.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from kws.files import read_json, write_text
from kws.lab.cost import macs_per_second, step_times, stream_cost
from kws.lab.study import Places, Study
from kws.lab.tasks import folder
from kws.model.acoustic import AcousticModel
from kws.model.checkpoint import load_checkpoint

_ROUNDS = 7
Columns = dict[str, dict[str, str]]


def cost_columns(study: Study, places: Places, output: Path) -> Columns:
    """Columns by cell, measured once; cells without a finished first run are left out.

    Multiply-accumulates are those of the encoder. CPU is that of the exported graph,
    frontend included, on one thread. A step is one of the cell's own batches, without
    the parts that are dropped afterwards (decoder).
    """
    path = output / "costs.json"
    kept: Columns = read_json(path, dict) or {}
    finished = {name: folder(places, cell) / "seed-0" / "model.ckpt" for name, cell in study.cells.items()}
    finished = {name: file for name, file in finished.items() if file.exists()}
    if not finished.keys() <= kept.keys():
        kept = _measured(study, finished, output / "onnx")
        write_text(path, json.dumps(kept, indent=1))
    return kept


def _measured(study: Study, finished: Mapping[str, Path], onnx: Path) -> Columns:
    models = {name: load_checkpoint(file).model for name, file in finished.items()}
    streams = {file.parts[-3]: file for name, file in finished.items() if models[name].streaming}
    cpu = stream_cost(streams, onnx, _ROUNDS)
    steps = _steps(study, models)
    found: Columns = {}
    for name, model in models.items():
        row = {"M MAC/s": f"{macs_per_second(model, study.recipe.task.scenes.row_seconds) / 1e6:.2f}"}
        stream = cpu.get(finished[name].parts[-3])
        row["CPU ms/s"] = f"{stream.calls.cpu_us_per_audio_s / 1000:.2f}" if stream else "whole segments"
        row["step ms"] = steps[name]
        found[name] = row
    return found


def _steps(study: Study, models: Mapping[str, AcousticModel]) -> dict[str, str]:
    """The time of a training step by cell, cells of the same rows side by side."""
    found: dict[str, str] = {}
    recipes = {name: study.recipe_of(study.cells[name], 1.0, 0, Path()) for name in models}
    for scenes in dict.fromkeys(recipe.task.scenes for recipe in recipes.values()):
        configs = {name: models[name].config for name, recipe in recipes.items() if recipe.task.scenes == scenes}
        times = step_times(
            configs, scenes.rows, scenes.row_seconds, _ROUNDS, study.recipe.run.threads, study.recipe.optim.precision
        )
        found |= {name: f"{time.median_ms:.0f}" for name, time in times.items()}
    return found
