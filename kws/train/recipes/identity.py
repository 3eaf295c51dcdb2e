"""Tells which recipe an output folder belongs to, so that a training goes on only with
its own recipe.

A recipe is written as flat JSON, the fields of its three parts side by side, into
recipe.json beside the logs and into the finished checkpoint. Files from before recipes
had parts have the same form.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from kws.errors import KwsError
from kws.files import read_json, write_text
from kws.train.recipe import Recipe, RunConfig
from kws.train.verifier.recipe import VerifierRecipe


def claim(output: Path, recipe: Recipe | VerifierRecipe) -> None:
    """Write the recipe into `output`; KwsError where a training of another recipe lies
    there.

    Recipes that differ only in where they run are the same. A field that an older kws
    did not have counts as its default.
    """
    output.mkdir(parents=True, exist_ok=True)
    path, plain = output / "recipe.json", flat(recipe)
    before = read_json(path, dict)
    if before is not None and learned(completed(before, recipe.task, recipe.optim)) != learned(plain):
        raise KwsError(f"{output} holds a training of another recipe: choose another output=FOLDER or delete it")
    write_text(path, json.dumps(plain, indent=1))


def completed(plain: dict[str, Any], *parts: Any) -> dict[str, Any]:
    """Plain values of dataclasses `parts`, with the default of each field that is
    missing, in fields that are dataclasses themselves, too.
    """
    whole = dict(plain)
    for part in parts:
        for field in dataclasses.fields(part):
            own, value = whole.get(field.name), getattr(part, field.name)
            if field.name not in whole and field.default is not dataclasses.MISSING:
                whole[field.name] = json.loads(json.dumps(field.default))
            elif dataclasses.is_dataclass(value) and isinstance(own, dict):
                whole[field.name] = completed(own, value)
    return whole


def learned(plain: dict[str, Any]) -> dict[str, Any]:
    """A flat recipe without the fields that say where it runs."""
    where = {field.name for field in dataclasses.fields(RunConfig)}
    return {key: value for key, value in plain.items() if key not in where}


def flat(recipe: Recipe | VerifierRecipe) -> dict[str, Any]:
    """The recipe as plain JSON values, the fields of its parts side by side."""
    plain = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return {"name": plain["name"], **plain["task"], **plain["optim"], **plain["run"]}


def without_paths(recipe: Recipe) -> dict[str, Any]:
    """`flat` without the paths of this machine, for a checkpoint."""
    named = {field: Path(getattr(recipe.task, field)).stem for field in ("start", "trunk", "teacher")}
    return flat(recipe.changed(data="", output="", features="", **named))
