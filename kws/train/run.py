"""`kws train`: a recipe becomes checkpoints, logs and, at the end, the averaged model.

A killed training goes on from its last epoch to the same numbers when the same command is given again.
"""

import argparse
import ctypes
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, LearningRateMonitor, Timer, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from kws.data.module import SceneModule
from kws.errors import KwsError
from kws.lexicon import Lexicon, load_cmudict
from kws.model.acoustic import AcousticModel, parameter_count
from kws.model.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from kws.train.recipe import Recipe, find_recipe, override
from kws.train.task import CTCTask

_NORMALISATION_BATCHES = 8
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt's names (malloc.h)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws train`."""
    parser.description = "Train a model from a recipe. A killed training goes on when the same command is given again."
    parser.epilog = (
        "examples:\n"
        "  kws train wake_words data=corpora\n"
        "  kws train wake_words data=corpora seed=1 model.mixer=sa output=runs/sa\n"
        "  kws train my_recipe.py steps=20000"
    )
    parser.add_argument("recipe", help="a recipe that ships (wake_words) or a .py file with a constant RECIPE")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="fields of the recipe to change")


def run(args: argparse.Namespace) -> int:
    """Runs the training and says where the model lies."""
    path = train(override(find_recipe(args.recipe), args.changes))
    print(f"trained: {path}\nnext: kws export {path} -o model.onnx")
    return 0


def main(recipe: Recipe) -> None:
    """For recipe files that are run by themselves: ``python recipe.py key=value ...``."""
    try:
        print(train(override(recipe, sys.argv[1:])))
    except KwsError as error:
        sys.exit(f"kws: {error}")


def train(recipe: Recipe) -> Path:
    """Trains `recipe` (or what is left of it) and returns the path of the finished checkpoint."""
    output = Path(recipe.output)
    claim(output, recipe)
    torch.set_num_threads(recipe.threads)
    keep_freed_memory()
    pl.seed_everything(recipe.seed, verbose=False)
    lexicon = load_cmudict().extended(recipe.extra_spellings)
    spellings = {keyword: lexicon.spell(keyword) for keyword in recipe.keywords}
    data = scene_module(recipe, lexicon)
    model = (
        load_checkpoint(find_checkpoint(recipe.start)).model.train() if recipe.start else AcousticModel(recipe.model)
    )
    task = CTCTask(recipe, model, spellings, {word: lexicon.spell(word) for word in recipe.words})
    timer = Timer()
    trainer = make_trainer(recipe, output, timer)
    last = output / "last.ckpt"
    if last.exists():
        print(f"going on from {last}", file=sys.stderr)
    else:
        print(f"{parameter_count(model):,} parameters, {recipe.steps} steps", file=sys.stderr)
        if not recipe.start:
            normalise(model, data)
    trainer.fit(task, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    finished = output / "model.ckpt"
    spent = {"minutes": round(timer.time_elapsed("train") / 60, 1), "steps": trainer.global_step}
    save_checkpoint(
        finished, model, recipe_dict(recipe), {k: [list(s) for s in v] for k, v in spellings.items()}, spent
    )
    return finished


def scene_module(recipe: Recipe, lexicon: Lexicon) -> SceneModule:
    """The recipe's data."""
    root = Path(recipe.data)
    if not root.is_dir():
        raise KwsError(f"the recipe's data folder {root} does not exist: give data=FOLDER")
    return SceneModule(
        root=root,
        speech={corpus.folder: corpus.share for corpus in recipe.speech},
        noise=recipe.noise.folder if recipe.noise else None,
        lexicon=lexicon,
        tokens=recipe.model.tokens,
        keywords=recipe.keywords,
        words=recipe.words,
        scenes=recipe.scenes,
        seed=recipe.seed,
        steps_per_epoch=recipe.steps_per_epoch,
        report=lambda line: print(line, file=sys.stderr),
    )


def make_trainer(recipe: Recipe, output: Path, timer: Timer) -> pl.Trainer:
    """Lightning's trainer: AdamW steps in epochs of `steps_per_epoch`, one checkpoint an epoch, CSV and TensorBoard."""
    if recipe.steps % recipe.steps_per_epoch:
        raise KwsError(f"steps={recipe.steps} is not a multiple of steps_per_epoch={recipe.steps_per_epoch}")
    part = len(list((output / "logs").glob("part-*")))  # a resumed training must not write over the first part's logs
    logs: dict[str, Any] = {"save_dir": output, "name": "logs", "version": f"part-{part}"}
    return pl.Trainer(
        max_steps=recipe.steps,
        precision=recipe.precision,  # type: ignore[arg-type]
        accelerator="cpu",
        gradient_clip_val=recipe.gradient_clip,
        check_val_every_n_epoch=recipe.validate_every,
        num_sanity_val_steps=0,
        log_every_n_steps=min(20, recipe.steps_per_epoch),
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=[CSVLogger(**logs), TensorBoardLogger(**logs)],
        callbacks=[
            EMAWeightAveraging(decay=recipe.ema_decay, update_starting_at_step=recipe.warmup_steps),
            LearningRateMonitor("step"),
            TQDMProgressBar(refresh_rate=10),
            timer,
            EpochCheckpoint(output / "last.ckpt"),
        ],
    )


class EpochCheckpoint(pl.Callback):
    """Writes the whole state of the training after each epoch, so that a kill at any moment leaves a valid file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes beside the last checkpoint, then takes its place."""
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        partial.replace(self.path)


def normalise(model: AcousticModel, data: SceneModule) -> None:
    """Sets the model's global mean and deviation per mel band from the first batches."""
    scenes = data.prepare()
    with torch.no_grad():
        batches = [scenes[step]["pcm"] for step in range(_NORMALISATION_BATCHES)]
        mel = torch.cat([model.frontend(pcm, model.frontend.init_state(len(pcm)))[0] for pcm in batches])
    model.set_normalisation(mel.mean(dim=(0, 1)), mel.std(dim=(0, 1)))


def claim(output: Path, recipe: Recipe) -> None:
    """Writes the recipe into `output`, or refuses when a training of another recipe lies there."""
    output.mkdir(parents=True, exist_ok=True)
    path, text = output / "recipe.json", json.dumps(recipe_dict(recipe), indent=1)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise KwsError(f"{output} holds a training of another recipe: choose another output=FOLDER or delete it")
    path.write_text(text, encoding="utf-8")


def recipe_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return plain


def keep_freed_memory() -> None:
    """Tells glibc to keep freed memory: otherwise each step maps and faults its memory anew (a third of a step)."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
