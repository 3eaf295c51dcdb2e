"""The trainer: a recipe becomes checkpoints, logs and, at the end, the averaged model.

A killed training goes on from its last epoch, to the same numbers, when it is begun
again.

Beyond one process, Lightning starts the same command once more for each of `devices`,
or torchrun starts all of them on each of `num_nodes` machines, which must then see the
same output and data folders:

    kws train wake_words devices=2 threads=1
    torchrun --nnodes=2 --node-rank=0 --nproc-per-node=2 --master-addr=HOST -m kws train phones num_nodes=2 devices=2

Each process makes and trains on its share of the rows that one process would have
trained on, and gradients are those of the whole batch. What differs from one process is
what chance decides inside the model (dropout, masks).
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor, Timer
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from kws.decoding.temperature import MOST_DISCOUNT, MOST_TEMPERATURE, is_discount, is_temperature
from kws.errors import KwsError
from kws.files import partial_of, whole
from kws.log import Log, silent
from kws.model.acoustic import parameter_count, verify_own_mixers
from kws.model.checkpoint import save_checkpoint, write_values
from kws.model.mixers import is_streaming
from kws.train.average import Average
from kws.train.datamodule import SceneModule
from kws.train.initial import first_mel, first_model, normalise, with_phrases
from kws.train.losses.imitation import find_teacher, hears_clips
from kws.train.losses.total import refuse_weights
from kws.train.precision import precision_here, tell_of_precision
from kws.train.process.full_disk import told_of_a_full_disk
from kws.train.process.interruption import OwnSigterm, interruptible
from kws.train.process.malloc import keep_freed_memory
from kws.train.process.progress import TrainingBar
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig
from kws.train.recipes.identity import claim, without_paths
from kws.train.task import CTCTask
from kws.train.vocabulary import lexicon_of
from kws.train.warp import refuse_warp


def train(recipe: Recipe, log: Log = silent) -> Path | None:
    """Train by `recipe`, or finish an interrupted training; returns the path of the
    finished checkpoint.

    Progress lines go to `log`, of the first process alone. Every other process returns
    None when its part is done. Raises KwsError for a recipe that cannot be trained, and
    where `recipe.run.output` holds a training of another recipe.
    """
    recipe, log = with_phrases(recipe), in_first_process(log)
    output = Path(recipe.run.output)
    timer = Timer()
    trainer = make_trainer(recipe, output, timer)
    if trainer.is_global_zero:
        claim(output, recipe)
    finished = output / "model.ckpt"
    if finished.exists():  # it was trained, and by this very recipe
        refuse_damaged(finished)
    else:
        task = _fit(trainer, recipe, output / "last.ckpt", log)
        if trainer.is_global_zero:
            task.model.soften(recipe.task.temperature, recipe.task.blank_discount)
            spent = {"minutes": round(timer.time_elapsed("train") / 60, 1), "steps": trainer.global_step}
            learned = without_paths(recipe.changed(precision=trainer.precision))
            save_checkpoint(finished, task.model, learned, task.spellings, spent)
    return finished if trainer.is_global_zero else None


def _fit(trainer: pl.Trainer, recipe: Recipe, last: Path, log: Log) -> CTCTask:
    """Train from the start or from the last epoch's checkpoint; returns the task with
    its averaged model.
    """
    pl.seed_everything(recipe.optim.seed, verbose=False)
    lexicon = lexicon_of(recipe)
    data = SceneModule(recipe, lexicon, log)
    task = CTCTask(recipe, first_model(recipe), lexicon)
    log(f"{parameter_count(task.model):,} parameters, {recipe.optim.steps} steps")
    fit(trainer, task, data, last, log)
    return task


def fit(trainer: pl.Trainer, task: pl.LightningModule, data: SceneModule, last: Path, log: Log) -> None:
    """Train `task` from the start, or from the last epoch's checkpoint where there is
    one.
    """
    keep_freed_memory()
    tell_of_precision(data.recipe.optim, data.recipe.run, log)
    going_on = last.exists()
    if going_on:
        log(f"going on from {last}")
    try:
        with told_of_a_full_disk(last.parent), interruptible(trainer, last):
            trainer.fit(task, datamodule=data, ckpt_path=last if going_on else None, weights_only=True)
    except RuntimeError as error:
        if "gloo" not in str(error):
            raise
        raise KwsError("another process of this training has ended: give the same command again to go on") from error


def refuse_damaged(finished: Path) -> None:
    """Raise KwsError where a finished checkpoint cannot be read."""
    try:
        torch.load(finished, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files that are no checkpoints
        raise KwsError(
            f"{finished} is damaged, as a power cut leaves files ({type(error).__name__}): delete it, and the same "
            "command makes it again"
        ) from error


def in_first_process(log: Log) -> Log:
    """`log` in the first process of a training, and nothing in the others."""
    return rank_zero_only(log)


def make_trainer(recipe: Recipe, output: Path, timer: Timer) -> pl.Trainer:
    """Lightning's trainer: AdamW steps in epochs of `steps_per_epoch`, one checkpoint
    an epoch, CSV and TensorBoard.
    """
    refuse_impossible(recipe)
    optim, run = recipe.optim, recipe.run
    part = len(list((output / "logs").glob("part-*")))  # a resumed training must not write over the first part's logs
    last = output / "last.ckpt"
    fresh = not (recipe.task.start or last.exists())
    logs: dict[str, Any] = {"save_dir": output, "name": "logs", "version": f"part-{part}"}
    with told_in_a_sentence():
        return pl.Trainer(
            max_steps=optim.steps,
            precision=precision_here(optim, run),  # type: ignore[arg-type]
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.num_nodes,
            strategy=run.strategy,
            gradient_clip_val=optim.gradient_clip,
            check_val_every_n_epoch=optim.validate_every,
            num_sanity_val_steps=0,
            log_every_n_steps=min(20, optim.steps_per_epoch),
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            logger=[CSVLogger(**logs), TensorBoardLogger(**logs)],
            plugins=CheckpointFile(),
            callbacks=[
                Beginning(run.threads, fresh, bool(recipe.task.trunk)),  # before the average, which starts as a copy
                Average(decay=optim.ema_decay, update_starting_at_step=optim.warmup_steps),
                LearningRateMonitor("step"),
                TrainingBar(optim.steps_per_epoch * optim.validate_every),
                timer,
                EpochCheckpoint(last),
                OwnSigterm(),
            ],
        )


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Turns Lightning's complaint about a recipe's fields into a KwsError."""
    try:
        yield
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise KwsError(f"Lightning refuses these fields of the recipe: {error}") from error


