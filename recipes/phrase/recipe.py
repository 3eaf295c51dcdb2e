"""A phrase of your own, from synthetic speech and, better, a few recordings besides.

    kws train phrase --phrase "hey computer" --download data=FOLDER
    kws train phrase --phrase "hey computer" --recordings DIR data=FOLDER

Synthesises the phrase, sentences around it and confusables in many voices, trains on
from the shipped phone model, calibrates, and writes runs/hey-computer/model.onnx
(output=FOLDER for another place). DIR holds sound files of the phrase, in a folder per
speaker where there are several; DIR/negatives, if there, anything else. FOLDER holds
prepared corpora (`kws data get --for phrase`); those named below are used that are
there. Killed and given again, the command goes on.

Data: none; ordinary speech (mini_librispeech, an4, ...) and recordings of the phrase
make it better.
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
    name="phrase",
    task=TaskConfig(
        data="",
        start="phones",
        speech=(
            options.SYNTHETIC.sharing(0.25),
            options.RECORDINGS.sharing(0.15),
            corpora.MINI_LIBRISPEECH.sharing(0.40),
            corpora.AN4.sharing(0.10),
            corpora.SPEECH_COMMANDS.sharing(0.10),
        ),
        noise=corpora.NOISE,
        keywords=(),
        # as the recipe phones: what a model is sure of in synthetic voices says little of others
        scoring=dataclasses.replace(default_scoring(), peak_weight=0.5),
        temperature=3.0,
        blank_discount=0.5,
    ),
    optim=OptimConfig(
        steps=600,
        steps_per_epoch=50,
        validate_every=1000,  # calibration tests it at the end
        warmup_steps=50,
        learning_rate=5e-4,
        ema_decay=0.98,
    ),
    run=RunConfig(
        output="",
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for phrase` brings them.
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
    parser.add_argument("--recordings", default="", metavar="DIR", help="recordings of the phrase, mixed in")
    options.configure_synthesis(parser)


def make(args: argparse.Namespace, recipe: Recipe, log: Log) -> str | None:
    """Synthesises, trains, exports, calibrates."""
    from kws.recipes.own import pipeline  # torch takes seconds to load, and --help needs none of it

    return pipeline.make(args, recipe, log)
