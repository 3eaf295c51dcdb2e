"""The part of a study's report about smoothness: a table, a figure, and the link to
misses in noise.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kws.evaluate.replay.recording import CLEAN
from kws.evaluate.report.page.figures import save
from kws.lab.curves import Curve, draw_curves
from kws.lab.smoothness.growth import Exponent, correlation, exponents, spreads
from kws.lab.smoothness.measure import Smoothness, load
from kws.lab.study import Cell, Places, Study
from kws.lab.table import Run, SpokenKeywords, row, runs_of
from kws.lab.tasks import folder

STATES = ("initial", "trained")
_COLUMNS = (
    "exponent of T: G",
    "exponent of T: mixers, by block",
    "growth by block",
    "last mixer / own bound",
    "/ general bound",
    "random noise",
    "adversarial",
)


def smoothness_report(study: Study, places: Places, spoken: SpokenKeywords, output: Path) -> str:
    """The table of local constants and their growth, in Markdown, and their correlation
    with the keywords lost in noise.

    Writes smoothness.{png,svg} into `output`. Returns "" where nothing was measured.
    """
    measured = {
        (name, state): [model for _, model in _measured(study, places, study.cells[cell], state)]
        for name, cell in study.smoothed
        if cell in study.cells
        for state in STATES
    }
    measured = {key: models for key, models in measured.items() if models}
    if not measured:
        return ""
    lengths, rng = study.sizes.frames, np.random.default_rng(0)
    head = ["model", "state", *(f"G at {n} frames" for n in _shown(lengths)), *_COLUMNS]
    lines = ["### Smoothness: medians (quartiles) over sounds and seeds, slopes with 95 % intervals", "", row(head)]
    lines.append(row(["---"] * len(head)))
    lines += [row([name, state, *_columns(models, lengths, rng)]) for (name, state), models in measured.items()]
    panels: dict[str, list[Curve]] = {}
    for (name, state), models in measured.items():
        family, _, context = name.partition(" ")
        panels.setdefault(f"{state}: {context}", []).append(_curve(family, models, lengths))
    drawn = draw_curves(panels, "frames of 40 ms", "local constant of G", log_x=True, log_y=True)
    save(drawn, output / "smoothness")
    return "\n".join([*lines, "", *_links(study, places, spoken, rng)])


def _shown(lengths: Sequence[int]) -> tuple[int, int, int]:
    return lengths[0], lengths[len(lengths) // 2], lengths[-1]


def _columns(models: Sequence[Smoothness], lengths: Sequence[int], rng: np.random.Generator) -> list[str]:
    """The numbers of one kind of model, as _COLUMNS names them, behind the constants of
    G.
    """
    found = {(s.part, s.depth, s.frames, s.quantity): s for s in spreads(models)}
    depth, longest = max(key[1] for key in found), lengths[-1]
    slopes = exponents(models, rng)
    whole = [found["model", depth, n, "constant"] for n in _shown(lengths)]
    bounds = [found.get(("mixer", depth, longest, quantity)) for quantity in ("to_bound", "to_general_bound")]
    return [
        *(f"{s.median:.2f} ({s.low:.2f} to {s.high:.2f})" for s in whole),
        *(_slope(s) for s in slopes if s.part == "model"),
        "; ".join(_slope(s) for s in slopes if s.part == "mixer"),
        next((_slope(s) for s in slopes if s.against == "depth" and s.frames == longest), ""),  # none of one block
        *(f"{s.median:.4f}" if s else "" for s in bounds),
        *(f"{found['model', depth, longest, quantity].median:.2f}" for quantity in ("noise", "adversarial")),
    ]


def _curve(family: str, models: Sequence[Smoothness], lengths: Sequence[int]) -> Curve:
    found = {s.frames: s for s in spreads(models) if (s.part, s.quantity) == ("model", "constant")}
    middle, low, high = ([getattr(found[n], name) for n in lengths] for name in ("median", "low", "high"))
    return Curve(models[0].mixer, family, lengths, middle, low, high)


def _slope(found: Exponent) -> str:
    return f"{found.slope:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _measured(study: Study, places: Places, cell: Cell, state: str) -> list[tuple[int, Smoothness]]:
    paths = {
        seed: folder(places, cell) / f"seed-{seed}" / f"smoothness-{state}.json" for seed in study.seeds(cell.name)
    }
    return [(seed, load(path)) for seed, path in paths.items() if path.exists()]


def _links(study: Study, places: Places, spoken: SpokenKeywords, rng: np.random.Generator) -> Iterable[str]:
    """Correlations over all trained models of the constant of G with the keywords lost
    in noise.
    """
    constants: list[float] = []
    lost: dict[str, list[float]] = {condition: [] for condition in study.conditions if condition != CLEAN}
    point, (_, middle, _) = len(study.fa_per_hour) - 1, _shown(study.sizes.frames)
    for name in dict.fromkeys(cell for _, cell in study.smoothed if cell in study.cells):
        cell = study.cells[name]
        runs = {run.seed: run for run in runs_of(study, places, cell)}
        for seed, model in _measured(study, places, cell, "trained"):
            if seed in runs:
                values = [c.value for c in model.constants if c.part == "model" and c.frames == middle]
                constants.append(float(np.median(values)))
                for condition, found in lost.items():
                    found.append(_lost(spoken, runs[seed], point, condition))
    for condition, values in lost.items():
        if len(constants) >= 4:
            link = correlation(constants, values, rng)
            rho = f"{link.rho:+.2f} ({link.low:+.2f} to {link.high:+.2f})"
            yield (
                f"Rank correlation, over {link.models} models, of G's constant at {middle} frames with "
                f"the share of keywords lost from clean to {condition}: {rho}."
            )


def _lost(spoken: SpokenKeywords, run: Run, point: int, condition: str) -> float:
    return float(spoken.missed([run], point, condition).mean() - spoken.missed([run], point, CLEAN).mean())
