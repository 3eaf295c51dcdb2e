"""`kws recipes`: lists the shipped recipes, describes one, and copies one to change."""

import argparse
from pathlib import Path

from kws.train.recipes.shipped import copy_recipe, describe, shipped_recipe, shipped_recipes


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the recipes that ship, print one, or copy one to change it."
    parser.epilog = (
        "examples:\n"
        "  kws recipes list\n"
        "  kws recipes show phrase\n"
        "  kws recipes copy wake_words mine    # then: kws train mine data=FOLDER"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | show | copy")
    actions.add_parser("list", help="names, what each makes, and the data that it needs")
    show = actions.add_parser("show", help="print a recipe file")
    copy = actions.add_parser("copy", help="copy a recipe's folder")
    for action in (show, copy):
        action.add_argument("name", help="a recipe that `kws recipes list` names")
    copy.add_argument("destination", type=Path, help="a folder that is not there yet")


def run(args: argparse.Namespace) -> int:
    if args.action == "list":
        for name, line, data in map(describe, shipped_recipes()):
            print(f"{name}\n    {line}\n    data: {data}")
    elif args.action == "show":
        print((shipped_recipe(args.name) / "recipe.py").read_text(encoding="utf-8"), end="")
    else:
        copy_recipe(args.name, args.destination)
        print(f"copied to {args.destination}: edit recipe.py there, then kws train {args.destination}")
    return 0
