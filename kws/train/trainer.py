"""`kws train`: a recipe becomes checkpoints, logs and, at the end, the averaged model.

A killed training goes on from its last epoch to the same numbers when the same command is given again.

Beyond one process, Lightning starts the same command once more for each of `devices`, or torchrun starts them all on
each of `num_nodes` machines, which then must see the same output and data folders:

    kws train wake_words devices=2 threads=1
    torchrun --nnodes=2 --node-rank=0 --nproc-per-node=2 --master-addr=HOST -m kws train phones num_nodes=2 devices=2

Each process makes and trains on its share of the rows that one process would have trained on, and gradients are
those of the whole batch. What differs from one process is what chance decides inside the model (dropout, masks).
"""

import argparse
import ctypes
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, LearningRateMonitor, Timer, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from kws.data.datamodule import SceneModule
from kws.errors import KwsError
from kws.lexicon import Lexicon, load_cmudict, phrase_name
from kws.model.acoustic import parameter_count
from kws.model.checkpoint import save_checkpoint
from kws.model.mixers import is_streaming
from kws.train.initial import first_mel, first_model, normalise, with_phrases
from kws.train.losses.total import refuse_weights
from kws.train.recipe import Recipe, RecipeFile, load_recipe, override
from kws.train.task import CTCTask

_PLACES = frozenset({"output", "features", "threads", "devices", "num_nodes", "strategy"})
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt's names (malloc.h)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws train`."""
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
    """Runs the training and says where the model lies."""
    file, options, recipe = chosen(args)
    if hasattr(file, "make"):
        print(file.make(options, recipe, rank_zero_only(lambda line: print(line, file=sys.stderr))))
    else:
        path = train(recipe)
        print(f"trained: {path}\nnext: kws export {path} -o model.onnx")
    return 0


