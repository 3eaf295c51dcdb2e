"""A report as text: raw counts first, and no rate that the hours behind it cannot
support without saying so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from kws.audio.pickup import Pickup
from kws.digits import two_digits
from kws.evaluate.count.intervals import hours_for
from kws.evaluate.report.model import Comparison, ComparisonRow, Interval, MissCount, OperatingPoint, Report

_FEW_HOURS = 0.1  # are told in seconds
_ONSET_S = 0.3  # from the begin of a recording
_FEWEST_SPEAKERS = 3  # whose mean says more than the figure of each


def as_text(report: Report) -> str:
    """The text that `kws score` prints."""
    parts = [*_points(report), _conditions(report), _confusables(report), _notes(report)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _points(report: Report) -> Iterator[list[str]]:
    """A table for the own thresholds and for each rate; rates that come to the same
    share one.
    """
    names = list(report.keywords)
    yield ["at the system's own thresholds", *rates_table(report, 0)]

    def counted(number: int) -> list[OperatingPoint]:
        return [replace(report.keywords[name].points[number], target=None, supported=False) for name in names]

    numbers = range(1, 1 + len(report.rates))
    for _, same in groupby(numbers, key=counted):
        group = list(same)
        rates = " or ".join(f"{report.rates[number - 1]:g}" for number in group)
        title = f"at the lowest operating points with at most {rates} FA/h each, chosen on these very recordings"
        yield [title, *rates_table(report, group[-1])]


def rates_table(report: Report, number: int) -> list[str]:
    """One line per keyword at point `number`, and one for all."""
    rows = [(name, keyword.points[number]) for name, keyword in report.keywords.items()]
    return counts_table([*rows, ("all", report.all.points[number])] if len(rows) > 1 else rows)


def counts_table(rows: Sequence[tuple[str, OperatingPoint]]) -> list[str]:
    """A header, and one line per (name, point)."""
    return [
        f"{'keyword':<16}{'threshold':>10}{'missed':>14}  {'FRR (95 %)':<24}{'false accepts':>16}  FA/h (95 %)",
        *(f"{name:<16}{_cells(point)}" for name, point in rows),
    ]


def _cells(point: OperatingPoint) -> str:
    threshold = "" if point.threshold is None else f"{point.threshold:.3f}"
    missed = f"{point.misses}/{point.positives}" if point.positives else "no positives"
    if point.hours:
        accepts = f"{point.false_accepts} in {_length(point.hours)}"
    else:
        accepts = "no negatives"
    return f"{threshold:>10}{missed:>14}  {_frr(point.frr):<24}{accepts:>16}  {fa_text(point)}"


def _length(hours: float) -> str:
    """Hours, or seconds where they are few: "2.45 h", "72 s"."""
    return f"{hours:.2f} h" if hours >= _FEW_HOURS else f"{3600 * hours:.0f} s"


def _frr(frr: Interval | None) -> str:
    return "" if frr is None else f"{frr.value:.1%} ({frr.low:.1%} to {frr.high:.1%})"


def fa_text(point: OperatingPoint) -> str:
    """A rate of false accepts with its interval; without events only what the hours
    allow to say.
    """
    rate = point.fa_per_hour
    if rate is None or point.upper95 is None:
        return ""
    if not point.false_accepts:
        return f"at most {two_digits(point.upper95)}"
    return f"{rate.value:.2f} ({rate.low:.2f} to {rate.high:.2f})"


def _conditions(report: Report) -> list[str]:
    """Misses under each condition: a line per keyword at the own threshold, and all
    keywords at every point.
    """
    names = report.conditions
    if len(names) < 2:
        return []
    lines = [f"{'missed':<28}" + "".join(f"{name:>18}" for name in names)]
    for keyword, found in report.keywords.items():
        lines.append(_condition_line(f"{keyword}, own threshold", found.conditions, 0, names))
    for number, target in enumerate([None, *report.rates]):
        which = "own thresholds" if target is None else f"{target:g} FA/h each"
        lines.append(_condition_line(f"all, {which}", report.all.conditions, number, names))
    return lines


def _condition_line(title: str, found: Mapping[str, Sequence[MissCount]], number: int, names: Sequence[str]) -> str:
    cells = []
    for name in names:
        count = found[name][number]
        share = f" {count.frr.value:.1%}" if count.frr else ""
        cells.append(f"{count.misses}/{count.positives}{share}")
    return f"{title:<28}" + "".join(f"{cell:>18}" for cell in cells)


def _confusables(report: Report) -> list[str]:
    """Confusable phrases that fired at the own thresholds."""
    lines = []
    for keyword, found in report.keywords.items():
        own = {text: counts[0] for text, counts in found.confusables.items()}
        fires, clips = (sum(getattr(count, part) for count in own.values()) for part in ("fires", "clips"))
        if clips:
            worst = sorted(own.items(), key=lambda item: -item[1].fires)[:5]
            named = ", ".join(f"{text} {c.fires}/{c.clips}" for text, c in worst if c.fires)
            lines.append(f"{keyword:<16}fired {fires} times in {clips} confusable clips{': ' * bool(named)}{named}")
    return lines


def _notes(report: Report) -> list[str]:
    """Notes that a reader must know to trust the tables."""
    lines = []
    latency = report.all.latency_ms
    if latency:
        lines.append(
            f"latency after the end of the word, own thresholds: median {latency.median:.0f} ms, "
            f"95th percentile {latency.p95:.0f} ms, of {latency.n} hits"
        )
    elif report.trials and all(trial.end_s is None for trial in report.trials):
        lines.append("no latency: the manifests do not say when a word ends (start, end); `kws data align` finds it")
    lines += _speakers(report)
    if not report.all.points[0].positives:
        lines.append("no keyword is said in these recordings: nothing is known of misses (give --positives)")
    own = [accept for accept in report.accepts if accept.at_s is not None and accept.scores[0] is not None]
    onsets = sum(accept.start_s < _ONSET_S for accept in own)
    if onsets:
        lines.append(
            f"{onsets} of {len(own)} false accepts, own thresholds, begin within {_ONSET_S:g} s of the begin of a "
            f"recording, after {report.rules.silence_s:g} s of silence: it may be the onset that wakes it (--silence 0)"
        )
    if len(report.conditions) > 1:
        lines.append("false accepts are counted on the recordings as they are, not in noise or rooms")
    hours = max((keyword.hours for keyword in report.keywords.values()), default=0.0)
    short = [rate for rate in report.rates if hours < hours_for(rate)]
    if hours and short:
        least = two_digits(hours_for(1.0) / hours)
        needed = ", ".join(f"{two_digits(hours_for(rate))} h for {rate:g}" for rate in short)
        lines.append(
            f"{_length(hours)} of negatives without a false accept show at most {least} FA/h (95 %); "
            f"to show less takes, without any: {needed}"
        )
    repeats = report.all.points[0].repeats
    if repeats:
        lines.append(f"{repeats} further events followed a hit in the same recording or window; they count as nothing")
    if options := str(Pickup(report.rules.channel, report.rules.gain_db)):
        lines.append(f"all of it was heard with {options}")
    return lines


def _speakers(report: Report) -> list[str]:
    """The mean over speakers where some missed more than others: one of them may have
    said most of the words.
    """
    own = {name: counts[0] for name, counts in report.all.speakers.items()}
    rates = [count.misses / count.positives for count in own.values()]
    if len(own) < _FEWEST_SPEAKERS or not any(rates):
        return []
    name, most = max(own.items(), key=lambda item: item[1].misses)
    mean = sum(rates) / len(rates)
    told = (
        f"each speaker's share of clean words missed, own thresholds: the mean of {len(own)} speakers is {mean:.1%}; "
        f"{name} has most misses, {most.misses}/{most.positives}"
    )
    return [told]


def comparison_text(comparison: Comparison) -> str:
    """The paired comparison as a table: of all keywords together where there are
    several (report.json has each).
    """
    counts = f"{'missed':>10}{'theirs':>10}{'only we':>9}{'only they':>11}{'p (McNemar)':>13}"
    lines = [
        f"against {comparison.against}, on the same recordings",
        f"{'keyword':<16}{'condition':<10}{'FA/h':>12}{counts}  difference of FRR (95 %)",
    ]
    several = any(row.keyword == "all" for row in comparison.rows)
    rows = [row for row in comparison.rows if not several or row.keyword == "all"]
    for _, same in groupby(rows, key=_but_for_rate):
        group = list(same)
        row, rates = group[0], ", ".join(f"{row.target:g}" for row in group)
        value, low, high = row.difference
        lines.append(
            f"{row.keyword:<16}{row.condition:<10}{rates:>12}"
            f"{row.ours.misses:>6}/{row.ours.positives:<3}{row.theirs.misses:>6}/{row.theirs.positives:<3}"
            f"{row.only_ours_missed:>9}{row.only_theirs_missed:>11}{row.mcnemar_p:>13.2g}"
            f"  {value:+.1%} ({low:+.1%} to {high:+.1%})"
        )
    return "\n".join(lines)


def _but_for_rate(row: ComparisonRow) -> ComparisonRow:
    """The row without the cells that may differ between two rates with the same
    share.
    """
    return replace(row, target=0.0, difference=Interval(row.difference.value, 0.0, 0.0))
