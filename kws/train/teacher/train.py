"""Training a teacher: Whisper's encoder learns to say the phones of a recipe's corpora.

A killed training goes on from its last epoch when it is begun again.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer

from kws.data.clips import Clips
from kws.data.manifest import Utterance
from kws.data.scenes.dataset import SceneDataset
from kws.errors import KwsError
from kws.log import Log, silent
from kws.model.acoustic import AcousticModel, parameter_count
from kws.model.checkpoint import find_checkpoint, load_checkpoint
from kws.train.datamodule import SceneModule
from kws.train.losses.imitation import imitation_loss
from kws.train.recipe import Recipe
from kws.train.recipes.identity import claim, without_paths
from kws.train.teacher.ctranslate2 import read_arrays
from kws.train.teacher.task import TeacherTask
from kws.train.teacher.whisper import LONGEST_S, WhisperPhones, from_arrays, save_teacher
from kws.train.trainer import fit, make_trainer, refuse_damaged
from kws.train.vocabulary import lexicon_of
from kws.units import FLUSH_SAMPLES, seconds

TIMING = "phones"  # the streaming model whose times a teacher learns
_MOST_DELAY = 6  # frames that are tried
_DELAY_BATCHES = 2


class _DryScenes(SceneModule):
    """The data of a recipe, with the speech of each row before its surroundings, and
    dev clips that Whisper can hear.
    """

    def prepare(self) -> SceneDataset:
        return super().prepare().with_dry()

    def _held_out(self, rows: Sequence[Utterance], learned: Sequence[Clips]) -> list[Clips]:
        heard = [row for row in rows if row.seconds + 2 * seconds(FLUSH_SAMPLES) < LONGEST_S]
        if len(heard) < len(rows):
            self.log(f"skipped {len(rows) - len(heard)} of {len(rows)} dev clips: longer than Whisper hears")
        return super()._held_out(heard, learned)


def train_teacher(recipe: Recipe, log: Log = silent) -> Path:
    """Train by `recipe`, or finish an interrupted training; returns the path of the
    finished checkpoint.

    recipe: its `start` is the model.bin of a Whisper. Raises KwsError for a recipe that
    cannot be trained, and where `recipe.run.output` holds a training of another recipe.
    """
    _refuse(recipe)
    output, timer = Path(recipe.run.output), Timer()
    pl.seed_everything(recipe.optim.seed, verbose=False)
    model = from_arrays(read_arrays(Path(recipe.task.start)), recipe.task.model.tokens)
    times = _timing(recipe.task.model.tokens)
    trainer = make_trainer(recipe, output, timer)
    claim(output, recipe)
    finished = output / "model.ckpt"
    if finished.exists():
        refuse_damaged(finished)
        return finished
    log(f"{parameter_count(model):,} parameters, {recipe.optim.steps} steps")
    data = _DryScenes(recipe, lexicon_of(recipe), log)
    fit(trainer, TeacherTask(recipe, model, times), data, output / "last.ckpt", log)
    model.config = replace(model.config, delay_frames=delay(model, times, data.prepare()))
    log(f"a student says a phone {model.config.delay_frames} frames later")
    spent = {"minutes": round(timer.time_elapsed("train") / 60, 1), "steps": trainer.global_step}
    save_teacher(finished, model, without_paths(recipe.changed(precision=trainer.precision)), spent)
    return finished


def _refuse(recipe: Recipe) -> None:
    """Raise KwsError for what a teacher's training does not do."""
    task, run = recipe.task, recipe.run
    if task.scenes.row_seconds > LONGEST_S:
        raise KwsError(f"Whisper hears at most {LONGEST_S:g} s: give scenes.row_seconds={LONGEST_S:g} or less")
    asked = {"features": run.features, "teacher": task.teacher, "trunk": task.trunk, "words": task.words}
    if odd := [f"{name}=" for name, value in asked.items() if value]:
        raise KwsError(f"a teacher's training takes no {' and no '.join(odd)}: leave it out")
    if run.devices * run.num_nodes > 1:
        raise KwsError("a teacher is trained by one process: give devices=1 num_nodes=1")


def _timing(tokens: tuple[str, ...]) -> AcousticModel:
    """The streaming model, as sure of itself as before its recipe's temperature and
    blank discount were put into its weights.
    """
    model, recipe, _, _ = load_checkpoint(find_checkpoint(TIMING))
    if model.config.tokens != tokens:
        raise KwsError(f"{TIMING} tells apart other tokens than the teacher that should learn its times")
    model.sharpen(recipe.get("temperature", 1.0), recipe.get("blank_discount", 0.0))
    return model


def delay(model: WhisperPhones, timing: AcousticModel, scenes: SceneDataset) -> int:
    """By how many frames of 40 ms a streaming student should be later than its teacher:
    as many as `timing` is, and one, so that nearly all phones are over by then.
    """
    apart = np.zeros(_MOST_DELAY + 1)
    model, timing = model.cpu().eval(), timing.cpu().eval()
    for step in range(_DELAY_BATCHES):
        dry = scenes[step]["dry"]
        with torch.no_grad():
            said, _ = timing.features(dry, timing.frontend.init_state(len(dry)))
            heard, later = model(dry), timing.whole(said, torch.full((len(dry),), dry.shape[1] // timing.stride))
        for frames in range(len(apart)):
            kept = heard.shape[1] - frames
            apart[frames] += float(imitation_loss(later[:, frames:], heard[:, :kept])) / kept
    return int(apart.argmin()) + 1
