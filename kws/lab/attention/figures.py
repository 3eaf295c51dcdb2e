"""Figures of attention: its quantities by block, and maps of one utterance.

Shapes: H heads, T frames of 40 ms, M mel bands.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from kws.arrays import Float64Array
from kws.errors import KwsError, require
from kws.evaluate.report.page.figures import GREY, plain
from kws.lab.attention.measure import Row
from kws.lab.curves import Curve, draw_curves
from kws.model.encoder import FRAME_SAMPLES, Subsampling
from kws.model.mixers.attention import Observation
from kws.units import SAMPLE_RATE

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
_BRIGHTEST = 0.995  # quantile of the weights at the end of the colours
_LEVELS = (0.02, 0.995)  # quantiles of the mel at the ends of the greys
_LATER = "how much later the frame that looks is, s"
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


def draw_layers(models: Mapping[str, Sequence[Sequence[Row]]], quantities: Sequence[str]) -> Any:
    """Quantities by block, one panel each; returns a matplotlib Figure.

    models: mixer pattern -> the rows of `diagnose` of each of its seeds. Of each block
    the mean over heads is drawn: its mean over seeds, with a bar from the least to the
    most of them. Quantities that no model has are left out. Raises KwsError where
    nothing is left.
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


def draw_attention(observed: Mapping[int, Observation], mel: Tensor, title: str = "") -> Any:
    """The attention of all blocks and heads in one utterance under its spectrogram;
    returns a matplotlib Figure.

    observed: one utterance, of attention.measure.observe. mel: its normalised mel
    (1, 4 T, M).

    Across, in every panel: the time of the key frame, so that a sink is a vertical line
    under its sound. Upwards: the query frame. Where attention sees the whole segment
    that is its time. Where attention is causal it is how much later than the key it is:
    a level line is a habit of looking so far back, and the lowest line is the own
    frame. Grey: there is no such query. Colours are on a square-root scale that all
    panels share and that ends at the 99.5th percentile. Raises KwsError where no block
    attends.
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
    seconds = mel.shape[1] * FRAME_S / Subsampling.stride
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


def _show(ax: Any, values: Float64Array, extent: tuple[float, float, float, float], options: Mapping[str, Any]) -> Any:
    return ax.imshow(values, origin="lower", aspect="auto", extent=extent, **options)


def _is_causal(observed: Mapping[int, Observation]) -> bool:
    return not any(bool(one.weights.triu(1).any()) for one in observed.values())


def _by_lateness(a: Float64Array) -> Float64Array:
    """(H, T, T) -> (H, farthest look, T): a[:, j + w, j] at (w, j), NaN past the end;
    as it is if not causal.
    """
    frames = a.shape[-1]
    if np.triu(a, 1).any():
        return a
    looks = np.flatnonzero([np.diagonal(a, -w, 1, 2).any() for w in range(frames)])
    late = np.full((len(a), int(looks[-1]) + 1 if len(looks) else 1, frames), np.nan)
    for w in range(late.shape[1]):
        late[:, w, : frames - w] = np.diagonal(a, -w, 1, 2)
    return late
