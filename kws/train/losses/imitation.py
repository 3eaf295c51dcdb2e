"""The loss of a small model that learns from a large one: at each frame it should give
the posteriors that its teacher gives.

This is knowledge distillation, frame by frame (Hinton et al. 2015, "Distilling the
knowledge in a neural network", arXiv 1503.02531). CTC leaves it to a model in which
frame a phone has its peak; a student of the same frames learns its teacher's choice,
and which phones are nearly as likely. The teacher hears the speech before noise, rooms
and telephones are put around it, and the student hears it with them.

Shapes: B rows, S samples, T frames of 40 ms, V tokens.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from kws.arrays import Float32Array
from kws.data.scenes.dataset import Batch, SceneDataset
from kws.errors import KwsError
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import find
from kws.train.teacher.whisper import load_teacher


class TaughtScenes(Dataset[Batch]):
    """The batches of `scenes` with `taught` (B, T, V) beside their pcm: the teacher's
    log-posteriors of the same speech, in half precision.

    model: a model file, or the name of one that ships; of two passes the first teaches.
    tokens: those of the student. Raises KwsError where the teacher has others.
    """

    def __init__(self, scenes: SceneDataset, model: str, tokens: Sequence[str]) -> None:
        self.scenes = scenes.with_dry()
        self._path = find_teacher(model, tokens)
        self._model: OnnxModel | None = None  # opened in the process that makes batches

    def __getitem__(self, step: int) -> Batch:
        batch = self.scenes[step]
        if self._model is None:
            self._model = OnnxModel.load(self._path)
        heard = log_posteriors(self._model, batch.pop("dry").numpy())
        return batch | {"taught": torch.from_numpy(heard.astype(np.float16))}

    def identity(self) -> str:
        """A digest of everything that determines the batches."""
        teacher = hashlib.blake2b(self._path.read_bytes(), digest_size=8).hexdigest()
        return f"{self.scenes.identity()} taught by {teacher}"


def hears_clips(teacher: str) -> bool:
    """Whether a recipe's `teacher` is a checkpoint of `kws train phone_teacher`, which
    hears each clip once (kws.train.teacher.targets), and not a model file, which hears
    every row.
    """
    return Path(teacher).suffix == ".ckpt"


def find_teacher(model: str, tokens: Sequence[str]) -> Path:
    """The file of a teacher, as `TaughtScenes` takes it, or a checkpoint of one."""
    if hears_clips(model):
        path, known = Path(model), load_teacher(Path(model)).config.tokens
    else:
        path = find(model)
        known = OnnxModel.load(path).info.tokens
    if known != tuple(tokens):
        raise KwsError(f"teacher={model} tells apart other tokens than the model that should learn from it")
    return path


def log_posteriors(model: OnnxModel, pcm: Float32Array) -> Float32Array:
    """The log-posteriors (B, T, V) of a model's first pass for (B, S) samples, S a
    multiple of a frame.
    """
    info = model.info
    frames = pcm.shape[1] // info.frame_samples
    together = info.chunks_per_call * info.chunk_samples
    pcm = np.pad(pcm, ((0, 0), (0, -pcm.shape[1] % info.chunk_samples)))
    states, heard = model.init_states(len(pcm)), []
    for at in range(0, pcm.shape[1], together):
        output = model.run(np.ascontiguousarray(pcm[:, at : at + together]), states)
        states = output.states
        heard.append(output.log_posteriors)
    return np.concatenate(heard, axis=1)[:, :frames]


def imitation_loss(log_posteriors: Tensor, taught: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of (B, T, V) log-posteriors from those of the
    teacher, added up over all frames.
    """
    taught = taught.to(log_posteriors.dtype)
    return (taught.exp() * (taught - log_posteriors)).sum()
