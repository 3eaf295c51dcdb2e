"""Intervals of counts, and tests of two systems on the same recordings. All at 95 %."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kws.errors import require

_RESAMPLES = 2000


def wilson(count: int, total: int) -> tuple[float, float]:
    """Interval of a proportion (Wilson 1927); (0, 1) without data."""
    if total == 0:
        return 0.0, 1.0
    interval = require("scipy.stats", extra="score").binomtest(count, total).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def poisson(count: int, hours: float) -> tuple[float, float]:
    """Exact interval of a rate per hour (Garwood 1936)."""
    chi2 = require("scipy.stats", extra="score").chi2
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low) / hours, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / hours


def upper_rate(count: int, hours: float) -> float:
    """The one-sided exact 95 % bound of a rate per hour: 3.0 / hours where nothing was
    counted.
    """
    return float(require("scipy.stats", extra="score").chi2.ppf(0.95, 2 * count + 2)) / 2 / hours


def hours_for(fa_per_hour: float) -> float:
    """The hours without a false accept that would show a rate of at most
    `fa_per_hour`.
    """
    return upper_rate(0, 1.0) / fa_per_hour


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p value of McNemar's test (1947). Its arguments count the
    misses that only one of the two systems has.
    """
    both = only_first + only_second
    return float(require("scipy.stats", extra="score").binomtest(only_first, both).pvalue) if both else 1.0


def paired_bootstrap(
    differences: Sequence[float], clusters: Sequence[str], rng: np.random.Generator
) -> tuple[float, float]:
    """Interval of the mean of paired differences (Efron 1979), whole clusters
    (speakers) being drawn again.
    """
    return crossed_bootstrap(np.asarray([differences], float), clusters, rng)


def crossed_bootstrap(
    values: npt.NDArray[np.float64], clusters: Sequence[str], rng: np.random.Generator
) -> tuple[float, float]:
    """Interval of the mean of values (S, N), rows (seeds) and whole clusters of columns
    (speakers) both being drawn again: a bootstrap of two crossed factors as in Owen
    2007, "The pigeonhole bootstrap". Differences of two models give a paired interval.
    """
    names, where = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.stack([np.bincount(where, weights=row, minlength=len(names)) for row in values])
    sizes = np.bincount(where)
    rows = rng.integers(0, len(values), (_RESAMPLES, len(values)))
    drawn = rng.integers(0, len(names), (_RESAMPLES, len(names)))
    means = [sums[r][:, c].sum() / (len(r) * sizes[c].sum()) for r, c in zip(rows, drawn, strict=True)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
