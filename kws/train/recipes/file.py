"""Recipe files: Python files with a constant `RECIPE`, shipped or the user's own.

Nothing here loads torch, so that a mistake in a command is told at once.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kws.errors import KwsError, named
from kws.log import Log
from kws.python_file import load_python_file
from kws.train.recipes.shipped import shipped_recipes

if TYPE_CHECKING:
    import argparse

    from kws.train.recipe import Recipe
    from kws.train.verifier.recipe import VerifierRecipe


class RecipeFile(Protocol):
    """The content of a recipe file: a constant, and two functions where making its
    model takes more than a training.

    Import slow modules (torch, kws.train.trainer) inside `make`, so that `kws train
    FILE --help` answers at once.
    """

    RECIPE: Recipe | VerifierRecipe

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the recipe's own options, as a verb's module does. One with action="once"
        and const=WHY is refused where it is given twice, one with type="not negative"
        for a number below 0.
        """

    def make(self, args: argparse.Namespace, recipe: Any, log: Log) -> str | None:
        """Make the model by `recipe`, which is RECIPE with the user's changes.

        Progress lines go to `log`. Returns the text for the user at the end, and None
        in every process but the first.
        """


def find_recipe(name_or_path: str) -> Recipe:
    """The constant RECIPE of `load_recipe`, of a first pass; KwsError for a
    verifier's.
    """
    from kws.train.recipe import Recipe

    recipe = load_recipe(name_or_path).RECIPE
    if not isinstance(recipe, Recipe):
        raise KwsError(f"{name_or_path} is the recipe of a verifier: give that of a model by itself")
    return recipe


def load_recipe(name_or_path: str) -> RecipeFile:
    """The module of a recipe file, or of one that ships: `wake_words` is
    kws.recipes.wake_words.recipe. A folder in its way that holds no recipe.py, such as
    the corpus of that name, does not hide it.
    """
    path, shipped = Path(name_or_path), shipped_recipes()
    if path.is_dir() and ((path / "recipe.py").is_file() or name_or_path not in shipped):
        path = path / "recipe.py"
    if path.suffix == ".py":
        return _load(path)
    folder = named(name_or_path, shipped, "recipe", "give a .py file or a shipped one")
    with importlib.resources.as_file(folder / "recipe.py") as file:
        return _load(file)


def _load(path: Path) -> RecipeFile:
    from kws.train.recipe import Recipe  # and numpy with it, which a mistyped name need not wait for
    from kws.train.verifier.recipe import VerifierRecipe

    module: RecipeFile = load_file(path, "RECIPE", Recipe, VerifierRecipe)
    return module


def load_file(path: Path, constant: str, *kinds: type) -> Any:
    """The module of a Python file that has a constant of one of these types; KwsError
    otherwise.
    """
    module = load_python_file(path)
    if not isinstance(getattr(module, constant, None), kinds):
        names = " or ".join(f"{kind.__module__}.{kind.__name__}" for kind in kinds)
        raise KwsError(f"{path} has no constant {constant} of type {names}")
    return module
