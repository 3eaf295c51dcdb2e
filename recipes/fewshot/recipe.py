"""A new word in minutes, from 10 to 50 recordings of it.

    kws train fewshot --phrase "smart mirror" --recordings DIR data=FOLDER
    kws train fewshot --phrase "jarvis=JH AA R V IH S" --recordings DIR data=FOLDER

Trains on from the shipped phone model, calibrates, and writes
runs/smart-mirror/model.onnx (output=FOLDER for another place). DIR holds the sound
files, in a folder per speaker where there are several; DIR/negatives, if there,
anything else. A word that the dictionary lacks needs no phones: what the phone model
hears in the recordings spells it, in any language. FOLDER holds prepared corpora
(`kws data get --for fewshot`). Those named below are used that are there, so that the
model does not forget what else there is to hear.

Data: recordings of the word; ordinary speech (mini_librispeech, an4, ...) to train and
calibrate with.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from kws.log import Log
from kws.recipes import training_corpora as corpora
from kws.recipes.own import options
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, default_scoring

if TYPE_CHECKING:
    import argparse

RECIPE = Recipe(
    name="fewshot",
    task=TaskConfig(
        data="",
        start="phones",
        speech=(
            options.RECORDINGS.sharing(0.25),
            corpora.MINI_LIBRISPEECH.sharing(0.50),
            corpora.AN4.sharing(0.10),
            corpora.SPEECH_COMMANDS.sharing(0.15),
        ),
        noise=corpora.NOISE,
        keywords=(),
        # as the recipe phones: what a model is sure of in a few voices says little of others
        scoring=dataclasses.replace(default_scoring(), peak_weight=0.5),
        temperature=3.0,
        blank_discount=0.5,
    ),
    optim=OptimConfig(
        steps=300,
        steps_per_epoch=50,
        validate_every=1000,  # calibration tests it at the end
        warmup_steps=50,
        learning_rate=3e-4,
        ema_decay=0.98,
    ),
    run=RunConfig(
        output="",
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for fewshot` brings them.
CORPORA = (
    "mini_librispeech",
    "an4",
    "speech_commands",
    "noise",
    "wake_words",
    "librispeech_many_speakers",
)


def configure(parser: argparse.ArgumentParser) -> None:
    options.configure(parser)
    parser.add_argument("--recordings", required=True, metavar="DIR", help="recordings of the word")


def make(args: argparse.Namespace, recipe: Recipe, log: Log) -> str | None:
    """Spells, trains, exports, calibrates."""
    from kws.recipes.own import pipeline  # torch takes seconds to load, and --help needs none of it

    return pipeline.make(args, recipe, log)
