"""Pictures of the lab: attention maps, quantities by block, quantities against a length. For a README of 900 pixels.

Shapes: H heads, T frames of 40 ms, M mel bands, W window.

A mixer has the same colour and marker in every figure (colours: Okabe and Ito's, which the colour-blind tell apart,
https://jfly.uni-koeln.de/color/); lines of mixers that share both differ in their dashes. `save` of
kws.evaluate.report.page.figures writes a figure as PNG and SVG.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kws.errors import KwsError, require
from kws.evaluate.report.page.figures import GREY, GRID, panel_grid, plain
from kws.lab.attention.measure import Row
from kws.model.mixers.attention import Observation

Floats = npt.NDArray[np.float64]

FRAME_S = 0.04
_MEL_FRAMES = 4  # in one frame
_BRIGHTEST = 0.995  # quantile of the weights at the end of the colours
_LEVELS = (0.02, 0.995)  # quantiles of the mel at the ends of the greys
_LATER = "how much later the frame that looks is, s"
_BLUE, _VERMILION, _GREEN, _ORANGE, _SKY, _PURPLE, _BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000"
)  # fmt: skip
_LOOKS = {  # of a base or an alias: colour, marker
    "sa": (_BLUE, "o"),
    "xsa": (_VERMILION, "s"),
    "lstm": (_GREEN, "^"),
    "bilstm": (_GREEN, "v"),
    "bilstm_chunked": (_GREEN, "<"),
    "gru": (_GREEN, ">"),
    "approximate": (_ORANGE, "D"),
    "nonapproximate": (_ORANGE, "d"),
    "random": (_SKY, "P"),
    "fixed": (_SKY, "X"),
    "static": (_SKY, "*"),
    "lowrank": (_PURPLE, "h"),
    "memory": (_PURPLE, "p"),
    "none": (GREY, "."),
}
_HYBRID = (_BLACK, "D")
_DASHES = ("-", "--", ":", "-.")
_DODGE = 0.012  # of the width of a panel, between the points of two curves at one place
_MOST_TICKS = 9
_LEGEND = 6  # names in one line of a legend, at most
TITLES = {
    "cosine": "cos(y, v)",
    "cosine_centred": "cos(y, v), mean value taken away",
    "kept": "energy that the exclusion leaves",
    "own": "attention to the own frame",
    "elsewhere": "attention to no frame",
    "entropy": "entropy, nats",
    "entropy_share": "entropy, share of uniform",
    "distance": "mean distance, frames",
    "column": "most attention to one key",
    "column_over_uniform": "most attention to one key / uniform",
    "sink_share": "share of the most seen key",
    "sink_keys": "share of keys that are sinks",
    "first_share": "attention to the first frame",
    "first_over_uniform": "attention to the first frame / uniform",
    "sound_correlation": "correlation: attention, loudness",
}


@dataclass(frozen=True)
class Curve:
    """One line of a figure: a middle and an interval at each x, all of one length.

    mixer: the pattern that gives the line its colour and marker. label: its name in the legend.
    """

    mixer: str
    label: str
    x: Sequence[float]
    middle: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def look(mixer: str) -> tuple[str, str]:
    """Colour and marker of a mixer pattern; that of hybrids (several mixers) is one for all."""
    specs = {spec.strip() for spec in mixer.split(",")}
    if len(specs) > 1:
        return _HYBRID
    base, *switches = specs.pop().split("+")
    return _LOOKS.get("xsa" if base == "sa" and "xsa" in switches else base, _HYBRID)


def draw_layers(models: Mapping[str, Sequence[Sequence[Row]]], quantities: Sequence[str]) -> Any:
    """Quantities by block, one panel each; returns a matplotlib Figure.

    models: mixer pattern -> the rows of `diagnose` of each of its seeds, of which the mean over heads is drawn: the
    mean over seeds, with a bar from the least to the most of them. Quantities that no model has are left out; KwsError
    where nothing is left.
    """
    panels = {}
    for quantity in quantities:
        curves = [_by_block(mixer, seeds, quantity) for mixer, seeds in models.items()]
        if any(curve.x for curve in curves):
            panels[TITLES[quantity]] = [curve for curve in curves if curve.x]
    return draw_curves(panels, "block", "")


def _by_block(mixer: str, seeds: Sequence[Sequence[Row]], quantity: str) -> Curve:
    found: dict[int, list[float]] = {}
    for rows in seeds:
        for row in rows:
            if row.quantity == quantity and row.head is None:
                found.setdefault(row.block + 1, []).append(row.mean)
    blocks = sorted(found)
    values = [found[block] for block in blocks]
    middle = [float(np.mean(each)) for each in values]
    return Curve(mixer, mixer, blocks, middle, [min(each) for each in values], [max(each) for each in values])


def draw_curves(
    panels: Mapping[str, Sequence[Curve]], x_name: str, y_name: str, log_x: bool = False, log_y: bool = False
) -> Any:
    """Panels (title -> curves) of a quantity with intervals, against a length or a place; returns a matplotlib Figure.

    All panels share one legend, in which a label stands once: what has the same label has the same mixer.
    Raises KwsError where there is nothing to draw.
    """
    if not any(panels.values()):
        raise KwsError("there is nothing to draw: no model has what was asked for")
    labels = list(dict.fromkeys((curve.label, curve.mixer) for curves in panels.values() for curve in curves))
    styles = _styles(labels)
    drawn, grid = panel_grid(len(panels), 3.1, 2.4, alone=(6.4, 3.6))
    handles: dict[str, Any] = {}
    for ax, (title, curves) in zip(grid, panels.items(), strict=False):
        _scale_x(ax, sorted({x for curve in curves for x in curve.x}), log_x)
        for number, curve in enumerate(curves):
            shift = (number - (len(curves) - 1) / 2) * _DODGE
            handles.setdefault(curve.label, _draw_curve(ax, curve, shift, log_x, styles[curve.label]))
        if log_y:
            _log_y(ax)
        ax.set_title(plain(title), fontsize=9, loc="left")
        ax.grid(axis="y", color=GRID, linewidth=0.6)
        ax.set_axisbelow(True)
    drawn.supxlabel(x_name, fontsize=9)
    drawn.supylabel(y_name, fontsize=9)
    names = [plain(name) for name in handles]
    columns = -(-len(names) // -(-len(names) // _LEGEND))
    options = {"ncols": columns, "frameon": False, "fontsize": 9, "handlelength": 2.6}
    drawn.legend(list(handles.values()), names, loc="outside upper center", **options)
    return drawn


def _styles(labels: Sequence[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """How the line of each (label, mixer) looks; those of mixers of whole segments are never solid."""
    styles: dict[str, dict[str, str]] = {}
    for label, mixer in labels:
        colour, marker = look(mixer)
        taken = [
            style["linestyle"] for style in styles.values() if (style["color"], style["marker"]) == (colour, marker)
        ]
        fit = _DASHES[1:] if "+full" in mixer else _DASHES
        free = [dashes for dashes in fit if dashes not in taken] or fit
        styles[label] = {"color": colour, "marker": marker, "linestyle": free[0]}
    return styles


def _draw_curve(ax: Any, curve: Curve, shift: float, log_x: bool, style: Mapping[str, str]) -> Any:
    """One curve, its points moved aside by `shift` widths of the panel so that intervals do not hide each other."""
    left, right = ax.get_xlim()
    x = np.asarray(curve.x, float)
    x = x * (right / left) ** shift if log_x else x + (right - left) * shift
    middle = np.asarray(curve.middle)
    whiskers = [middle - np.asarray(curve.low), np.asarray(curve.high) - middle]
    return ax.errorbar(
        x, middle, yerr=np.maximum(whiskers, 0), markersize=4.5, linewidth=1.4, elinewidth=1, capsize=2, **style
    )


def _scale_x(ax: Any, places: Sequence[float], log_x: bool) -> None:
    """An axis that holds these places with a margin, and names them where they are few."""
    if log_x:
        ax.set_xscale("log")
        around = (places[-1] / places[0]) ** 0.08 if places[-1] > places[0] else 2.0
        ax.set_xlim(places[0] / around, places[-1] * around)
    else:
        around = 0.1 * (places[-1] - places[0]) or 0.5
        ax.set_xlim(places[0] - around, places[-1] + around)
    if len(places) <= _MOST_TICKS:
        ax.set_xticks(places, [f"{place:g}" for place in places])
        ax.minorticks_off()


def _log_y(ax: Any) -> None:
    """A log axis with plain numbers: 1, 2 and 5 of each decade, or powers of ten where there are many."""
    ticker = require("matplotlib.ticker", extra="score")
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())


def draw_attention(observed: Mapping[int, Observation], mel: Tensor, title: str = "") -> Any:
    """The attention of all blocks and heads in one utterance under its spectrogram; returns a matplotlib Figure.

    observed: of attention.measure.observe, one utterance. mel: its normalised mel (1, 4 T, M). Across stands the frame
    that is looked at, in every panel, so that a sink is a vertical line under its sound. Upwards stands the frame that
    looks: by its time where attention sees the whole segment, by how much later it is where it is causal; there a
    level line is a habit of looking so far back, and the lowest one the own frame. Grey: nobody looks from there.
    Colours are on a square-root scale that all panels share and end at the 99.5th percentile.
    Raises KwsError where no block attends.
    """
    if not observed:
        raise KwsError("there is no attention to draw: no block of this model attends")
    maps = {block: _by_lateness(one.weights[0].double().cpu().numpy()) for block, one in observed.items()}
    heads = max(len(each) for each in maps.values())
    most = max(float(np.nanquantile(each, _BRIGHTEST)) for each in maps.values())
    figures, colors = (require(f"matplotlib.{name}", extra="score") for name in ("figure", "colors"))
    drawn = figures.Figure((1.0 + 2.15 * heads, 1.1 + 1.5 * len(maps)), layout="constrained")
    ratios = [0.4] + [1.0] * len(maps)
    grid = drawn.subplots(len(maps) + 1, heads, sharex=True, sharey="row", squeeze=False, height_ratios=ratios)
    seconds = mel.shape[1] * FRAME_S / _MEL_FRAMES
    options = {"cmap": "magma_r", "norm": colors.PowerNorm(0.5, 0, most), "interpolation": "nearest"}
    for row, (block, each) in zip(grid[1:], maps.items(), strict=True):
        for ax, weights in zip(row, each, strict=False):
            ax.set_facecolor("#e4e2de")
            image = _show(ax, weights, (0, seconds, 0, len(weights) * FRAME_S), options)
        row[0].set_ylabel(f"block {block + 1}", fontsize=9)
    bands = mel[0].T.double().cpu().numpy()
    low, high = np.quantile(bands, _LEVELS)
    for head, ax in enumerate(grid[0]):
        _show(ax, bands, (0, seconds, 0, len(bands)), {"cmap": "Greys", "vmin": low, "vmax": high})
        ax.set_yticks([])
        ax.set_title(f"head {head + 1}", fontsize=9)
    bar = drawn.colorbar(image, ax=grid[1:], extend="max", aspect=30, pad=0.01)
    bar.set_label("attention", fontsize=9)
    for ax in [*grid.ravel(), bar.ax]:
        ax.tick_params(labelsize=8, colors=GREY)
    drawn.supxlabel("time of the frame that is looked at, s", fontsize=9)
    drawn.supylabel(_LATER if _is_causal(observed) else "time of the frame that looks, s", fontsize=9)
    drawn.suptitle(plain(title), fontsize=10)
    return drawn


def _show(ax: Any, values: Floats, extent: tuple[float, float, float, float], options: Mapping[str, Any]) -> Any:
    return ax.imshow(values, origin="lower", aspect="auto", extent=extent, **options)


def _is_causal(observed: Mapping[int, Observation]) -> bool:
    return not any(bool(one.weights.triu(1).any()) for one in observed.values())


def _by_lateness(a: Floats) -> Floats:
    """(H, T, T) -> (H, farthest look, T): a[:, j + w, j] at (w, j), NaN past the end; as it is if not causal."""
    frames = a.shape[-1]
    if np.triu(a, 1).any():
        return a
    looks = np.flatnonzero([np.diagonal(a, -w, 1, 2).any() for w in range(frames)])
    late = np.full((len(a), int(looks[-1]) + 1 if len(looks) else 1, frames), np.nan)
    for w in range(late.shape[1]):
        late[:, w, : frames - w] = np.diagonal(a, -w, 1, 2)
    return late
