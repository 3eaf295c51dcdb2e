"""Measures the smoothness of a finished run, before and after its training, and keeps
it as smoothness-*.json in the run's folder.

Shapes: F hops of 10 ms, M mel bands.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kws.lab.smoothness.measure import Smoothness, resume
from kws.lab.sounds import KINDS, Sounds
from kws.lab.study import Study
from kws.model.acoustic import AcousticModel
from kws.model.checkpoint import load_checkpoint
from kws.model.encoder import Subsampling
from kws.train.initial import initial_model
from kws.train.recipe import Recipe


def measure_run(recipe: Recipe, study: Study, sounds: Sounds) -> tuple[Smoothness, Smoothness]:
    """The smoothness of a run before its first step and after its last, in
    smoothness-{initial,trained}.json.
    """
    output, sizes = Path(recipe.run.output), study.sizes
    trained = load_checkpoint(output / "model.ckpt").model
    initial = initial_model(recipe).eval()
    initial.set_normalisation(trained.mean, 1 / trained.scale)
    mels = excerpts(sounds, max(sizes.frames), study.excerpts)
    return (
        resume(output / "smoothness-initial.json", initial, _normalised(initial, mels), sizes, _rng(recipe)),
        resume(output / "smoothness-trained.json", trained, _normalised(trained, mels), sizes, _rng(recipe)),
    )


def excerpts(sounds: Sounds, frames: int, each: int) -> list[Tensor]:
    """Mel energies (F, M) of `each` pieces of keywords, of speech and of noise, of
    `frames` frames of 40 ms.

    Recordings of a kind are put end to end until a piece is long enough; pieces that
    would be too short are left out.
    """
    wanted = Subsampling.stride * frames
    found = []
    for kind in KINDS:
        parts = (sounds.features(i) for i in sounds.clean(kind))
        for _ in range(each):
            piece: list[Tensor] = []
            while sum(map(len, piece)) < wanted and (part := next(parts, None)) is not None:
                piece.append(part)
            if sum(map(len, piece)) >= wanted:
                found.append(torch.cat(piece)[:wanted])
    return found


def _normalised(model: AcousticModel, mels: list[Tensor]) -> list[Tensor]:
    """(1, F, M) each, by the model's constants."""
    return [model.normalised(mel)[None] for mel in mels]


def _rng(recipe: Recipe) -> np.random.Generator:
    return np.random.default_rng(recipe.optim.seed)
