"""Training a verifier: tapes, the candidates of the first pass on them, segments, the
trainer.

A killed training goes on from its last epoch when it is begun again, and finds its
tapes, candidates and embeddings as they were.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.loggers import CSVLogger

from kws.errors import KwsError
from kws.files import write_text
from kws.log import Log, silent
from kws.model.acoustic import parameter_count
from kws.model.verifier import Verifier
from kws.model.verifier_checkpoint import save_verifier
from kws.train.average import Average
from kws.train.datamodule import EpochSteps
from kws.train.precision import precision_here, tell_of_precision
from kws.train.process.ahead import ahead
from kws.train.process.full_disk import told_of_a_full_disk
from kws.train.process.interruption import OwnSigterm, interruptible
from kws.train.process.malloc import keep_freed_memory
from kws.train.process.progress import TrainingBar
from kws.train.recipe import TrainingCorpus
from kws.train.recipes.identity import claim, flat
from kws.train.trainer import (
    CheckpointFile,
    EpochCheckpoint,
    refuse_damaged,
    refuse_no_workers,
    refuse_odd_steps,
    told_in_a_sentence,
)
from kws.train.verifier.held_out import count, held_out
from kws.train.verifier.recipe import VerifierRecipe
from kws.train.verifier.segments import SegmentDataset
from kws.train.verifier.sources import segments
from kws.train.verifier.task import VerifierTask
from kws.train.verifier.teacher import WIDTH
from kws.train.warp import refuse_warp

_NORMALISATION_STEPS = 4


def train_verifier(recipe: VerifierRecipe, log: Log = silent) -> Path:
    """Train by `recipe`, or finish an interrupted training; returns the path of the
    finished checkpoint.

    Raises KwsError for a recipe that cannot be trained, and where `recipe.run.output`
    holds a training of another recipe.
    """
    output = Path(recipe.run.output)
    refuse_impossible(recipe)
    pl.seed_everything(recipe.optim.seed, verbose=False)
    try:
        model = Verifier(recipe.task.model)
    except ValueError as error:
        raise KwsError(f"model.mixer={recipe.task.model.mixer}: {error}") from error
    claim(output, recipe)
    finished = output / "verifier.ckpt"
    if finished.exists():
        refuse_damaged(finished)
        return finished
    keep_freed_memory()
    torch.set_num_threads(recipe.run.threads)
    data = segments(recipe, log)
    last = output / "last.ckpt"
    if not last.exists():
        _normalise(model, data)
    task = VerifierTask(recipe, model, *_embedding_moments(data))
    log(f"going on from {last}" if last.exists() else f"{parameter_count(model):,} parameters")
    tell_of_precision(recipe.optim, recipe.run, log)
    timer = Timer()
    trainer = _trainer(recipe, output, timer)
    steps = EpochSteps(recipe.optim.steps_per_epoch, lambda: trainer.global_step)
    loader = ahead(data, steps, recipe.run.workers)
    with told_of_a_full_disk(output), interruptible(trainer, last):
        trainer.fit(task, loader, ckpt_path=last if last.exists() else None, weights_only=True)
    spent = {"minutes": round(timer.time_elapsed("train") / 60, 1), "steps": trainer.global_step}
    save_verifier(finished, task.model, learned_from(recipe.changed(precision=trainer.precision)), spent)
    if recipe.task.fold >= 0:
        counted = count(task.model, held_out(data, recipe.task))
        write_text(output / "held_out.json", json.dumps(counted, indent=1))
        log(f"speakers held out: {json.dumps(counted)}")
    return finished


def refuse_impossible(recipe: VerifierRecipe) -> None:
    """Raise KwsError for numbers that do not go together, before anything is
    written.
    """
    task = recipe.task
    refuse_odd_steps(recipe.optim)
    refuse_no_workers(recipe.run)
    refuse_warp(task.vocal_tract)
    if not -1 <= task.fold < task.folds:
        raise KwsError(f"there is no fold {task.fold} of {task.folds}: give 0 to {task.folds - 1}, or -1 for none")


def _trainer(recipe: VerifierRecipe, output: Path, timer: Timer) -> pl.Trainer:
    optim = recipe.optim
    part = len(list((output / "logs").glob("part-*")))
    with told_in_a_sentence():
        return pl.Trainer(
            max_steps=optim.steps,
            precision=precision_here(optim, recipe.run),  # type: ignore[arg-type]
            accelerator=recipe.run.accelerator,
            devices=1,
            gradient_clip_val=optim.gradient_clip,
            log_every_n_steps=min(20, optim.steps_per_epoch),
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            logger=CSVLogger(output, "logs", f"part-{part}"),
            plugins=CheckpointFile(),
            callbacks=[
                Average(decay=optim.ema_decay, update_starting_at_step=optim.warmup_steps),
                TrainingBar(optim.steps + 1),
                timer,
                EpochCheckpoint(output / "last.ckpt"),
                OwnSigterm(),
            ],
        )


def learned_from(recipe: VerifierRecipe) -> dict[str, Any]:
    """The recipe for a checkpoint: without paths of this machine, and with the corpora
    that were there.
    """
    task, root = recipe.task, Path(recipe.task.data)

    def there(corpus: TrainingCorpus | None) -> bool:
        return corpus is not None and (root / corpus.folder).is_dir()

    speech = tuple(corpus for corpus in task.speech if there(corpus))
    noise, rooms = (corpus if there(corpus) else None for corpus in (task.noise, task.rooms))
    start = Path(task.first_pass).stem
    used = recipe.changed(data="", output="", speech=speech, noise=noise, rooms=rooms, first_pass=start)
    return flat(used.changed(teacher=Path(task.teacher).name if task.teacher else ""))


def _normalise(model: Verifier, data: SegmentDataset) -> None:
    """Sets the model's global mean and deviation per mel band from the first
    batches.
    """
    mel = torch.cat([data[step]["features"].float() for step in range(_NORMALISATION_STEPS)])
    model.set_normalisation(mel.mean(dim=(0, 1)), mel.std(dim=(0, 1)))


def _embedding_moments(data: SegmentDataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (E,) of the teacher's embeddings on all tapes."""
    found = [source.embeddings[::50] for source in data.sources if source.embeddings is not None]
    if not found:
        return torch.zeros(WIDTH), torch.ones(WIDTH)
    embeddings = np.concatenate(found).astype(np.float32)
    return torch.from_numpy(embeddings.mean(0)), torch.from_numpy(embeddings.std(0) + 1e-3)
