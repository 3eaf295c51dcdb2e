"""The tasks of a comparison: features, searches for learning rates, runs, and
measurements of runs.

Any process can do each of them, see `kws.parallel`; the result lies in the folder of
its run.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kws.data.scenes.features import FeatureDataset
from kws.files import read_json, write_text
from kws.lab import run_one
from kws.lab.attention.measure_run import observe_run
from kws.lab.operating_points import points
from kws.lab.smoothness.measure_run import measure_run
from kws.lab.sounds import Sounds, sounds_of_search, sounds_of_test
from kws.lab.study import Cell, Places, Study
from kws.log import silent
from kws.train.datamodule import SceneModule
from kws.train.recipe import Recipe
from kws.train.vocabulary import lexicon_of

FEATURES, SEARCH, TEST, OBSERVE, SMOOTH = "features", "search", "test", "observe", "smooth"


class Task(NamedTuple):
    """A task of a study. kind: FEATURES, SEARCH, TEST, OBSERVE or SMOOTH; recipe: of
    its training.
    """

    kind: str
    study: Study
    places: Places
    cell: Cell
    recipe: Recipe

    @property
    def done(self) -> bool:
        """Whether the result lies in the output folder, and nothing is left to do."""
        kept: dict[str, dict[str, type[Any]]] = {
            FEATURES: {},  # what there is of them is not made again
            SEARCH: {"result.json": dict},
            TEST: {"outcome.json": list} if self.cell.phrases_of else {"result.json": dict, "outcome.json": list},
            OBSERVE: {"diagnosis.json": list},
            SMOOTH: {},  # what was measured of other weights or sizes is not taken
        }
        output, files = Path(self.recipe.run.output), kept[self.kind]
        return bool(files) and all(read_json(output / name, kind) is not None for name, kind in files.items())

    def __str__(self) -> str:
        r = self.recipe
        what = "" if self.kind == FEATURES else f"{self.cell.name}, rate {r.optim.learning_rate:g}, "
        return f"{self.kind}: {what}seed {r.optim.seed}"


def perform(task: Task, report: Callable[..., None]) -> str:  # noqa: ARG001
    """Do a task, and write its result into the recipe's output folder; returns a line
    about it.
    """
    study, recipe = task.study, task.recipe
    if task.kind == FEATURES:
        batches = SceneModule(recipe, lexicon_of(recipe), silent).batches()
        assert isinstance(batches, FeatureDataset)  # a study's recipe names a folder for them
        for step in range(recipe.optim.steps):
            batches.keep(step)
        return str(task)
    if task.kind in (OBSERVE, SMOOTH):
        (observe_run if task.kind == OBSERVE else measure_run)(recipe, study, _test(study, task.places))
        return str(task)
    output = Path(recipe.run.output)
    other = study.cells[task.cell.phrases_of] if task.cell.phrases_of else None
    judged = folder(task.places, other) / output.name if other else output
    result = run_one.result(recipe.changed(output=str(judged)), *_search(study, task.places), study.segment_s)
    told = f"CTC loss {result.ctc_loss:.3f}, {result.phone_errors} of {result.phones} phones wrong"
    if task.kind == TEST:
        sounds = _test(study, task.places)
        found = points(run_one.tested(recipe, sounds, study, judged / "model.ckpt" if other else None), study)
        write_text(output / "outcome.json", json.dumps([asdict(point) for point in found]))
        told += "".join(f"; {point}" for point in found)
    (output / "last.ckpt").unlink(missing_ok=True)  # the finished model.ckpt stays
    return f"{task}: {told}"


@lru_cache(maxsize=1)  # a process does many tasks of one study
def _search(study: Study, places: Places) -> tuple[Sounds, list[npt.NDArray[np.int64]]]:
    return sounds_of_search(study, places)


@lru_cache(maxsize=1)
def _test(study: Study, places: Places) -> Sounds:
    return sounds_of_test(study, places)


def feature_tasks(study: Study, places: Places) -> list[Task]:
    """A task for each seed and kind of rows."""
    found: dict[str, Task] = {}
    for task in _runs(study, dict.fromkeys(study.cells, study.learning_rates[0]), places):
        found.setdefault(repr((task.recipe.task.scenes, task.recipe.optim.seed)), task._replace(kind=FEATURES))
    searches = search_tasks(study, places)
    return [*found.values(), *(task._replace(kind=FEATURES) for task in searches[:1])]


def search_tasks(study: Study, places: Places) -> list[Task]:
    """A task for every learning rate of every cell that searches its own."""
    seed = search_seed(study)
    return [
        Task(
            SEARCH,
            study,
            places,
            cell,
            study.recipe_of(cell, rate, seed, folder(places, cell) / f"search-{rate:g}", study.search_steps),
        )
        for cell in study.cells.values()
        if not (cell.rate_of or cell.phrases_of)
        for rate in study.learning_rates
    ]


def search_seed(study: Study) -> int:
    """The seed of the search: the one after all tested seeds."""
    return max(len(study.seeds(name)) for name in study.cells)


def best_rates(study: Study, places: Places) -> dict[str, float]:
    """The learning rate of every cell: that with the least CTC loss in its search;
    written into rates.json.
    """
    losses: dict[str, dict[float, float]] = {}
    for task in search_tasks(study, places):
        text = (Path(task.recipe.run.output) / "result.json").read_text(encoding="utf-8")
        losses.setdefault(task.cell.name, {})[task.recipe.optim.learning_rate] = json.loads(text)["ctc_loss"]
    best = {name: min(found, key=lambda rate: found[rate]) for name, found in losses.items()}
    best |= {name: best[cell.rate_of] for name, cell in study.cells.items() if cell.rate_of}
    best |= {name: best[cell.phrases_of] for name, cell in study.cells.items() if cell.phrases_of}
    write_text(places.cells / "rates.json", json.dumps({"ctc_loss": losses, "rate": best}, indent=1))
    return best


def run_tasks(study: Study, rates: dict[str, float], places: Places) -> list[Task]:
    """Every run of the study. First seeds come first, so that a comparison that is
    broken off has results of all cells; runs that take the models of other runs come
    last.
    """
    return sorted(_runs(study, rates, places), key=lambda task: (bool(task.cell.phrases_of), task.recipe.optim.seed))


def inside_tasks(study: Study, rates: dict[str, float], places: Places) -> list[Task]:
    """Measurements of attention and smoothness in finished runs, with the seeds that
    all cells have.
    """
    seeds = min(len(study.seeds(name)) for name in study.cells)
    runs_of_all = {
        (t.cell.name, t.recipe.optim.seed): t for t in _runs(study, rates, places) if t.recipe.optim.seed < seeds
    }
    wanted = [(OBSERVE, name) for name in study.observed] + [(SMOOTH, name) for _, name in study.smoothed]
    return [
        runs_of_all[name, seed]._replace(kind=kind)
        for kind, name in wanted
        for seed in range(seeds)
        if (name, seed) in runs_of_all
    ]


def _runs(study: Study, rates: dict[str, float], places: Places) -> list[Task]:
    return [
        Task(TEST, study, places, cell, study.recipe_of(cell, rates[name], seed, folder(places, cell) / f"seed-{seed}"))
        for name, cell in study.cells.items()
        for seed in study.seeds(name)
    ]


def folder(places: Places, cell: Cell) -> Path:
    """The folder of a cell's runs."""
    return places.cells / re.sub(r"[^A-Za-z0-9+]+", "_", cell.name)
