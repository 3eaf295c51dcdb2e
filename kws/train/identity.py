"""Which recipe an output folder belongs to, so that a training goes on only with its own recipe.

The recipe is written as flat JSON into recipe.json beside the logs, and into the finished checkpoint.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from kws.errors import KwsError
from kws.train.recipe import Recipe

_PLACES = frozenset({"output", "features", "threads", "devices", "num_nodes", "strategy"})


def claim(output: Path, recipe: Recipe) -> None:
    """Write the recipe into `output`; KwsError where a training of another recipe lies there."""
    output.mkdir(parents=True, exist_ok=True)
    path, plain = output / "recipe.json", recipe_dict(recipe)
    if path.exists() and learned(json.loads(path.read_text(encoding="utf-8"))) != learned(plain):
        raise KwsError(f"{output} holds a training of another recipe: choose another output=FOLDER or delete it")
    path.write_text(json.dumps(plain, indent=1), encoding="utf-8")


def learned(recipe: dict[str, Any]) -> dict[str, Any]:
    """The fields that say what is learned, and not where."""
    return {key: value for key, value in recipe.items() if key not in _PLACES}


def recipe_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return plain


def without_paths(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a checkpoint carries it: a file that is given to others says nothing of the machine it is from."""
    return recipe_dict(
        dataclasses.replace(
            recipe, data="", output="", features="", start=Path(recipe.start).stem, trunk=Path(recipe.trunk).stem
        )
    )
