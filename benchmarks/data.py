"""Measures whether training waits for data: decoding against the cache, the cost of
each augmentation, and whole training steps.

    python benchmarks/data.py FOLDER [--recipe wake_words] [--steps 30] [--rounds 3] [--threads 2] [key=value ...]

FOLDER and key=value as for `kws train`. --steps 0 leaves the trainings out; --steps 10
--rounds 1 is a short look. Costs of single parts are CPU time of one thread, so that a
busy machine disturbs them little. Steps are wall time; what passes between two steps is
what the trainer waits for its batch. The mixers take turns in each round, so that a
slow moment of the machine meets all alike.

What was tried, and what it gave: docs/decisions.md, "The trainer must not wait".
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Timer

from kws.audio import read
from kws.data.scenes.config import SceneConfig
from kws.data.scenes.dataset import SceneDataset, SceneSource
from kws.errors import KwsError
from kws.log import silent
from kws.model.acoustic import AcousticModel, parameter_count
from kws.train.datamodule import SceneModule
from kws.train.process.malloc import keep_freed_memory
from kws.train.recipe import Recipe
from kws.train.recipes.file import find_recipe
from kws.train.recipes.override import override
from kws.train.task import CTCTask
from kws.train.trainer import make_trainer
from kws.train.vocabulary import lexicon_of

MIXERS = ("lstm", "bilstm", "sa", "xsa")
WARM_UP = 5  # steps of a training that are not counted: the workers start, memory is touched first
CLIPS = 300
BATCHES = 12
AUGMENTATIONS = {
    "nothing (joined clips alone)": {},
    "stretch": {"stretch_probability": 1.0},
    "shift": {"shift_seconds": 0.1},
    "room": {"room_probability": 1.0},
    "noise": {"noise_probability": 1.0},
    "babble": {"babble_probability": 1.0},
    "microphone": {"microphone_probability": 1.0},
    "floor": {"floor_probability": 1.0},
    "overdrive": {"overdrive_probability": 1.0},
    "telephone": {"telephone_probability": 1.0},
    "codec": {"codec_probability": 1.0},
}


def main() -> None:
    """Prints tables of decoding, augmentation and training steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--recipe", default="wake_words")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_intermixed_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    recipe = override(find_recipe(args.recipe), [f"data={args.folder}", f"threads={args.threads}", *args.changes])
    data = SceneModule(recipe, lexicon_of(recipe), silent)
    scenes = data.prepare()
    compare_cache(scenes)
    compare_augmentations(scenes)
    if args.steps:
        compare_mixers(recipe, data, args.steps + WARM_UP, args.rounds)


def compare_cache(scenes: SceneDataset) -> None:
    """Clips per second from the files, and from the decoded cache."""
    rng = np.random.default_rng(0)
    sources = [scenes.sources[i] for i in rng.integers(len(scenes.sources), size=CLIPS)]
    drawn = [(source.clips, int(rng.integers(len(source.clips)))) for source in sources]
    decoded = sum(clips.samples(index) for clips, index in drawn) / 16_000
    from_files = cpu_seconds(lambda: [read(clips.utterances[index].audio) for clips, index in drawn])
    from_cache = cpu_seconds(lambda: [clips.read(index) for clips, index in drawn])
    print(f"\n{CLIPS} clips of {decoded / CLIPS:.1f} s, one thread")
    for name, seconds in (("decoded each time", from_files), ("decoded once", from_cache)):
        print(f"{name:<30}{CLIPS / seconds:10,.0f} clips/s{decoded / seconds:10,.0f} x real time")


def compare_augmentations(scenes: SceneDataset) -> None:
    """CPU time of the recipe's batch, and of a minute of audio with each augmentation
    alone.
    """
    c = scenes.config
    batch = batch_seconds(scenes, c)
    audio = c.rows * c.row_seconds
    print(f"\na batch of {c.rows} x {c.row_seconds:g} s, as the recipe says: {batch * 1e3:.0f} ms of one thread")
    off = {f"{name}_probability": 0.0 for name in ("noise", "babble", "floor", "room", "microphone")}
    bare = replace(c, **off, stretch_probability=0.0, codec_probability=0.0, telephone_probability=0.0,
                   overdrive_probability=0.0, shift_seconds=0.0)  # fmt: skip
    nothing = batch_seconds(scenes, bare) * 60 / audio
    for name, on in AUGMENTATIONS.items():
        more = batch_seconds(scenes, replace(bare, **on)) * 60 / audio - nothing if on else nothing
        print(f"{name:<30}{more * 1e3:10.0f} ms a minute of audio")