def chosen(args: argparse.Namespace) -> tuple[RecipeFile, argparse.Namespace, Recipe]:
    """The recipe file that the arguments name, the options that it has of its own, and its recipe with the changes."""
    file = load_recipe(args.recipe)
    parser = argparse.ArgumentParser(
        prog=f"kws train {args.recipe}",
        description=file.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if hasattr(file, "make"):
        file.configure(parser)
    parser.add_argument("changes", nargs="*", metavar="key=value", help="fields of the recipe to change")
    options = parser.parse_intermixed_args(args.changes)
    return file, options, override(file.RECIPE, options.changes)


def main(recipe: Recipe) -> None:
    """For recipe files that are run by themselves: ``python recipe.py key=value ...``."""
    try:
        print(train(override(recipe, sys.argv[1:])))
    except KwsError as error:
        sys.exit(f"kws: {error}")


def train(recipe: Recipe) -> Path:
    """Trains `recipe` (or what is left of it) and returns the path of the finished checkpoint."""
    recipe = with_phrases(recipe)
    output = Path(recipe.output)
    timer = Timer()
    trainer = make_trainer(recipe, output, timer)
    if trainer.is_global_zero:
        claim(output, recipe)
    finished = output / "model.ckpt"
    if finished.exists():  # by this very recipe
        return alone(trainer, finished)
    keep_freed_memory()
    pl.seed_everything(recipe.seed, verbose=False)
    lexicon = lexicon_of(recipe)
    spellings = {phrase_name(keyword): lexicon.spell(keyword) for keyword in recipe.keywords}
    data = scene_module(recipe, lexicon)
    model = first_model(recipe)
    task = CTCTask(recipe, model, spellings, {word: lexicon.spell(word) for word in recipe.words})
    last = output / "last.ckpt"
    if trainer.is_global_zero:
        news = (
            f"going on from {last}" if last.exists() else f"{parameter_count(model):,} parameters, {recipe.steps} steps"
        )
        print(news, file=sys.stderr)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    except RuntimeError as error:
        if "gloo" not in str(error):
            raise
        raise KwsError("another process of this training has ended: give the same command again to go on") from error
    if trainer.interrupted:
        raise KeyboardInterrupt
    if trainer.is_global_zero:
        spent = {"minutes": round(timer.time_elapsed("train") / 60, 1), "steps": trainer.global_step}
        save_checkpoint(
            finished, model, without_paths(recipe), {k: [list(s) for s in v] for k, v in spellings.items()}, spent
        )
    return alone(trainer, finished)


def lexicon_of(recipe: Recipe) -> Lexicon:
    """The dictionary with what the recipe adds to it."""
    return load_cmudict().extended(recipe.extra_spellings).taught(recipe.keywords)


def alone(trainer: pl.Trainer, finished: Path) -> Path:
    """Returns `finished` in the first process; the others have done their part and end here."""
    if not trainer.is_global_zero:
        raise SystemExit(0)
    return finished


def scene_module(recipe: Recipe, lexicon: Lexicon) -> SceneModule:
    """The recipe's data."""
    root = Path(recipe.data)
    if not root.is_dir():
        raise KwsError(f"the recipe's data folder {root} does not exist: give data=FOLDER")
    return SceneModule(
        root=root,
        cache=(root if os.access(root, os.W_OK) else Path(recipe.output)) / ".decoded",  # corpora may be read-only
        speech={corpus.folder: corpus.share for corpus in recipe.speech},
        noise=recipe.noise.folder if recipe.noise else None,
        rooms=recipe.rooms.folder if recipe.rooms else None,
        lexicon=lexicon,
        tokens=recipe.model.tokens,
        keywords=[phrase_name(keyword) for keyword in recipe.keywords],
        words=recipe.words,
        scenes=recipe.scenes,
        seed=recipe.seed,
        steps_per_epoch=recipe.steps_per_epoch,
        report=rank_zero_only(lambda line: print(line, file=sys.stderr)),
        features=Path(recipe.features) if recipe.features else None,
        mels=recipe.model.mels,
    )


def make_trainer(recipe: Recipe, output: Path, timer: Timer) -> pl.Trainer:
    """Lightning's trainer: AdamW steps in epochs of `steps_per_epoch`, one checkpoint an epoch, CSV and TensorBoard."""
    refuse_impossible(recipe)
    part = len(list((output / "logs").glob("part-*")))  # a resumed training must not write over the first part's logs
    last = output / "last.ckpt"
    fresh = not (recipe.start or last.exists())
    logs: dict[str, Any] = {"save_dir": output, "name": "logs", "version": f"part-{part}"}
    try:
        return pl.Trainer(
            max_steps=recipe.steps,
            precision=recipe.precision,  # type: ignore[arg-type]
            accelerator="cpu",
            devices=recipe.devices,
            num_nodes=recipe.num_nodes,
            strategy=recipe.strategy,
            gradient_clip_val=recipe.gradient_clip,
            check_val_every_n_epoch=recipe.validate_every,
            num_sanity_val_steps=0,
            log_every_n_steps=min(20, recipe.steps_per_epoch),
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            logger=[CSVLogger(**logs), TensorBoardLogger(**logs)],
            callbacks=[
                Beginning(recipe.threads, fresh, bool(recipe.trunk)),  # before the average, which starts as a copy
                EMAWeightAveraging(decay=recipe.ema_decay, update_starting_at_step=recipe.warmup_steps),
                LearningRateMonitor("step"),
                TQDMProgressBar(refresh_rate=10),
                timer,
                EpochCheckpoint(last),
            ],
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise KwsError(f"Lightning refuses these fields of the recipe: {error}") from error


def refuse_impossible(recipe: Recipe) -> None:
    """Raises KwsError for numbers that do not go together and unknown mixers, before anything is written."""
    refuse_weights(recipe)
    try:
        is_streaming(recipe.model.mixer)
    except ValueError as error:
        raise KwsError(f"model.mixer={recipe.model.mixer}: {error}") from error
    if recipe.steps < 1 or recipe.steps_per_epoch < 1:
        raise KwsError(
            f"steps={recipe.steps} steps_per_epoch={recipe.steps_per_epoch}: a training has at least one step"
        )
    if recipe.steps % recipe.steps_per_epoch:
        raise KwsError(f"steps={recipe.steps} is not a multiple of steps_per_epoch={recipe.steps_per_epoch}")
    processes = recipe.devices * recipe.num_nodes
    if recipe.scenes.rows < processes:
        raise KwsError(
            f"{processes} processes cannot share batches of {recipe.scenes.rows} rows: give scenes.rows={processes}"
        )
    if any(way in recipe.strategy for way in ("spawn", "fork", "notebook")):
        raise KwsError(f"strategy={recipe.strategy} hands a training over by pickle, which it does not bear: give ddp")


class EpochCheckpoint(pl.Callback):
    """Writes the whole state of the training after each epoch, so that a kill at any moment leaves a valid file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes beside the last checkpoint, then takes its place."""
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)  # returns in all processes once the first has written
        if trainer.is_global_zero:
            partial.replace(self.path)


class Beginning(pl.Callback):
    """What each process does before the first step: its threads, and what a model takes from the first batches.

    fresh: nothing was trained yet. on_trunk: the normalisation is the trunk's.
    """

    def __init__(self, threads: int, fresh: bool, on_trunk: bool) -> None:
        self.threads = threads
        self.fresh, self.on_trunk = fresh, on_trunk

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Comes after the data module's set-up, in which the first process decodes and the others wait."""
        torch.set_num_threads(self.threads)
        if self.fresh:
            assert isinstance(pl_module, CTCTask)
            scenes = trainer.datamodule.prepare()  # type: ignore[attr-defined]
            if not self.on_trunk:
                normalise(pl_module.model, scenes)
            if pl_module.model.fixed_reference is not None:
                pl_module.model.set_reference(first_mel(pl_module.model, scenes, 1)[0])


def claim(output: Path, recipe: Recipe) -> None:
    """Writes the recipe into `output`, or refuses when a training of another recipe lies there."""
    output.mkdir(parents=True, exist_ok=True)
    path, plain = output / "recipe.json", recipe_dict(recipe)
    if path.exists() and learned(json.loads(path.read_text(encoding="utf-8"))) != learned(plain):
        raise KwsError(f"{output} holds a training of another recipe: choose another output=FOLDER or delete it")
    path.write_text(json.dumps(plain, indent=1), encoding="utf-8")


def learned(recipe: dict[str, Any]) -> dict[str, Any]:
    """The fields that say what is learned, and not where."""
    return {key: value for key, value in recipe.items() if key not in _PLACES}


def recipe_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return plain


def without_paths(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a checkpoint carries it: a file that is given to others says nothing of the machine it is from."""
    return recipe_dict(
        dataclasses.replace(
            recipe, data="", output="", features="", start=Path(recipe.start).stem, trunk=Path(recipe.trunk).stem
        )
    )


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory: otherwise each step maps and faults its memory anew (a third of a step)."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
