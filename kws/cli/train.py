"""`kws train`: train a model from a recipe; a recipe may also make its model in other
steps.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kws.cli.options import log_to_stderr, not_negative
from kws.errors import going_on

if TYPE_CHECKING:
    from kws.train.recipe import Recipe
    from kws.train.recipes.file import RecipeFile
    from kws.train.verifier.recipe import VerifierRecipe


class _Once(argparse.Action):
    """An option that may be given once: of two, one would be lost without a word.
    const: why.
    """

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option} is given twice: {self.const}")
        setattr(namespace, self.dest, values)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Train a model from a recipe. A killed training goes on when the same command is given again."
    parser.epilog = (
        "examples:\n"
        "  kws train wake_words data=corpora\n"
        "  kws train wake_words data=corpora seed=1 model.mixer=sa output=runs/sa\n"
        "  kws train my_recipe.py steps=20000\n"
        "  kws train phrase --phrase 'hey computer'\n"
        "  kws train phrase --help"
    )
    parser.add_argument("recipe", help="a recipe (`kws recipes list`), or a .py file with a constant RECIPE")
    parser.add_argument(
        "changes", nargs=argparse.REMAINDER, metavar="key=value", help="fields of the recipe to change; its own options"
    )


def run(args: argparse.Namespace) -> int:
    """Run the training and say where the model lies."""
    from kws.train.process.waiting import wait_asleep

    wait_asleep()
    file, options, recipe = chosen(args)
    with going_on("the same command goes on with what was finished"):
        return _train(file, options, recipe)


def _train(file: RecipeFile, options: argparse.Namespace, recipe: Recipe | VerifierRecipe) -> int:
    from kws.train.trainer import in_first_process, train  # torch takes seconds: a mistake is told before
    from kws.train.verifier.recipe import VerifierRecipe

    log = in_first_process(log_to_stderr)
    if hasattr(file, "make"):
        if (told := file.make(options, recipe, log)) is not None:
            print(told)
    elif isinstance(recipe, VerifierRecipe):
        from kws.train.verifier.train import train_verifier

        verifier = train_verifier(recipe, log)
        print(f"trained: {verifier}\nnext: kws export {verifier} --first-pass {recipe.task.first_pass} -o model.onnx")
    elif (path := train(recipe, log)) is not None:
        print(f"trained: {path}\nnext: kws export {path} -o model.onnx")
    return 0


def chosen(args: argparse.Namespace) -> tuple[RecipeFile, argparse.Namespace, Recipe | VerifierRecipe]:
    """The recipe file that the arguments name, the options of its own, and its recipe
    with the changes.
    """
    from kws.train.recipes.file import load_recipe

    file = load_recipe(args.recipe)
    parser = argparse.ArgumentParser(
        prog=f"kws train {args.recipe}",
        description=file.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.register("action", "once", _Once)
    parser.register("type", "not negative", not_negative)
    if hasattr(file, "make"):
        file.configure(parser)
    parser.add_argument("changes", nargs="*", metavar="key=value", help="fields of the recipe to change")
    options = parser.parse_intermixed_args(args.changes)
    from kws.train.recipes.override import override

    return file, options, override(file.RECIPE, options.changes)
