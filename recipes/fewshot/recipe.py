"""A new word in minutes, from 10 to 50 recordings of it.

    kws train fewshot --phrase "smart mirror" --recordings DIR data=FOLDER
    kws train fewshot --phrase "jarvis=JH AA R V IH S" --recordings DIR data=FOLDER

Trains on from the shipped phone model, calibrates, and writes runs/smart-mirror/model.onnx (output=FOLDER for another
place). DIR holds the sound files, in a folder per speaker where there are several; DIR/negatives, if there, anything
else. A word that the dictionary lacks needs no phones: what the phone model hears in the recordings spells it, in any
language. FOLDER holds prepared corpora (`kws data get --for fewshot`). Those named below
are used that are there, so that the model does not forget what else there is to hear.

Data: recordings of the word; ordinary speech (mini_librispeech, an4, ...) to train and calibrate with.
"""

import argparse

from kws.recipes import corpora
from kws.recipes.own import pipeline
from kws.recipes.own.deliver import Report
from kws.train.recipe import Recipe

RECIPE = Recipe(
    name="fewshot",
    data="",
    output="",
    start="phones",
    speech=(
        pipeline.RECORDINGS.sharing(0.25),
        corpora.MINI_LIBRISPEECH.sharing(0.50),
        corpora.AN4.sharing(0.10),
        corpora.SPEECH_COMMANDS.sharing(0.15),
    ),
    noise=corpora.NOISE,
    keywords=(),
    steps=300,
    steps_per_epoch=50,
    validate_every=1000,  # calibration tests it at the end
    warmup_steps=50,
    learning_rate=3e-4,
    ema_decay=0.98,
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
    """Options of this recipe."""
    pipeline.configure(parser)
    parser.add_argument("--recordings", required=True, metavar="DIR", help="recordings of the word")


def make(args: argparse.Namespace, recipe: Recipe, report: Report) -> str:
    """Spells, trains, exports, calibrates."""
    return pipeline.make(args, recipe, report)
