"""Counts with their intervals, in the types of a report."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from kws.evaluate.count.intervals import poisson, upper_rate, wilson
from kws.evaluate.count.metrics import KeywordRates
from kws.evaluate.report.model import Interval, Latency, MissCount, OperatingPoint


def operating_point(rates: KeywordRates, target: float | None) -> OperatingPoint:
    """Counts at one threshold, with their intervals."""
    per_hour = upper = None
    if rates.hours:
        per_hour = Interval(rates.false_accepts / rates.hours, *poisson(rates.false_accepts, rates.hours))
        upper = upper_rate(rates.false_accepts, rates.hours)
    return OperatingPoint(
        target=target,
        threshold=rates.threshold,
        positives=rates.positives,
        misses=rates.misses,
        false_accepts=rates.false_accepts,
        hours=rates.hours,
        repeats=rates.repeats,
        frr=_frr(rates.misses, rates.positives),
        fa_per_hour=per_hour,
        upper95=upper,
        supported=target is not None and upper is not None and upper <= target,
    )


def pooled(rates: Sequence[KeywordRates], target: float | None) -> OperatingPoint:
    """Several keywords as one point: counts are sums, hours those of the keyword that
    has most.
    """
    positives, misses = sum(r.positives for r in rates), sum(r.misses for r in rates)
    accepts, repeats = sum(r.false_accepts for r in rates), sum(r.repeats for r in rates)
    longest = max(r.hours for r in rates)
    together = operating_point(KeywordRates("all", 0.0, positives, misses, accepts, longest, repeats), target)
    return replace(together, threshold=None, supported=all(operating_point(r, target).supported for r in rates))


def miss_count(misses: int, positives: int) -> MissCount:
    """Misses among positives, with the share and its interval."""
    return MissCount(positives, misses, _frr(misses, positives))


def _frr(misses: int, positives: int) -> Interval | None:
    return Interval(misses / positives, *wilson(misses, positives)) if positives else None


def latency_of(late_ms: Iterable[float | None]) -> Latency | None:
    """Median and 95th percentile of the latencies that are known; None where none
    is.
    """
    known = [one for one in late_ms if one is not None]
    if not known:
        return None
    median, p95 = np.quantile(known, [0.5, 0.95])
    return Latency(len(known), round(float(median), 1), round(float(p95), 1))
