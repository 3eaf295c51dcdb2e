"""The progress bar of a training: the steps done, the time left, and a note where other
work slows it.
"""

import os
import sys
import time
from collections import deque
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from tqdm import tqdm

_RECENT_S = 60.0  # of which the pace is taken, so that it follows the machine
_FEWEST = 10  # steps of which it is taken, however long they take
_EVERY_S = 0.5  # a screen is written
_EVERY_S_ELSEWHERE = 30.0  # a log file is
_KEPT_FROM = 0.7  # share of the time, below which the thread that trains waits for a core, or for data
_CROWD = 1  # runnable processes more than there are cores: one is that which builds the batches


class Mark(NamedTuple):
    """A moment after a step, without the evaluations before it, and the CPU time of the
    training thread, both in seconds.
    """

    step: int
    at: float
    cpu: float


class Pace:
    """The time of a step, and the time left, from the steps of the last minute.

    steps: of the whole training. evaluate_every: steps between evaluations.
    """

    def __init__(self, steps: int, evaluate_every: int) -> None:
        self._steps, self._evaluate_every = steps, evaluate_every
        self._marks: deque[Mark] = deque()
        self._evaluation_s: float | None = None
        self._evaluating = 0.0  # seconds in all

    def stepped(self, step: int, now: float, cpu: float) -> None:
        marks = self._marks
        marks.append(Mark(step, now - self._evaluating, cpu))
        while len(marks) > _FEWEST + 1 and marks[-1].at - marks[1].at >= _RECENT_S:
            marks.popleft()

    def evaluated(self, seconds: float) -> None:
        self._evaluation_s = seconds
        self._evaluating += seconds

    @property
    def step_s(self) -> float | None:
        """Seconds of a step, a checkpoint's share with it; None before the second
        one.
        """
        first, last = self._ends()
        return (last.at - first.at) / (last.step - first.step) if last.step > first.step else None

    @property
    def kept(self) -> float:
        """The share of the time in which the thread that trains had a core."""
        first, last = self._ends()
        return (last.cpu - first.cpu) / (last.at - first.at) if last.at > first.at else 1.0

    def _ends(self) -> tuple[Mark, Mark]:
        return (self._marks[0], self._marks[-1]) if self._marks else (Mark(0, 0.0, 0.0), Mark(0, 0.0, 0.0))

    def left(self) -> str:
        """The rest of the training, for a person: a time, and the number of evaluations
        as long as none has shown how long one takes.
        """
        step_s = self.step_s
        if step_s is None:
            return ""
        done = self._marks[-1].step
        evaluations = self._steps // self._evaluate_every - done // self._evaluate_every
        told = f"{for_a_person((self._steps - done) * step_s + evaluations * (self._evaluation_s or 0.0))} left"
        unknown = evaluations if self._evaluation_s is None else 0
        return told + (f" and {unknown} evaluation{'s' * (unknown > 1)}" if unknown else "")


def for_a_person(seconds: float) -> str:
    """``45 s``, ``2.5 min``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.{int(seconds < 600)}f} min"
    return f"{seconds / 3600:.1f} h"


def other_work(kept: float, load: float, cores: int) -> str:
    """A note where the machine has more to do than cores, so that the training waits.

    kept: as `Pace.kept`. load: the machine's load average.
    """
    crowded = kept < _KEPT_FROM and load > cores + _CROWD
    return f"other work slows it: load {load:.1f} on {cores} cores" if crowded else ""


class TrainingBar(ProgressBar):
    """One bar for all steps, on stderr.

    evaluate_every: steps between evaluations, more than there are steps for none.
    """

    def __init__(self, evaluate_every: int) -> None:
        super().__init__()
        self._evaluate_every = evaluate_every
        self._shown = True
        self._bar: Any = None

    def disable(self) -> None:
        """Hides the bar; Lightning calls it in every process but the first."""
        self._shown = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._pace = Pace(trainer.max_steps, self._evaluate_every)
        self._every_s = _EVERY_S if sys.stderr.isatty() else _EVERY_S_ELSEWHERE
        self._next = 0.0
        form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps{postfix}"
        self._bar = tqdm(
            desc="training", total=trainer.max_steps, initial=trainer.global_step, bar_format=form,
            dynamic_ncols=True, disable=not self._shown,
        )  # fmt: skip

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        self._pace.stepped(trainer.global_step, now, time.thread_time())
        if self._shown and (now >= self._next or trainer.global_step == trainer.max_steps):
            self._next = now + self._every_s
            self._show(trainer.global_step, self.get_metrics(trainer, pl_module))

    def _show(self, step: int, metrics: dict[str, Any]) -> None:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        step_s = self._pace.step_s
        told = [
            f"{1 / step_s:.2g} steps/s" if step_s else "",
            self._pace.left(),
            *(f"{name} {value:.3g}" for name, value in metrics.items() if isinstance(value, float)),
            other_work(self._pace.kept, load, os.cpu_count() or 1),
        ]
        self._bar.n = step
        self._bar.set_postfix_str(", ".join(filter(None, told)))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluation_began = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._pace.evaluated(time.monotonic() - self._evaluation_began)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if self._bar is not None:
            self._bar.close()
