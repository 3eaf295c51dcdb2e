"""A comparison: every cell of a study trained with every seed, tested, and laid side by
side.

Each run has a folder of its own, `cells/CELL/seed-N`, with its recipe, logs,
checkpoint, scores of the test recordings and result. A comparison that was broken off
goes on when it is started again with the same study and output.
"""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from kws.errors import KwsError
from kws.files import write_text
from kws.lab.attention.report import attention_report
from kws.lab.context_figure import context_figure
from kws.lab.cost_columns import cost_columns
from kws.lab.run_one import trained
from kws.lab.smoothness.report import smoothness_report
from kws.lab.sounds import Sounds, sounds_of_search, sounds_of_test
from kws.lab.splits import deal
from kws.lab.study import Places, Study, load_study
from kws.lab.table import SpokenKeywords, tables
from kws.lab.tasks import (
    Task,
    best_rates,
    feature_tasks,
    inside_tasks,
    perform,
    run_tasks,
    search_seed,
    search_tasks,
)
from kws.log import Log
from kws.parallel import Cores, on_dask
from kws.train.recipes.override import override
from kws.train.trainer import refuse_impossible


def open_study(name_or_path: str, changes: Sequence[str], groups: Sequence[str], output: Path) -> Study:
    """The study of that name or file, with `changes` of its recipe, and with these of
    its groups alone.

    groups: their names; all groups where there are none. output: where `compare` will
    write. Raises KwsError for a study, a field, a group or a data folder that does not
    exist, and for a cell that cannot be trained; nothing was written then.
    """
    study = load_study(name_or_path)
    study = dataclasses.replace(study, recipe=override(study.recipe, changes))
    if groups:
        known = {group.name: group for group in study.groups}
        if missing := [name for name in groups if name not in known]:
            raise KwsError(f"the study {study.name} has no group {missing[0]}: it has {', '.join(known)}")
        study = dataclasses.replace(study, groups=tuple(known[name] for name in groups))
    if not Path(study.recipe.task.data).is_dir():
        raise KwsError(f"the data folder {study.recipe.task.data} does not exist: give data=FOLDER")
    for cell in study.cells.values():
        refuse_impossible(study.recipe_of(cell, study.learning_rates[0], 0, output / "cells" / "any"))
    return study


def compare(study: Study, output: Path, jobs: int, dask: str | None, log: Log) -> Path | None:
    """Finish a comparison, and write its tables and figures into `output`.

    jobs: trainings at a time on this machine. dask: the address of a scheduler whose
    workers train instead. Progress lines go to `log`. Returns the path of the tables,
    in Markdown; None in all but the first of several processes that train a trunk
    together.
    """
    places = Places.below(output)
    for line in deal(study, places.data):
        log(line)
    recipe = study.recipe.changed(data=str(places.data), features=str(places.cache))
    study = dataclasses.replace(study, recipe=recipe)
    if not grow_trunks(study, places, log):
        return None
    sounds = sounds_of_test(study, places)
    for line in (*sounds.skipped, *sounds_of_search(study, places)[0].skipped):
        log(f"skipped: {line}")
    with Cores(perform, jobs) as cores:
        finish(feature_tasks(study, places), cores, dask, log)
        finish(search_tasks(study, places), cores, dask, log)
        rates = best_rates(study, places)
        tests = run_tasks(study, rates, places)
        finish([task for task in tests if not task.cell.phrases_of], cores, dask, log)
        finish([task for task in tests if task.cell.phrases_of], cores, dask, log)
        finish(inside_tasks(study, rates, places), cores, dask, log)
    path = output / "tables.md"
    write_text(path, report(study, places, sounds, output))
    return path


def report(study: Study, places: Places, sounds: Sounds, output: Path) -> str:
    """All tables of the finished runs, in Markdown; their figures are written into
    `output`.
    """
    spoken = SpokenKeywords(study, sounds)
    parts = [
        tables(study, places, spoken, cost_columns(study, places, output)),
        attention_report(study, places, sounds, output),
        smoothness_report(study, places, spoken, output),
    ]
    for group in study.groups:
        context_figure(study, places, group, spoken, output)
    return "\n\n".join(part for part in parts if part).rstrip() + "\n"


def grow_trunks(study: Study, places: Places, log: Log) -> bool:
    """Train the trunks that cells start from, with a seed that no cell has; False in
    all but the first process of a training.
    """
    for name, changes in study.trunks:
        output = places.cells / f"trunk-{name}"
        if not (output / "model.ckpt").exists():
            log(f"training the trunk {name}: its log is {output / 'log.txt'}")
        recipe = override(study.recipe, changes)
        seed = search_seed(study) + 1
        recipe = recipe.changed(features="", seed=seed, steps_per_epoch=recipe.optim.steps, output=str(output))
        if trained(recipe) is None:
            return False
    return True


def finish(tasks: Sequence[Task], cores: Cores[Task, str], dask: str | None, log: Log) -> None:
    """Do the unfinished tasks, here or on a cluster."""
    left = [task for task in tasks if not task.done]
    with closing(on_dask(perform, left, dask) if dask else cores.do(left, log)) as results:
        for number, line in enumerate(results, 1):
            log(f"{number}/{len(left)} {line}")
