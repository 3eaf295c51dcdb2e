"""Measures the attention of a finished run once, and keeps it as diagnosis.json in the
run's folder.
"""

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from kws.files import read_json, write_text
from kws.lab.attention.measure import Row, diagnose
from kws.lab.sounds import Sounds
from kws.lab.study import Study
from kws.model.checkpoint import load_checkpoint
from kws.train.recipe import Recipe

_OBSERVED = 24  # recordings of each kind


def observe_run(recipe: Recipe, study: Study, sounds: Sounds) -> list[Row]:
    """The attention of a trained run in keywords and in speech: read from
    diagnosis.json, or measured.

    Only frames count that see the whole of the study's own window, so that the same
    frames count in all cells.
    """
    path = Path(recipe.run.output) / "diagnosis.json"
    if (rows := read_rows(path)) is None:
        model = load_checkpoint(Path(recipe.run.output) / "model.ckpt").model
        mels = [model.normalised(sounds.features(i))[None] for i in observed_recordings(sounds)]
        rows = diagnose(model, mels, first=study.recipe.task.model.window_frames)
        write_text(path, json.dumps([asdict(row) for row in rows]))
    return rows


def read_rows(path: Path) -> list[Row] | None:
    """Read the rows that `observe_run` kept at `path`; None where it kept none."""
    kept = read_json(path, list)
    return None if kept is None else [Row(**row) for row in kept]


def observed_recordings(sounds: Sounds) -> list[int]:
    """The numbers of the recordings that attention is observed in: keywords, then
    speech.
    """
    return [i for kind in ("keyword", "speech") for i in islice(sounds.clean(kind), _OBSERVED)]
