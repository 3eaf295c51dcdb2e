"""Measures what other work costs a training: steps per second alone and beside busy
processes, for several ways in which the threads of torch wait for each other.

    python benchmarks/busy.py [--busy 0 2 4] [--rounds 3] [--seconds 8] [key=value ...]

A made corpus (`kws train tiny`) and the recipe's own model, or a larger one by
key=value. Each way is a process of its own, since OpenMP reads its settings once, when
torch is loaded; all stay loaded and take turns, one at a time, so that a slow moment of
the machine meets all alike. A turn is --seconds long and its first steps, which batches
of before may have waited for, are not counted. Medians over the rounds, with the least
and the most. Other people's work on the machine is part of what is measured: load
averages are printed.

What was tried, and what it gave: docs/decisions.md, "Training beside other work".
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WAYS: dict[str, tuple[dict[str, str], int]] = {
    "2 threads, as torch has it": ({}, 2),
    "2 threads, passive": ({"OMP_WAIT_POLICY": "PASSIVE"}, 2),
    "2 threads, spin 1000": ({"GOMP_SPINCOUNT": "1000"}, 2),
    "1 thread": ({}, 1),
}
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "KMP_BLOCKTIME")
WARM_UP = 3
_BUSY = "while True: pass"


def main() -> None:
    """Prints a table of steps per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 2, 4], help="busy processes beside the training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args()
    if args.train:
        return train_in_turns(args.train, args.changes)
    with tempfile.TemporaryDirectory() as folder:
        ways = {name: start(Path(folder), way, args.changes) for name, way in WAYS.items()}
        try:
            for number in args.busy:
                compare(ways, number, args.rounds, args.seconds)
        finally:
            for process in ways.values():
                process.kill()
                process.wait()


def start(folder: Path, way: tuple[dict[str, str], int], changes: list[str]) -> "subprocess.Popen[str]":
    """A training that waits for its turn."""
    settings, threads = way
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    place = [f"data={folder / 'data'}", f"output={folder / str(len(list(folder.iterdir())))}"]
    command = [sys.executable, __file__, "--train", str(threads), *place, *changes]
    process = subprocess.Popen(
        command, env=environment | settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    turn(process, 0.1)  # loaded, and the data is made
    return process


def turn(process: "subprocess.Popen[str]", seconds: float) -> dict[str, float]:
    """Lets a training go on for so long: its steps per second, and the CPU seconds of
    its own that passed in a second.
    """
    assert process.stdin and process.stdout
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    return dict(json.loads(process.stdout.readline()))


def compare(ways: "dict[str, subprocess.Popen[str]]", number: int, rounds: int, seconds: float) -> None:
    """Prints the ways beside so many busy processes."""
    busy = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(number)]
    try:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, process in ways.items():
                found[name].append(turn(process, seconds))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    print(f"\nbeside {number} busy processes on {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    for name, turns in found.items():
        rates = [each["steps"] for each in turns]
        cpu = statistics.median(each["cpu"] for each in turns)
        print(
            f"{name:<28}{statistics.median(rates):8.2f} steps/s ({min(rates):.2f} to {max(rates):.2f})"
            f"{cpu:8.2f} CPU seconds a second",
            flush=True,
        )


def train_in_turns(threads: int, changes: list[str]) -> None:
    """The training of one way."""
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import ProgressBar, Timer

    from kws.log import silent
    from kws.model.acoustic import AcousticModel
    from kws.recipes.tiny.recipe import RECIPE, make_data
    from kws.train.datamodule import SceneModule
    from kws.train.process.malloc import keep_freed_memory
    from kws.train.recipes.override import override
    from kws.train.task import CTCTask
    from kws.train.trainer import make_trainer
    from kws.train.vocabulary import lexicon_of

    class Turns(pl.Callback):
        """Waits for a line with seconds, and answers with the steps that were done."""

        def __init__(self) -> None:
            self.steps = self.until = 0.0
            self.begun: tuple[float, float] | None = None

        def on_train_batch_end(self, *_: Any) -> None:
            self.steps += 1
            now = time.perf_counter()
            if self.begun is None and self.steps >= WARM_UP:
                self.begun, self.steps = (now, time.process_time()), 0
            if now < self.until or (self.until and not (self.begun and self.steps)):
                return
            if self.begun and self.until:
                wall = now - self.begun[0]
                cpu = time.process_time() - self.begun[1]
                print(json.dumps({"steps": self.steps / wall, "cpu": cpu / wall}), file=answers, flush=True)
            if not (line := sys.stdin.readline()):
                os._exit(0)
            self.begun, self.steps, self.until = None, 0, time.perf_counter() + float(line)

    answers, sys.stdout = sys.stdout, sys.stderr
    recipe = override(RECIPE, ["steps=1000000", "steps_per_epoch=1000000", f"threads={threads}", *changes])
    make_data(Path(recipe.task.data) / recipe.task.speech[0].folder, recipe.optim.seed)
    keep_freed_memory()
    trainer = make_trainer(recipe, Path(recipe.run.output), Timer())
    quiet = [callback for callback in trainer.callbacks if not isinstance(callback, ProgressBar)]
    trainer.callbacks = [*quiet, Turns()]
    lexicon = lexicon_of(recipe)
    task = CTCTask(recipe, AcousticModel(recipe.task.model), lexicon)
    trainer.fit(task, datamodule=SceneModule(recipe, lexicon, silent))


if __name__ == "__main__":
    main()
