"""Batches as features, kept in files: what many trainings on the same data compute
once.

A batch is a function of the scenes, their seed and the step alone, so that every
training with the same three meets the same features, whether it computes them or finds
them.

Shapes: B rows, S samples, F frames of 10 ms, M mel bands.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from kws.data.scenes import Batch, SceneDataset
from kws.model.frontend import LogMel


class FeatureDataset(Dataset[Batch]):
    """The batches of `scenes` with mel (B, F, M), log energies before normalisation, in
    place of pcm (B, S).

    They are kept in a folder below `folder` whose name depends on all that determines
    them. Half precision, as kept, is what every training gets, the first one too: 0.1 %
    of an energy, a thousandth of what noise does to it.
    """

    def __init__(self, scenes: SceneDataset, mels: int, folder: Path) -> None:
        self.scenes = scenes
        self.frontend = LogMel(mels)
        self.folder = folder / hashlib.blake2b(f"{mels} {scenes.identity()}".encode(), digest_size=8).hexdigest()

    def __getitem__(self, step: int) -> Batch:
        with np.load(self.keep(step)) as kept:
            batch = {name: torch.from_numpy(kept[name]) for name in kept.files}
        return batch | {"mel": batch["mel"].float()}

    def keep(self, step: int) -> Path:
        """The file of a step's features, which is made when it is not there."""
        path = self.folder / f"{step:06d}.npz"
        if not path.exists():
            self._make(step, path)
        return path

    def _make(self, step: int, path: Path) -> None:
        batch = self.scenes[step]
        pcm = batch.pop("pcm")
        with torch.no_grad():
            mel, _ = self.frontend(pcm, self.frontend.init_state(len(pcm)))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")  # others may be making the same
        with partial.open("wb") as file:
            kept: dict[str, Any] = {name: value.numpy() for name, value in batch.items()}
            np.savez(file, mel=mel.half().numpy(), **kept)
        partial.replace(path)
