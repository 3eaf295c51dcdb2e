"""`kws recipes`: what ships, what it says, and a copy to change."""

from __future__ import annotations

import argparse
import ast
import importlib.resources
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kws.errors import KwsError

if TYPE_CHECKING:
    from importlib.abc import Traversable

_NEEDS = "Data: "  # begins the line of a recipe's docstring that says what it must be given


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws recipes`."""
    parser.description = "List the recipes that ship, print one, or copy one to change it."
    parser.epilog = (
        "examples:\n"
        "  kws recipes list\n"
        "  kws recipes show phrase\n"
        "  kws recipes copy wake_words my_words     # then: kws train my_words data=FOLDER"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | show | copy")
    actions.add_parser("list", help="names, what each makes, and the data that it needs")
    show = actions.add_parser("show", help="print a recipe file")
    copy = actions.add_parser("copy", help="copy a recipe's folder")
    for action in (show, copy):
        action.add_argument("name", help="a recipe that `kws recipes list` names")
    copy.add_argument("destination", type=Path, help="a folder that is not there yet")


def run(args: argparse.Namespace) -> int:
    """Lists, shows or copies."""
    recipes = shipped_recipes()
    if args.action == "list":
        print("\n".join(f"{name}\n    {line}\n    data: {data}" for name, line, data in map(describe, recipes)))
        return 0
    if args.name not in recipes:
        raise KwsError(f"no recipe is called {args.name!r}: there are {', '.join(recipes)}")
    if args.action == "show":
        print((recipes[args.name] / "recipe.py").read_text(encoding="utf-8"), end="")
        return 0
    copy_recipe(recipes[args.name], args.destination)
    print(f"copied to {args.destination}: edit recipe.py there, then kws train {args.destination}")
    return 0


def shipped_recipes() -> dict[str, Traversable]:
    """The folder of every recipe that is installed with kws, by name."""
    folders = sorted(importlib.resources.files("kws.recipes").iterdir(), key=lambda entry: entry.name)
    return {entry.name: entry for entry in folders if (entry / "recipe.py").is_file()}


def describe(name: str) -> tuple[str, str, str]:
    """A recipe's name, the first line of its docstring, and the data it needs; the file is read and not run."""
    source = (shipped_recipes()[name] / "recipe.py").read_text(encoding="utf-8")
    lines = (ast.get_docstring(ast.parse(source)) or "").splitlines() or [""]
    needs = (line.removeprefix(_NEEDS) for line in lines if line.startswith(_NEEDS))
    return name, lines[0].rstrip("."), next(needs, "data=FOLDER with the corpora that it names").rstrip(".")


def copy_recipe(folder: Traversable, destination: Path) -> None:
    """Copies a recipe's folder; raises KwsError when the destination exists."""
    if destination.exists():
        raise KwsError(f"{destination} exists and is left alone: name a folder that is not there yet")
    with importlib.resources.as_file(folder) as source:
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__"))
