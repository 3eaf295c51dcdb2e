"""What is looked at inside the models of a study: attention, and smoothness, each kept in the run's folder.

Shapes: F frames of 10 ms, M mel bands.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kws.evaluate.replay.recording import CLEAN, TestItem
from kws.lab.attention.measure import Row, diagnose
from kws.lab.smoothness.measure import Smoothness, resume
from kws.lab.sounds import Sounds
from kws.lab.study import Study
from kws.model.checkpoint import load_checkpoint
from kws.model.encoder import Subsampling
from kws.train.initial import initial_model
from kws.train.recipe import Recipe

_LOOKED_AT = 24  # recordings of each kind that attention is looked at in
_KINDS = ("keyword", "speech", "noise")


def observe(recipe: Recipe, study: Study, sounds: Sounds) -> list[Row]:
    """What the attention of a trained run does in keywords and in speech, from diagnosis.json where it is there.

    Frames count that see the whole of the study's own window, so that all cells are looked at in the same frames.
    """
    path = Path(recipe.run.output) / "diagnosis.json"
    if not path.exists():
        model = load_checkpoint(Path(recipe.run.output) / "model.ckpt").model
        mels = [model.normalised(sounds.features(i))[None] for i in looked_at(sounds)]
        rows = diagnose(model, mels, first=study.recipe.task.model.window_frames)
        path.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    return read_rows(path)


def read_rows(path: Path) -> list[Row]:
    """What `observe` kept."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def looked_at(sounds: Sounds) -> list[int]:
    """The recordings in which attention is looked at: keywords, then speech."""
    return [i for kind in _KINDS[:2] for i in islice(places_of(sounds, kind), _LOOKED_AT)]


def smooth(recipe: Recipe, study: Study, sounds: Sounds) -> tuple[Smoothness, Smoothness]:
    """How smooth a run is before its first step and after its last; in smoothness-{initial,trained}.json."""
    output, sizes = Path(recipe.run.output), study.sizes
    trained = load_checkpoint(output / "model.ckpt").model
    initial = initial_model(recipe).eval()
    initial.set_normalisation(trained.mean, 1 / trained.scale)
    mels = excerpts(sounds, max(sizes.frames), study.excerpts)
    return (
        resume(output / "smoothness-initial.json", initial, normalised(initial, mels), sizes, _rng(recipe)),
        resume(output / "smoothness-trained.json", trained, normalised(trained, mels), sizes, _rng(recipe)),
    )


def normalised(model: torch.nn.Module, mels: list[Tensor]) -> list[Tensor]:
    """(1, F, M) each, by the model's constants."""
    return [model.normalised(mel)[None] for mel in mels]  # type: ignore[operator]


def excerpts(sounds: Sounds, frames: int, each: int) -> list[Tensor]:
    """`each` pieces of `frames` 40 ms frames of keywords, of speech and of noise: recordings of a kind end to end."""
    wanted = Subsampling.stride * frames
    found = []
    for kind in _KINDS:
        parts = (sounds.features(i) for i in places_of(sounds, kind))
        for _ in range(each):
            piece: list[Tensor] = []
            while sum(map(len, piece)) < wanted and (part := next(parts, None)) is not None:
                piece.append(part)
            if sum(map(len, piece)) >= wanted:
                found.append(torch.cat(piece)[:wanted])
    return found


def places_of(sounds: Sounds, kind: str) -> Iterator[int]:
    """The clean recordings of a kind, those of speech from the longest down."""
    found = [i for i, source in enumerate(sounds.sources) if source.condition == CLEAN and _kind(source) == kind]
    return iter(sorted(found, key=lambda i: -sounds.samples[i]) if kind == "speech" else found)


def _kind(source: TestItem) -> str:
    if source.role == "positive":
        return "keyword"
    return "speech" if any(label.speaker for label in source.labels) else "noise"


def _rng(recipe: Recipe) -> np.random.Generator:
    return np.random.default_rng(recipe.optim.seed)
