"""The recipes that ship with kws: their names, their descriptions, and a copy to
change.

A recipe is a folder of `kws.recipes` with a file recipe.py in it.
"""

from __future__ import annotations

import ast
import importlib.resources
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kws.errors import KwsError, named
from kws.files import whole

if TYPE_CHECKING:
    from importlib.abc import Traversable

_NEEDS = "Data: "  # begins the paragraph of a recipe's docstring that says what it must be given


def shipped_recipes() -> dict[str, Traversable]:
    """The folder of every recipe that is installed with kws, by name."""
    return {folder.name: folder for folder in _folders() if (folder / "recipe.py").is_file()}


def shipped_files(*names: str) -> dict[str, Traversable]:
    """The files of these names in the installed folders of kws, by folder."""
    return {folder.name: folder / name for folder in _folders() for name in names if (folder / name).is_file()}


def _folders() -> list[Traversable]:
    return sorted(importlib.resources.files("kws.recipes").iterdir(), key=lambda entry: entry.name)


def shipped_recipe(name: str) -> Traversable:
    """The folder of one shipped recipe; KwsError where there is none of that name."""
    return named(name, shipped_recipes(), "recipe")


def describe(name: str) -> tuple[str, str, str]:
    """A recipe's name, the first line of its docstring, and the data it needs, in one
    line; the file is read and not run.
    """
    source = (shipped_recipe(name) / "recipe.py").read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(source)) or ""
    paragraphs = (" ".join(paragraph.split()) for paragraph in said.split("\n\n"))
    needs = (paragraph.removeprefix(_NEEDS) for paragraph in paragraphs if paragraph.startswith(_NEEDS))
    usual = "data=FOLDER with the corpora that it names"
    return name, said.partition("\n")[0].rstrip("."), next(needs, usual).rstrip(".")


def copy_recipe(name: str, destination: Path) -> None:
    """Copy a shipped recipe's folder, whole or not at all; KwsError where the
    destination exists or cannot be written.
    """
    folder = shipped_recipe(name)
    if destination.exists():
        raise KwsError(f"{destination} exists and is left alone: name a folder that is not there yet")
    with importlib.resources.as_file(folder) as source, whole(destination) as partial:
        try:
            shutil.copytree(source, partial, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        except shutil.Error as error:  # of several files: what is wrong stands last with each
            raise KwsError(f"{destination} cannot be written: {error.args[0][0][-1]}") from error
