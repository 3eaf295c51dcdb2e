"""The study that ships."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

from kws.lab.study import Places, load_study
from kws.lab.tasks import folder, search_seed
from kws.model.acoustic import AcousticModel
from kws.train.recipes.override import override


def test_shipped_study_names_cells_once_and_matches_parameters():
    study = load_study("mixers")
    assert search_seed(study) == 5 and len({folder(Places.below(Path("x")), c) for c in study.cells.values()}) == len(
        study.cells
    )
    sizes = {}
    for name, cell in study.cells.items():
        config = override(study.recipe, cell.changes).task.model
        assert config.width == study.recipe.task.model.width
        if config.window_frames == study.recipe.task.model.window_frames:
            sizes[name] = sum(p.numel() for p in AcousticModel(config).parameters())
    assert max(sizes.values()) / min(sizes.values()) < 1.02, sizes
