"""Ctrl-C and SIGTERM while Lightning trains: the training stops at a checkpoint, and
the caller learns how to go on.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl


@contextmanager
def interruptible(trainer: pl.Trainer, last: Path) -> Iterator[None]:
    """Runs `trainer.fit` inside, and turns Lightning's exit after Ctrl-C back into a
    KeyboardInterrupt, whose text names the checkpoint `last` to go on from.

    Lightning ignores Ctrl-C after the first; at the end of the block it is heard again.
    Every process but the first ends without a message.
    """
    before = signal.getsignal(signal.SIGINT)
    lightning = logging.getLogger("pytorch_lightning")
    level = lightning.level
    lightning.setLevel(logging.WARNING)  # what it says of an interruption is said below
    try:
        yield
    except SystemExit as error:
        stop = error.__context__
        if not isinstance(stop, KeyboardInterrupt):
            raise
        if not trainer.is_global_zero:
            raise
        raise type(stop)(f"the same command goes on from {last}" if last.exists() else "") from stop
    finally:
        lightning.setLevel(level)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


class OwnSigterm(pl.Callback):
    """Keeps the process's own handler of SIGTERM. Lightning's handler goes on to the
    end of the step, and waits for other processes that may be gone.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the handler back after Lightning has set its own."""
        if self.before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)
