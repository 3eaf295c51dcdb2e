"""The numbers of a report's charts, for the page and for the figures: report.json,
arranged and nothing added.

P points of a curve, B bins.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kws.digits import figure, percent
from kws.evaluate.count.intervals import poisson, upper_rate, wilson
from kws.evaluate.report.model import (
    ComparedKeyword,
    DetPoint,
    Interval,
    KeywordReport,
    MissCount,
    OperatingPoint,
    Report,
)

Counted = KeywordReport | ComparedKeyword

_STRETCHES = 200  # of a curve: more are not told apart on a screen
_BINS = 40


class Curve(NamedTuple):
    """A DET curve by ascending thresholds, thinned. All of length P.

    frr, fa_per_hour: with their intervals at 95 %; None where there is no positive, or
    no hour.
    """

    thresholds: list[float]
    misses: list[int]
    false_accepts: list[int]
    frr: list[Interval] | None
    fa_per_hour: list[Interval] | None


class Histogram(NamedTuple):
    """The numbers of clean words (by the best score of each) and of false accepts in
    each of B bins between B + 1 edges.
    """

    edges: list[float]
    positives: list[int]
    false_accepts: list[int]


class Axes(NamedTuple):
    """Limits of a DET's log axes: false accepts per hour, and shares missed. Zeros lie
    outside of both.
    """

    fa_per_hour: tuple[float, float]
    frr: tuple[float, float]


def frr_of(misses: int, positives: int) -> Interval:
    """A share of misses with its interval; `positives` is not 0."""
    return Interval(misses / positives, *wilson(misses, positives))


def fa_of(false_accepts: int, hours: float) -> Interval:
    """A rate per hour with its interval; `hours` is not 0."""
    return Interval(false_accepts / hours, *poisson(false_accepts, hours))


def curve(keyword: Counted) -> Curve:
    """The curve of one keyword of a report, or of `earlier`: operating points and
    others that can be told apart.
    """
    stops: dict[float, DetPoint | OperatingPoint] = {point.threshold: point for point in thin(keyword.det)}
    stops |= {point.threshold: point for point in keyword.points if point.threshold is not None}
    thresholds = sorted(stops)
    misses = [stops[threshold].misses for threshold in thresholds]
    accepts = [stops[threshold].false_accepts for threshold in thresholds]
    positives, hours = keyword.positives, keyword.hours
    frr = {count: frr_of(count, positives) for count in set(misses)} if positives else {}
    rates = {count: fa_of(count, hours) for count in set(accepts)} if hours else {}
    return Curve(
        thresholds,
        misses,
        accepts,
        [frr[count] for count in misses] if positives else None,
        [rates[count] for count in accepts] if hours else None,
    )


def thin(det: Sequence[DetPoint], stretches: int = _STRETCHES) -> list[DetPoint]:
    """A curve with the first and the last point of each of `stretches` equal parts of
    its length on log axes.
    """
    if len(det) <= 2 * stretches:
        return list(det)
    logs = np.log10(np.maximum([[point.misses, point.false_accepts] for point in det], 0.5))
    along = np.concatenate([[0.0], np.abs(np.diff(logs, axis=0)).sum(axis=1).cumsum()])
    part = np.floor(along / max(along[-1], 1e-9) * stretches)
    ends = (np.diff(part, prepend=-1.0) > 0) | (np.diff(part, append=np.inf) > 0)
    return [det[index] for index in np.flatnonzero(ends).tolist()]


def histogram(report: Report, name: str) -> Histogram:
    """Scores of one keyword of a report. A bin's false accepts are those that its lower
    edge has more than its upper.

    Scores above 1 stand in the last bin; below the lowest threshold of `det` false
    accepts are not known.
    """
    det = report.keywords[name].det
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    scores = [trial.score for trial in report.trials if trial.keyword == name and trial.condition == _clean(report)]
    said = np.histogram(np.clip(scores, 0.0, 1.0), edges)[0]
    thresholds = [point.threshold for point in det]
    counts = [*(point.false_accepts for point in det), 0]
    above = [counts[index] for index in np.searchsorted(thresholds, edges)]
    above[-1] = 0
    accepts = np.maximum(0, -np.diff(above))  # a lower threshold may merge two events into one
    return Histogram(edges.tolist(), said.tolist(), accepts.tolist())


def axes(report: Report) -> Axes:
    """Log axes that hold the rates asked for and the part of the curves that anyone
    would use.
    """
    keywords: list[Counted] = [*report.keywords.values(), *earlier(report).values()]
    hours = [keyword.hours for keyword in keywords if keyword.hours]
    positives = [keyword.positives for keyword in keywords if keyword.positives]
    lowest = min([*report.rates, 1 / max(hours, default=1.0)])
    highest = max([10.0, *(10 * rate for rate in report.rates)])
    return Axes((lowest / 1.5, highest), (max(1e-4, 0.6 / max(positives, default=100)), 1.0))


def earlier(report: Report) -> Mapping[str, ComparedKeyword]:
    """The keywords of the report that this one is compared with, where they have a
    curve.
    """
    found = report.comparison.keywords if report.comparison else {}
    return {name: keyword for name, keyword in found.items() if keyword.positives and keyword.hours}


def unsupported(hours: float) -> float:
    """The rate per hour below which `hours` can show nothing at 95 %: 3.0 / hours."""
    return upper_rate(0, hours)


def accepts_in_words(point: OperatingPoint) -> str:
    """A rate of false accepts in words, as far as the hours support it: "0 in 1.4 h: at
    most 2.1/h at 95 %".
    """
    if point.fa_per_hour is None or point.upper95 is None:
        return "no other audio"
    counted = f"{point.false_accepts} in {figure(point.hours)} h"
    value, low, high = point.fa_per_hour
    if not point.false_accepts:
        return f"{counted}: at most {figure(point.upper95)}/h at 95 %"
    return f"{counted}: {figure(value)}/h ({figure(low)} to {figure(high)})"


def misses_in_words(count: MissCount | OperatingPoint) -> str:
    """Raw counts, share and interval of misses: "3 of 40: 7.5 % (2.6 to 19.9)"."""
    if count.frr is None:
        return "never said"
    value, low, high = count.frr
    return f"{count.misses} of {count.positives}: {percent(value)} ({percent(low, '')} to {percent(high, '')})"


def side(latency: float) -> str:
    """Whether an event comes before or after the end of its word."""
    return "before" if latency < 0 else "after"


def name_of(target: float | None) -> str:
    """The name of an operating point."""
    return "own thresholds" if target is None else f"at most {figure(target)} FA/h"


def _clean(report: Report) -> str:
    return report.conditions[0] if report.conditions else "clean"
