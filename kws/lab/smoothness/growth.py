"""Measurements of smoothness put together: medians, growth with length and depth, and
the link to misses.

Shapes: R models (the seeds of one kind), U utterances, N lengths or depths.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kws.errors import KwsError, require
from kws.lab.smoothness.measure import Smoothness

_RESAMPLES = 2000
_INTERVAL = (0.025, 0.975)
_SMALLEST = 1e-30  # instead of 0 in a logarithm

Array = npt.NDArray[np.float64]
Key = tuple[str, int, int]  # part, depth, frames


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a quantity over models and utterances.

    quantity: "constant"; of mixers that have bounds "to_bound" and "to_general_bound"
    (constant over bound), "column_sum", "query_key", "radius", "smallest_value"; of the
    model "noise" and "adversarial".
    """

    part: str
    depth: int
    frames: int
    quantity: str
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Exponent:
    """The growth of a part's constant, with a 95 % interval.

    against "frames": e of sigma ~ T^e for T frames, of the part at `depth`. against
    "depth": e of sigma ~ exp(e l), l counting blocks, of the prefixes at `frames`. The
    other one of depth and frames is 0.
    """

    part: str
    against: str
    depth: int
    frames: int
    slope: float
    low: float
    high: float


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation over `models` models, with a 95 % interval."""

    rho: float
    low: float
    high: float
    models: int


def spreads(models: Sequence[Smoothness]) -> list[Spread]:
    """Medians and quartiles of all measurements of `models`."""
    found: dict[tuple[Key, str], list[float]] = {}
    for model in models:
        for key, quantity, value in _quantities(model):
            found.setdefault((key, quantity), []).append(value)
    quartiles = {place: np.quantile(values, [0.25, 0.5, 0.75]).tolist() for place, values in found.items()}
    return [Spread(*key, quantity, mid, low, high) for (key, quantity), (low, mid, high) in quartiles.items()]


def exponents(models: Sequence[Smoothness], rng: np.random.Generator) -> list[Exponent]:
    """Fitted growth of the constants of `models`, the seeds of one kind, all measured
    at the same sounds and sizes.

    The slope is that of the least-squares line through log sigma, which is the mean of
    the slopes of the single models and utterances. Its interval is a bootstrap that
    draws models and utterances again, each as a whole. Raises KwsError where the models
    were not measured alike.
    """
    tables = _tables(models)
    lengths = sorted({frames for _, _, frames in tables})
    found = []
    for part, depth in dict.fromkeys((part, depth) for part, depth, _ in tables):
        if len(lengths) > 1:
            curves = np.stack([tables[part, depth, frames] for frames in lengths], axis=-1)
            found.append(Exponent(part, "frames", depth, 0, *_growth(curves, np.log(lengths), rng)))
    depths = sorted({depth for part, depth, _ in tables if part == "prefix"})
    for frames in lengths if len(depths) > 1 else ():
        curves = np.stack([tables["prefix", depth, frames] for depth in depths], axis=-1)
        found.append(Exponent("prefix", "depth", 0, frames, *_growth(curves, np.asarray(depths, float), rng)))
    return found


def correlation(constants: Sequence[float], lost: Sequence[float], rng: np.random.Generator) -> Correlation:
    """Spearman's correlation of two numbers by model, with a bootstrap over models
    (Efron 1979).

    Such as a trained model's constant of G, and the false reject rate that it loses
    from clean to noisy sound: without a link between these two, smoothness says nothing
    about robustness. Resamples in which either is constant are left out. Raises
    KwsError for fewer than four models, or where either does not vary.
    """
    pairs = np.asarray([constants, lost], dtype=np.float64) if len(constants) == len(lost) else np.empty((2, 0))
    models = pairs.shape[1]
    if models < 4 or not np.ptp(pairs, axis=1).all():
        raise KwsError("a correlation needs two numbers that vary, of four models at least: give more models")
    drawn = pairs[:, rng.integers(0, models, (_RESAMPLES, models))]
    low, high = np.quantile(_spearman(drawn[:, np.ptp(drawn, axis=2).all(axis=0)]), _INTERVAL)
    return Correlation(float(_spearman(pairs)), float(low), float(high), models)


def _quantities(model: Smoothness) -> Iterator[tuple[Key, str, float]]:
    constants = {}
    for row in model.constants:
        constants[row.part, row.depth, row.frames, row.utterance] = row.value
        yield (row.part, row.depth, row.frames), "constant", row.value
    for bound in model.bounds:
        key = ("mixer", bound.depth, bound.frames)
        value = constants["mixer", bound.depth, bound.frames, bound.utterance]
        yield key, "to_bound", value / bound.ours
        yield key, "to_general_bound", value / bound.general
        for name in ("column_sum", "query_key", "radius", "smallest_value"):
            yield key, name, getattr(bound, name)
    blocks = max(row.depth for row in model.constants)
    for response in model.responses:
        for name in ("noise", "adversarial"):
            yield ("model", blocks, response.frames), name, getattr(response, name)


def _tables(models: Sequence[Smoothness]) -> dict[Key, Array]:
    """Part, depth, frames -> log sigma (R, U)."""
    rows: list[dict[Key, list[float]]] = []
    for model in models:
        rows.append({})
        for row in model.constants:
            rows[-1].setdefault((row.part, row.depth, row.frames), []).append(row.value)
    shapes = [{key: len(values) for key, values in model.items()} for model in rows]
    if not shapes or any(shape != shapes[0] for shape in shapes):
        raise KwsError("growth is fitted to models that were measured alike: same blocks, utterances and sizes for all")
    return {key: np.log(np.maximum([model[key] for model in rows], _SMALLEST)) for key in shapes[0]}


def _growth(curves: Array, x: Array, rng: np.random.Generator) -> tuple[float, float, float]:
    """The mean slope of curves (R, U, N) over `x` (N,), and its interval."""
    centred = x - x.mean()
    slopes = curves @ centred / (centred @ centred)
    seeds, utterances = slopes.shape
    models = rng.integers(0, seeds, (_RESAMPLES, seeds, 1))
    sounds = rng.integers(0, utterances, (_RESAMPLES, 1, utterances))
    low, high = np.quantile(slopes[models, sounds].mean(axis=(1, 2)), _INTERVAL)
    return float(slopes.mean()), float(low), float(high)


def _spearman(pairs: Array) -> Array:
    """(2, ..., R) -> (...): the correlation of the ranks over R."""
    ranks = require("scipy.stats", extra="score").rankdata(pairs, axis=-1)
    x, y = ranks - ranks.mean(axis=-1, keepdims=True)
    product: Array = (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return product
