"""Studies: one frozen, typed value says which models are compared, on what data, with
how many seeds.

A study is a Python file with a constant `STUDY`. `kws compare FILE key=value` changes
single fields of its recipe, as `kws train` does.
"""

import importlib.resources
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kws.errors import KwsError, named
from kws.lab.smoothness.measure import Sizes
from kws.train.recipe import Recipe
from kws.train.recipes.file import load_file
from kws.train.recipes.override import override
from kws.train.recipes.shipped import shipped_files


@dataclass(frozen=True)
class Cell:
    """A model of a study: the study's recipe with `changes`, each "key=value" as `kws
    train` takes it.

    rate_of: the cell whose learning rate this one takes over; "" searches for its own.
    phrases_of: the cell whose trained models are scored here a second time, by their
    phrase branch; "" trains models of its own, which are scored by phones. trunk: the
    name of the trunk that training starts from; "" is the first.
    """

    name: str
    changes: tuple[str, ...]
    rate_of: str = ""
    phrases_of: str = ""
    trunk: str = ""


@dataclass(frozen=True)
class Group:
    """Cells that stand in one table.

    against: the name of the cell that all others are compared with, seed by seed and
    speaker by speaker. seeds: each cell is trained with the seeds 0 to seeds - 1; the
    cells named in `more` with the seeds 0 to most - 1.
    """

    name: str
    title: str
    against: str
    cells: tuple[Cell, ...]
    seeds: int = 3
    most: int = 5
    more: tuple[str, ...] = ()

    def seeds_of(self, cell: Cell) -> range:
        """The seeds that `cell` is trained with."""
        return range(self.most if cell.name in self.more else self.seeds)


@dataclass(frozen=True)
class Study:
    """A whole comparison.

    recipe: what all cells share.

    trunks: (name, changes of the recipe) of trainings whose weights cells start from,
    those of the mixers apart. Without trunks, every cell starts from random weights. A
    small model spends most of a short training on learning that there are phones; a
    trunk has learned it for all cells alike.

    learning_rates: all are tried for each cell, with `search_steps` steps and a seed
    that no tested run has; the one with the least CTC loss is taken.

    dealt: corpora whose speakers are dealt to new splits: test_share of them to the
    test, dev_share to the search for learning rates, the others to training. positives,
    negatives, noise: the corpora of the test; see `kws.lab.splits`.

    segment_s: seconds that a segment model is given at a time; segments overlap by
    half. fa_per_hour: false accepts per hour at which misses are counted. conditions:
    in which the keywords of the test are heard.

    observed: names of cells whose attention is measured. smoothed: (name in the tables,
    cell) of models whose smoothness is measured, to the extent of `sizes`, in
    `excerpts` pieces each of keywords, speech and noise.
    """

    name: str
    recipe: Recipe
    groups: tuple[Group, ...]
    learning_rates: tuple[float, ...]
    search_steps: int
    dealt: tuple[str, ...]
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    noise: str
    trunks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    test_share: float = 0.5
    dev_share: float = 0.1
    segment_s: float = 8.0
    fa_per_hour: tuple[float, ...] = (0.5, 1.0)
    conditions: tuple[str, ...] = ("clean", "10 dB", "5 dB")
    observed: tuple[str, ...] = ()
    smoothed: tuple[tuple[str, str], ...] = ()
    sizes: Sizes = field(default_factory=Sizes)
    excerpts: int = 3

    @property
    def cells(self) -> dict[str, Cell]:
        """All cells by name; a cell that stands in several groups is one model, trained
        once.
        """
        found: dict[str, Cell] = {}
        for group in self.groups:
            for cell in group.cells:
                if found.setdefault(cell.name, cell) != cell:
                    raise KwsError(f"the study {self.name} has two different cells {cell.name!r}: name them apart")
        return found

    def seeds(self, name: str) -> range:
        """The seeds of a cell, from that of its groups that has the most."""
        return max((g.seeds_of(c) for g in self.groups for c in g.cells if c.name == name), key=len)

    def trunk_of(self, cell: Cell) -> str:
        """The name of a cell's trunk; "" without trunks."""
        names = [name for name, _ in self.trunks]
        if cell.trunk and cell.trunk not in names:
            raise KwsError(f"the study {self.name} has no trunk {cell.trunk!r} for {cell.name!r}: it has {names}")
        return cell.trunk or next(iter(names), "")

    def recipe_of(self, cell: Cell, rate: float, seed: int, output: Path, steps: int | None = None) -> Recipe:
        """The recipe of one training; its trunk is a checkpoint in a folder beside the
        cell's own.
        """
        trunk = self.trunk_of(cell)
        steps = self.recipe.optim.steps if steps is None else steps
        return override(self.recipe, cell.changes).changed(
            name=f"{self.name}-{cell.name}",
            learning_rate=rate,
            seed=seed,
            steps=steps,
            steps_per_epoch=steps,
            output=str(output),
            trunk=str(output.parent.parent / f"trunk-{trunk}" / "model.ckpt") if trunk else "",
        )


class Places(NamedTuple):
    """Folders of a comparison.

    data: manifests of the dealt corpora. cache: features, computed once. cells: a
    folder for every cell.
    """

    data: Path
    cache: Path
    cells: Path

    @classmethod
    def below(cls, output: Path) -> "Places":
        """The places inside of an output folder."""
        output = output.absolute()
        return cls(output / "data", output / "cache", output / "cells")


def load_study(name_or_path: str) -> Study:
    """The constant STUDY of a file, or of one that ships: `mixers` is
    kws.recipes.mixers.study.
    """
    path = Path(name_or_path)
    if path.suffix == ".py":
        return _load(path)
    shipped = named(name_or_path, shipped_files("study.py"), "study", "give a .py file or a shipped one")
    with importlib.resources.as_file(shipped) as file:
        return _load(file)


def _load(path: Path) -> Study:
    study: Study = load_file(path, "STUDY", Study).STUDY
    return study
