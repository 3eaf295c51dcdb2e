"""`kws compare`: every cell of a study trained with every seed, tested, and laid side by side.

Each run has a folder of its own, `cells/CELL/seed-N`, with its recipe, logs, checkpoint, what it heard in the test and
its result; a comparison that was broken off goes on when the same command is given again.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from kws.errors import KwsError
from kws.lab.costs import costs
from kws.lab.inside_report import write_inside
from kws.lab.run_one import trained
from kws.lab.sounds import sounds_of_search, sounds_of_test
from kws.lab.splits import deal
from kws.lab.study import Places, Study, load_study
from kws.lab.table import tables
from kws.lab.tasks import (
    Task,
    best_rates,
    feature_tasks,
    perform,
    probe_tasks,
    run_tasks,
    search_seed,
    search_tasks,
)
from kws.parallel.cores import on_cores
from kws.parallel.dask import on_dask
from kws.train.override import override
from kws.train.trainer import refuse_impossible


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws compare`."""
    parser.description = "Train every model of a study with every seed, test it, and write what came of it as tables."
    parser.epilog = (
        "examples:\n"
        "  kws compare mixers data=FOLDER -o runs/mixers --jobs 2\n"
        "  kws compare mixers data=FOLDER -o runs/mixers --groups streaming xsa\n"
        "  kws compare my_study.py data=FOLDER steps=6000 model.width=128 -o runs/larger --dask tcp://HOST:8786\n"
        "A comparison that was broken off goes on when the same command is given again."
    )
    parser.add_argument("study", help="a study that ships (mixers), or a .py file with a constant STUDY")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="fields of its recipe to change")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where runs and tables go")
    parser.add_argument("--groups", nargs="+", metavar="GROUP", help="only these of its groups")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time on this machine (default: 1)")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that does the trainings instead")


def run(args: argparse.Namespace) -> int:
    """Runs what is missing and says where the tables lie."""
    print(compare(chosen(args), args.output, args.jobs, args.dask))
    return 0


def chosen(args: argparse.Namespace) -> Study:
    """The study that the arguments name, with their changes."""
    if args.jobs < 1:
        raise KwsError(f"--jobs {args.jobs}: at least one training must run at a time")
    study = load_study(args.study)
    study = dataclasses.replace(study, recipe=override(study.recipe, args.changes))
    if args.groups:
        known = {group.name: group for group in study.groups}
        if missing := [name for name in args.groups if name not in known]:
            raise KwsError(f"the study {study.name} has no group {missing[0]}: it has {', '.join(known)}")
        study = dataclasses.replace(study, groups=tuple(known[name] for name in args.groups))
    if not Path(study.recipe.task.data).is_dir():
        raise KwsError(f"the data folder {study.recipe.task.data} does not exist: give data=FOLDER")
    for cell in study.cells.values():
        refuse_impossible(study.recipe_of(cell, study.learning_rates[0], 0, args.output / "cells" / "any"))
    return study


def compare(study: Study, output: Path, jobs: int, dask: str | None) -> str:
    """The whole comparison; returns what to tell the user."""
    places = Places.below(output)
    for line in deal(study, places.data):
        say(line)
    recipe = study.recipe.changed(data=str(places.data), features=str(places.cache))
    study = dataclasses.replace(study, recipe=recipe)
    grow_trunks(study, places)
    sounds = sounds_of_test(study, places)
    for line in (*sounds.skipped, *sounds_of_search(study, places)[0].skipped):
        say(f"skipped: {line}")
    finish(feature_tasks(study, places), jobs, dask)
    finish(search_tasks(study, places), jobs, dask)
    rates = best_rates(study, places)
    tests = run_tasks(study, rates, places)
    finish([task for task in tests if not task.cell.phrases_of], jobs, dask)
    finish([task for task in tests if task.cell.phrases_of], jobs, dask)
    finish(probe_tasks(study, rates, places), jobs, dask)
    text = tables(study, places, sounds, costs(study, places, output))
    text += "\n\n" + write_inside(study, places, sounds, output)
    (output / "tables.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    return f"{output / 'tables.md'}: {len(study.cells)} models; each run lies in {places.cells}"


def grow_trunks(study: Study, places: Places) -> None:
    """Trains what cells start from, with a seed that no cell has."""
    for name, changes in study.trunks:
        output = places.cells / f"trunk-{name}"
        if not (output / "model.ckpt").exists():
            say(f"training the trunk {name}: its log is {output / 'log.txt'}")
        recipe = override(study.recipe, changes)
        seed = search_seed(study) + 1
        trained(recipe.changed(features="", seed=seed, steps_per_epoch=recipe.optim.steps, output=str(output)))


def finish(tasks: Sequence[Task], jobs: int, dask: str | None) -> None:
    """Does the tasks that are not done, here or on a cluster."""
    left = [task for task in tasks if not task.done]
    results: Iterable[str] = on_dask(perform, left, dask) if dask else on_cores(perform, left, jobs, say)
    for number, line in enumerate(results, 1):
        say(f"{number}/{len(left)} {line}")


def say(line: str) -> None:
    """Tells how it gets on."""
    print(line, file=sys.stderr, flush=True)
