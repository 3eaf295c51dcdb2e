"""Batches as features, kept in files: computed once for many trainings on the same
data.

A batch is a function of the scenes, their seed and the step alone, so that every
training with the same three meets the same features, whether it computes them or finds
them.

Shapes: B rows, S samples, F hops of 10 ms, M mel bands.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from kws.data.kept import read_kept
from kws.data.scenes.dataset import Batch
from kws.files import whole
from kws.model.config import AcousticConfig
from kws.model.level import make_frontend


class Scenes(Protocol):
    """Batches of sound whose identity is known: a `SceneDataset`, or one with more in
    its batches.
    """

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""

    def identity(self) -> str:
        """A digest of everything that determines the batches."""


class FeatureDataset(Dataset[Batch]):
    """The batches of `scenes` with mel (B, F, M), the frontend's energies before
    normalisation, in place of pcm (B, S).

    They are kept in a folder below `folder` whose name depends on everything that
    determines them. Every training gets them in the half precision of the file, the
    first one too: an error of 0.1 % of an energy, a thousandth of the effect of noise.
    """

    def __init__(self, scenes: Scenes, config: AcousticConfig, folder: Path) -> None:
        """config: of the model, whose frontend makes the features."""
        self.scenes = scenes
        self.frontend = make_frontend(config.mels, follow_level=config.follow_level, extend_band=config.extend_band)
        kind = f"{config.mels}{' levelled' * config.follow_level}{' extended' * config.extend_band} {scenes.identity()}"
        self.folder = folder / hashlib.blake2b(kind.encode(), digest_size=8).hexdigest()

    def __getitem__(self, step: int) -> Batch:
        batch = kept_batch(self._path(step), lambda: self._made(step))
        return batch | {"mel": batch["mel"].float()}

    def keep(self, step: int) -> Path:
        """The file of a step's features, which is made when it does not exist."""
        return keep_batch(self._path(step), lambda: self._made(step))

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:06d}.npz"

    def _made(self, step: int) -> Batch:
        batch = self.scenes[step]
        pcm = batch.pop("pcm")
        with torch.no_grad():
            mel, _ = self.frontend(pcm, self.frontend.init_state(len(pcm)))
        return batch | {"mel": mel.half()}


def keep_batch(path: Path, make: Callable[[], Batch]) -> Path:
    """The file of a batch, which is made when it does not exist. Other processes may be
    making the same file.
    """
    if not path.exists():
        _write(path, make())
    return path


def kept_batch(path: Path, make: Callable[[], Batch]) -> Batch:
    """A batch out of its file, which is made when it does not exist or is damaged."""
    batch = read_kept(path, _read)
    if batch is None:
        batch = make()
        _write(path, batch)
    return batch


def _read(path: Path) -> Batch:
    with np.load(path) as kept:
        return {name: torch.from_numpy(kept[name]) for name in kept.files}


def _write(path: Path, batch: Batch) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path, shared=True) as partial, partial.open("wb") as file:
        kept: dict[str, Any] = {name: value.numpy() for name, value in batch.items()}
        np.savez(file, **kept)
