"""The figure of a group's context: misses against the length of the attention's
window.
"""

from pathlib import Path

import numpy as np

from kws.evaluate.count.intervals import crossed_bootstrap
from kws.evaluate.report.page.figures import save
from kws.lab.curves import Curve, draw_curves
from kws.lab.study import Group, Places, Study
from kws.lab.table import SpokenKeywords, runs_of
from kws.train.recipes.override import override

_FRAMES_PER_S = 25


def context_figure(study: Study, places: Places, group: Group, spoken: SpokenKeywords, output: Path) -> None:
    """Write context-GROUP.{png,svg} into `output`, for a group whose cells have three
    windows or more.
    """
    curves: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    windows = {cell.name: override(study.recipe, cell.changes).task.model for cell in group.cells}
    if len({config.window_frames for config in windows.values()}) < 3:
        return
    for cell in group.cells:
        runs, config = runs_of(study, places, cell), windows[cell.name]
        for condition in study.conditions if runs else ():
            missed = spoken.missed(runs, len(study.fa_per_hour) - 1, condition)
            low, high = crossed_bootstrap(missed, spoken.speakers, np.random.default_rng(0))
            place = (config.window_frames / _FRAMES_PER_S, 100 * missed.mean(), 100 * low, 100 * high)
            curves.setdefault(condition, {}).setdefault(config.mixer, []).append(place)
    panels = {
        condition: [Curve(mixer, mixer, *zip(*places, strict=True)) for mixer, places in found.items()]
        for condition, found in curves.items()
    }
    if panels:
        drawn = draw_curves(panels, "context, s", f"missed at {study.fa_per_hour[-1]:g} FA/h, %", log_x=True)
        save(drawn, output / f"context-{group.name}")
