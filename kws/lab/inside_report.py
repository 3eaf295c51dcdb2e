"""Tables and figures of what lies inside a study's models: attention, smoothness, and what context is worth."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kws.evaluate.count.intervals import crossed_bootstrap
from kws.evaluate.replay.recording import CLEAN
from kws.evaluate.report.page.figures import save
from kws.lab import figures
from kws.lab.attention import measure
from kws.lab.probes import looked_at, read_rows
from kws.lab.smoothness.growth import Exponent, correlation, exponents, spreads
from kws.lab.smoothness.measure import Smoothness, load
from kws.lab.sounds import Sounds
from kws.lab.study import Cell, Group, Places, Study
from kws.lab.table import Run, Said, row, runs_of
from kws.lab.tasks import folder
from kws.model.checkpoint import load_checkpoint
from kws.train.override import override

STATES = ("initial", "trained")
_QUANTITIES = ("cosine", "cosine_centred", "kept", "own", "entropy_share", "column_over_uniform", "sink_keys")
_FRAMES_PER_S = 25
_COLUMNS = (
    "exponent of n: G",
    "exponent of n: mixers, by block",
    "growth by block",
    "last mixer / own bound",
    "/ general bound",
    "random noise",
    "adversarial",
)


def write_inside(study: Study, places: Places, sounds: Sounds, output: Path) -> str:
    """Writes what there is as figures into `output`; returns the tables in Markdown."""
    parts = [attention(study, places, sounds, output), smoothness(study, places, sounds, output)]
    for group in study.groups:
        context(study, places, group, Said(study, sounds), output)
    return "\n\n".join(part for part in parts if part)


def attention(study: Study, places: Places, sounds: Sounds, output: Path) -> str:
    """A table and a figure of the quantities of `kws.lab.attention.measure`, and maps of one keyword for each cell."""
    found = {name: _diagnoses(study, places, study.cells[name]) for name in study.observed if name in study.cells}
    found = {name: seeds for name, seeds in found.items() if seeds}
    if not found:
        return ""
    save(figures.draw_layers(found, _QUANTITIES), output / "attention")
    head = ["cell", "block", *(figures.TITLES[quantity] for quantity in _QUANTITIES)]
    lines = ["### Attention, mean over heads: mean over seeds (least to most)", "", row(head), row(["---"] * len(head))]
    for name, seeds in found.items():
        blocks = sorted({r.block for r in seeds[0]})
        for block in blocks:
            values = [
                [r.mean for rows in seeds for r in rows if (r.block, r.head, r.quantity) == (block, None, quantity)]
                for quantity in _QUANTITIES
            ]
            lines.append(row([name, str(block + 1), *map(_range, values)]))
        model = load_checkpoint(folder(places, study.cells[name]) / "seed-0" / "model.ckpt").model
        mel = model.normalised(sounds.features(looked_at(sounds)[0]))[None]
        drawn = figures.draw_attention(measure.observe(model, mel), mel, name)
        save(drawn, output / f"map-{folder(places, study.cells[name]).name}")
    return "\n".join(lines)


def _diagnoses(study: Study, places: Places, cell: Cell) -> list[list[measure.Row]]:
    paths = [folder(places, cell) / f"seed-{seed}" / "diagnosis.json" for seed in study.seeds(cell.name)]
    return [read_rows(path) for path in paths if path.exists()]


def _range(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""


def smoothness(study: Study, places: Places, sounds: Sounds, output: Path) -> str:
    """A table of local constants and their growth, a figure, and their correlation with what noise costs."""
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
    panels: dict[str, list[figures.Curve]] = {}
    for (name, state), models in measured.items():
        family, _, context = name.partition(" ")
        panels.setdefault(f"{state}: {context}", []).append(_curve(family, models, lengths))
    drawn = figures.draw_curves(panels, "frames of 40 ms", "local constant of G", log_x=True, log_y=True)
    save(drawn, output / "smoothness")
    return "\n".join([*lines, "", *_links(study, places, Said(study, sounds), rng)])


def _shown(lengths: Sequence[int]) -> tuple[int, int, int]:
    return lengths[0], lengths[len(lengths) // 2], lengths[-1]


def _columns(models: Sequence[Smoothness], lengths: Sequence[int], rng: np.random.Generator) -> list[str]:
    """The numbers of one kind of model, as _COLUMNS names them, behind the constants of G."""
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


def _curve(family: str, models: Sequence[Smoothness], lengths: Sequence[int]) -> figures.Curve:
    found = {s.frames: s for s in spreads(models) if (s.part, s.quantity) == ("model", "constant")}
    middle, low, high = ([getattr(found[n], name) for n in lengths] for name in ("median", "low", "high"))
    return figures.Curve(models[0].mixer, family, lengths, middle, low, high)


def _slope(found: Exponent) -> str:
    return f"{found.slope:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _measured(study: Study, places: Places, cell: Cell, state: str) -> list[tuple[int, Smoothness]]:
    paths = {
        seed: folder(places, cell) / f"seed-{seed}" / f"smoothness-{state}.json" for seed in study.seeds(cell.name)
    }
    return [(seed, load(path)) for seed, path in paths.items() if path.exists()]


def _links(study: Study, places: Places, said: Said, rng: np.random.Generator) -> Iterable[str]:
    """Correlations over all trained models of the constant of G with the keywords lost in noise."""
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
                    found.append(_lost(said, runs[seed], point, condition))
    for condition, values in lost.items():
        if len(constants) >= 4:
            link = correlation(constants, values, rng)
            rho = f"{link.rho:+.2f} ({link.low:+.2f} to {link.high:+.2f})"
            yield (
                f"Rank correlation, over {link.models} models, of G's constant at {middle} frames with "
                f"the share of keywords lost from clean to {condition}: {rho}."
            )


def _lost(said: Said, run: Run, point: int, condition: str) -> float:
    return float(said.missed([run], point, condition).mean() - said.missed([run], point, CLEAN).mean())


def context(study: Study, places: Places, group: Group, said: Said, output: Path) -> None:
    """A figure of misses against the context of attention, for a group whose cells differ in it."""
    curves: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    windows = {cell.name: override(study.recipe, cell.changes).task.model for cell in group.cells}
    if len({config.window_frames for config in windows.values()}) < 3:
        return
    for cell in group.cells:
        runs, config = runs_of(study, places, cell), windows[cell.name]
        for condition in study.conditions if runs else ():
            missed = said.missed(runs, len(study.fa_per_hour) - 1, condition)
            low, high = crossed_bootstrap(missed, said.speakers, np.random.default_rng(0))
            place = (config.window_frames / _FRAMES_PER_S, 100 * missed.mean(), 100 * low, 100 * high)
            curves.setdefault(condition, {}).setdefault(config.mixer, []).append(place)
    panels = {
        condition: [figures.Curve(mixer, mixer, *zip(*places, strict=True)) for mixer, places in found.items()]
        for condition, found in curves.items()
    }
    if panels:
        drawn = figures.draw_curves(panels, "context, s", f"missed at {study.fa_per_hour[-1]:g} FA/h, %", log_x=True)
        save(drawn, output / f"context-{group.name}")