def refuse_impossible(recipe: Recipe) -> None:
    """Raise KwsError for numbers that do not go together and for unknown mixers, before
    anything is written.
    """
    task, run = recipe.task, recipe.run
    refuse_weights(task)
    refuse_warp(task.vocal_tract)
    refuse_softening(task)
    if task.teacher:
        find_teacher(task.teacher, task.model.tokens)
    if hears_clips(task.teacher) and task.scenes.shift_seconds:
        raise KwsError("scenes.shift_seconds moves clips away from what their teacher heard: give 0")
    try:
        is_streaming(task.model.mixer)
    except ValueError as error:
        raise KwsError(f"model.mixer={task.model.mixer}: {error}") from error
    verify_own_mixers(task.model)
    refuse_odd_steps(recipe.optim)
    refuse_no_workers(run)
    processes, rows = run.devices * run.num_nodes, task.scenes.rows
    if rows < processes:
        raise KwsError(f"{processes} processes cannot share batches of {rows} rows: give scenes.rows={processes}")
    if any(way in run.strategy for way in ("spawn", "fork", "notebook")):
        raise KwsError(f"strategy={run.strategy} hands a training over by pickle, which it does not bear: give ddp")


def refuse_softening(task: TaskConfig) -> None:
    """Raise KwsError for a temperature that logits cannot be divided by, and for a
    discount so large that the model says blanks alone, or never one.
    """
    if not is_temperature(task.temperature):
        raise KwsError(
            f"temperature={task.temperature} divides the logits: give a number above 0 and up to "
            f"{MOST_TEMPERATURE:g}, 1 to change nothing"
        )
    if not is_discount(task.blank_discount):
        raise KwsError(
            f"blank_discount={task.blank_discount} is taken from the blank's logit: give a number from "
            f"-{MOST_DISCOUNT:g} to {MOST_DISCOUNT:g}, 0 to change nothing"
        )


def refuse_no_workers(run: RunConfig) -> None:
    """Raise KwsError where no process would build the batches."""
    if run.workers < 1:
        raise KwsError(f"workers={run.workers} build no batches: give 1 or more")


def refuse_odd_steps(optim: OptimConfig) -> None:
    """Raise KwsError unless the steps make whole epochs."""
    steps, epoch = optim.steps, optim.steps_per_epoch
    if steps < 1 or epoch < 1:
        raise KwsError(f"steps={steps} steps_per_epoch={epoch}: a training has at least one step")
    if steps % epoch:
        raise KwsError(f"steps={steps} is not a multiple of steps_per_epoch={epoch}")


class CheckpointFile(TorchCheckpointIO):
    """Writes a state of the training to where it belongs: Lightning's own way of
    writing fills the folder of temporary files, too, and names a file there if it is
    full.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_values(Path(path), checkpoint)

    def load_checkpoint(self, path: Any, *further: Any, **options: Any) -> dict[str, Any]:
        """A state of the training. Raises KwsError where nothing can be read of it."""
        try:
            return super().load_checkpoint(path, *further, **options)
        except Exception as error:  # torch raises many kinds for files that are no checkpoints
            if isinstance(error, OSError) and error.filename is not None:
                raise
            raise KwsError(
                f"{path} is damaged, as a power cut leaves files ({type(error).__name__}): put a copy in its place, or "
                "delete it, and the same command trains from the start"
            ) from error


class EpochCheckpoint(pl.Callback):
    """Writes the whole state of the training after each epoch, so that a kill at any
    moment leaves a valid file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes beside the last checkpoint, then takes its place."""
        first = trainer.is_global_zero
        with whole(self.path) if first else nullcontext(partial_of(self.path)) as partial:
            trainer.save_checkpoint(partial)  # returns in all processes once the first has written


class Beginning(pl.Callback):
    """The set-up of each process before the first step: its threads, and the constants
    that a model takes from the first batches.

    fresh: nothing was trained yet. on_trunk: the normalisation is the trunk's.
    """

    def __init__(self, threads: int, fresh: bool, on_trunk: bool) -> None:
        self.threads = threads
        self.fresh, self.on_trunk = fresh, on_trunk

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Runs after the data module's set-up, in which the first process decodes and
        the others wait.
        """
        torch.set_num_threads(self.threads)
        if self.fresh:
            assert isinstance(pl_module, CTCTask)
            scenes = trainer.datamodule.prepare()  # type: ignore[attr-defined]
            if not self.on_trunk:
                normalise(pl_module.model, scenes)
            if pl_module.model.fixed_reference is not None:
                pl_module.model.set_reference(first_mel(pl_module.model, scenes, 1)[0])
