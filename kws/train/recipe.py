"""Recipes: a training said in one frozen, typed value.

A recipe is a Python file with a constant `RECIPE`; `kws train FILE key=value` changes single fields of it, checked
against the types below. It may have options of its own and make more than a checkpoint (see `RecipeFile`).
"""

import argparse
import ast
import dataclasses
import importlib.resources
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, get_args, get_origin, get_type_hints

from kws.cli.recipes import shipped_recipes
from kws.data.scenes import SceneConfig
from kws.errors import KwsError
from kws.metadata import ScorerConfig
from kws.model.acoustic import AcousticConfig


@dataclass(frozen=True)
class Corpus:
    """A folder of recordings with transcripts below the recipe's `data`, and what its licence asks to be said.

    share: its part of the speech time in training.
    """

    folder: str
    title: str
    licence: str
    attribution: str
    share: float = 0.0

    def sharing(self, share: float) -> "Corpus":
        """The same corpus with that share."""
        return dataclasses.replace(self, share=share)


def default_scoring() -> ScorerConfig:
    """A word of up to 2 s with gaps of up to 0.5 s, and one event a second."""
    return ScorerConfig(
        peak_weight=1.0, max_duration_frames=50, max_gap_frames=12, refractory_frames=25, default_threshold=0.3
    )


@dataclass(frozen=True)
class Recipe:
    """A whole training.

    data: folder of the corpora. output: folder of checkpoints and logs. extra_spellings: (word, phones) pairs that the
    dictionary lacks. scoring: constants of scorer and trigger, which go into the model file. steps are optimiser steps;
    steps_per_epoch is how often a checkpoint is written, validate_every how many epochs pass between validations.
    ema_decay: weights are averaged over about 1 / (1 - decay) steps.
    noise, rooms: recordings of noise, and impulse responses (``kws data rooms``, ``kws data responses``).
    features: folder in which the features of batches are kept, for other trainings on the same data with the same seed
    ("" keeps none; half a MB a step where a batch is a minute long).
    start: a checkpoint, or the name of one that ships, whose weights training starts from; its model's shape is used.
    trunk: a checkpoint whose weights, those of its mixers apart, a model of the recipe's own shape starts from.
    words: a closed vocabulary that the model learns to tell apart with the weight word_weight (word_loss.py); rows of
    `scenes` should then hold one clip.
    decoder_weight: of the loss of an autoregressive decoder that learns beside the model and is then dropped
    (kws.train.losses.decoder). phrase_weight: of a branch of the model that learns the keywords as whole phrases
    (kws.train.losses.phrase_branch); `train` sets model.phrases to fit.
    frequency_mask: widest SpecAugment band mask, in mel bands. time_mask_frames: widest SpecAugment time mask, in
    frames of 10 ms, one for every two seconds of a row; 0 is none.
    threads: of torch in each process; one process more builds its batches. devices: processes on this machine, which
    share the rows of each batch. num_nodes: machines that do. strategy: Lightning's name of how (``ddp``). With other
    values of these four a training may also go on.
    """

    name: str
    data: str
    output: str
    speech: tuple[Corpus, ...]
    noise: Corpus | None
    keywords: tuple[str, ...]
    extra_spellings: tuple[tuple[str, str], ...] = ()
    model: AcousticConfig = field(default_factory=AcousticConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)
    scoring: ScorerConfig = field(default_factory=default_scoring)
    rooms: Corpus | None = None
    features: str = ""
    start: str = ""
    trunk: str = ""
    words: tuple[str, ...] = ()
    word_weight: float = 0.0
    decoder_weight: float = 0.0
    phrase_weight: float = 0.0
    seed: int = 0
    steps: int = 6000
    steps_per_epoch: int = 200
    validate_every: int = 5
    warmup_steps: int = 400
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    ema_decay: float = 0.998
    frequency_mask: int = 8
    time_mask_frames: int = 0
    precision: str = "bf16-mixed"
    threads: int = 2
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"


class RecipeFile(Protocol):
    """What a recipe file offers: a constant, and two functions where making its model takes more than a training."""

    RECIPE: Recipe

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the recipe's own options, as a verb's module does."""

    def make(self, args: argparse.Namespace, recipe: Recipe, report: Callable[[str], None]) -> str:
        """Makes the model by `recipe`, which is RECIPE with the user's changes; returns what to tell the user at the
        end, and tells `report` what happens meanwhile.
        """


def find_recipe(name_or_path: str) -> Recipe:
    """The constant RECIPE of `load_recipe`."""
    return load_recipe(name_or_path).RECIPE


def load_recipe(name_or_path: str) -> RecipeFile:
    """The module of a recipe file, or of one that ships: `wake_words` is kws.recipes.wake_words.recipe."""
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "recipe.py"
    if path.suffix == ".py":
        return _load(path)
    names = shipped_recipes()
    if name_or_path not in names:
        raise KwsError(f"no recipe is called {name_or_path!r}: give a .py file or one of {', '.join(names)}")
    with importlib.resources.as_file(names[name_or_path] / "recipe.py") as file:
        return _load(file)


def _load(path: Path) -> RecipeFile:
    module: RecipeFile = load_file(path, "RECIPE", Recipe)
    return module


def load_file(path: Path, constant: str, kind: type) -> Any:
    """The module of a Python file that has a constant of this type; KwsError otherwise."""
    if not path.is_file():
        raise KwsError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"{path.stem}_{path.parent.name}", path)
    if spec is None or spec.loader is None:
        raise KwsError(f"{path} is not a Python file")
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, constant, None), kind):
        raise KwsError(f"{path} has no constant {constant} of type {kind.__module__}.{kind.__name__}")
    return module


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """`recipe` with `key=value` applied, nested keys with dots: ``model.width=64``.

    Raises KwsError for an unknown key, naming the nearest known one, and for a value of the wrong type.
    """
    for assignment in assignments:
        key, given, text = assignment.partition("=")
        if not given:
            raise KwsError(f"{assignment!r} is not of the form key=value")
        recipe = _replace(recipe, key.split("."), text, key)
    return recipe


def _replace(value: Any, path: list[str], text: str, key: str) -> Any:
    hints = get_type_hints(type(value))
    name, rest = path[0], path[1:]
    if name not in hints:
        near = get_close_matches(name, hints, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(hints)}"
        raise KwsError(f"a recipe has no {key}: {advice}")
    if rest:
        inner = getattr(value, name)
        if not dataclasses.is_dataclass(inner):
            raise KwsError(f"{key}: {name} has no parts")
        return dataclasses.replace(value, **{name: _replace(inner, rest, text, key)})
    return dataclasses.replace(value, **{name: _parse(text, hints[name], key)})


def _parse(text: str, kind: Any, key: str) -> Any:
    if kind is str:
        return text
    try:
        parsed = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise KwsError(f"{key}={text}: expected {_type_name(kind)}") from None
    if kind is float and isinstance(parsed, int):
        parsed = float(parsed)
    if not _fits(parsed, kind):
        raise KwsError(f"{key}={text}: expected {_type_name(kind)}")
    return parsed


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        kinds = [parts[0]] * len(value) if isinstance(value, tuple) and parts[-1] is ... else list(parts)
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _type_name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if not get_args(kind) else str(kind)