def batch_seconds(scenes: SceneDataset, config: SceneConfig) -> float:
    """Median CPU seconds of a batch of the same sources."""
    made = SceneDataset(
        {str(i): source for i, source in enumerate(scenes.sources)},
        scenes.noise,
        config,
        0,
        scenes.silence,
        scenes.rirs,
    )
    return float(np.median([cpu_seconds(lambda step=step: made[step]) for step in range(BATCHES)][1:]))


def compare_mixers(recipe: Recipe, data: SceneModule, steps: int, rounds: int) -> None:
    """Trains each mixer for `steps` steps a round: steps, clips and seconds of audio
    per second, and waiting.
    """
    clips = clips_per_batch(data.prepare())
    took: dict[str, list[float]] = {name: [] for name in MIXERS}
    waited: dict[str, list[float]] = {name: [] for name in MIXERS}
    parameters = {}
    short = recipe.changed(steps=steps, steps_per_epoch=steps, validate_every=steps)
    data.recipe = short
    for _ in range(rounds):
        for name in MIXERS:
            model = AcousticModel(replace(recipe.task.model, mixer=name))
            parameters[name] = parameter_count(model)
            step, wait = train(short, model, data)
            took[name].append(step + wait)
            waited[name].append(wait)
    audio = recipe.task.scenes.rows * recipe.task.scenes.row_seconds
    print(
        f"\n{rounds} x {steps - WARM_UP} steps, {recipe.run.threads} threads, {clips:.1f} clips and {audio:g} s a batch"
    )
    for name in MIXERS:
        seconds = np.median(took[name])
        ratio = np.median(np.array(took[name]) / np.array(took["lstm"]))
        print(
            f"{name:<8}{parameters[name]:>9,} parameters{1 / seconds:8.2f} steps/s{clips / seconds:8.0f} clips/s"
            f"{audio / seconds:8.0f} x real time{ratio:7.2f} x lstm's step"
            f"   waits {sum(waited[name]) / sum(took[name]):.1%} of it"
        )


def train(recipe: Recipe, model: AcousticModel, data: SceneModule) -> tuple[float, float]:
    """Median seconds of a step, and mean seconds that the trainer waits for its
    batch.
    """
    task = CTCTask(recipe, model, lexicon_of(recipe))
    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, Path(folder), Timer())
        quiet = [callback for callback in trainer.callbacks if not isinstance(callback, pl.callbacks.ProgressBar)]
        trainer.callbacks = [*quiet, stopwatch]  # behind the others, whose work belongs to the step
        trainer.fit(task, datamodule=data)
    return float(np.median(stopwatch.steps[WARM_UP:])), float(np.mean(stopwatch.waits[WARM_UP:]))


class Stopwatch(pl.Callback):
    """Seconds of each step, and of what passes between two steps: the wait for the next
    batch.
    """

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.waits: list[float] = []
        self.ended = time.perf_counter()

    def on_train_batch_start(self, *_: object) -> None:
        self.started = time.perf_counter()
        self.waits.append(self.started - self.ended)

    def on_train_batch_end(self, *_: object) -> None:
        self.ended = time.perf_counter()
        self.steps.append(self.ended - self.started)


def clips_per_batch(scenes: SceneDataset) -> float:
    """Mean number of clips in a batch: counted by targets of one token a clip."""
    one = [np.ones(1, np.int64)]
    counted = {str(i): SceneSource(s.clips, one * len(s.clips), s.share, s.words) for i, s in enumerate(scenes.sources)}
    dataset = SceneDataset(counted, scenes.noise, scenes.config, scenes.seed, scenes.silence, scenes.rirs)
    return float(np.mean([dataset[step]["target_lengths"].sum() for step in range(BATCHES)]))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Seconds of CPU time that `work` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    try:
        main()
    except KwsError as error:
        sys.exit(f"data.py: {error}")
