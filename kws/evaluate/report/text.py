"""A report as text: raw counts first, and no rate that the hours behind it cannot support without saying so."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from kws.evaluate.count.intervals import hours_for

Json = dict[str, Any]
_FEW_HOURS = 0.1  # are told in seconds


def as_text(report: Json) -> str:
    """What `kws score` prints."""
    parts = [*_points(report), _conditions(report), _confusables(report), _notes(report)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _points(report: Json) -> Iterator[list[str]]:
    """A table for the own thresholds and for each rate; rates that come to the same share one."""
    names = list(report["keywords"])
    yield ["at the system's own thresholds", *rates_table(report, 0)]

    def counted(number: int) -> list[Json]:
        return [{**report["keywords"][name]["points"][number], "target": None, "supported": None} for name in names]

    numbers = range(1, 1 + len(report["rates"]))
    for _, same in groupby(numbers, key=counted):
        group = list(same)
        rates = " or ".join(f"{report['rates'][number - 1]:g}" for number in group)
        title = f"at the lowest operating points with at most {rates} FA/h each, chosen on these very recordings"
        yield [title, *rates_table(report, group[-1])]


def rates_table(report: Json, number: int) -> list[str]:
    """One line per keyword at point `number`, and one for all."""
    rows = [(name, keyword["points"][number]) for name, keyword in report["keywords"].items()]
    return counts_table([*rows, ("all", report["all"]["points"][number])] if len(rows) > 1 else rows)


def counts_table(rows: Sequence[tuple[str, Json]]) -> list[str]:
    """One line per (name, POINT of the schema)."""
    return [
        f"{'keyword':<16}{'threshold':>10}{'missed':>14}  {'FRR (95 %)':<24}{'false accepts':>16}  FA/h (95 %)",
        *(f"{name:<16}{_cells(point)}" for name, point in rows),
    ]


def _cells(point: Json) -> str:
    threshold = "" if point["threshold"] is None else f"{point['threshold']:.3f}"
    missed = f"{point['misses']}/{point['positives']}" if point["positives"] else "no positives"
    if point["hours"]:
        accepts = f"{point['false_accepts']} in {_length(point['hours'])}"
    else:
        accepts = "no negatives"
    return f"{threshold:>10}{missed:>14}  {_frr(point):<24}{accepts:>16}  {fa_text(point)}"


def _length(hours: float) -> str:
    """Hours, or seconds where they are few: "2.45 h", "72 s"."""
    return f"{hours:.2f} h" if hours >= _FEW_HOURS else f"{3600 * hours:.0f} s"


def _frr(count: Json) -> str:
    if not count["frr"]:
        return ""
    value, low, high = count["frr"]
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def fa_text(point: Json) -> str:
    """A rate of false accepts with its interval; without events only what the hours allow to say."""
    if point["fa_per_hour"] is None:
        return ""
    if not point["false_accepts"]:
        return f"at most {_two_digits(point['upper95'])}"
    value, low, high = point["fa_per_hour"]
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _two_digits(value: float) -> str:
    """A positive number with the two digits that count, and no power of ten: 0.31, 2.1, 1,100."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def _conditions(report: Json) -> list[str]:
    """Misses under each condition: a line per keyword at the own threshold, and all keywords at every point."""
    names = report["conditions"]
    if len(names) < 2:
        return []
    lines = [f"{'missed':<28}" + "".join(f"{name:>18}" for name in names)]
    for keyword, found in report["keywords"].items():
        lines.append(_condition_line(f"{keyword}, own threshold", found["conditions"], 0, names))
    for number, target in enumerate([None, *report["rates"]]):
        which = "own thresholds" if target is None else f"{target:g} FA/h each"
        lines.append(_condition_line(f"all, {which}", report["all"]["conditions"], number, names))
    return lines


def _condition_line(title: str, found: Json, number: int, names: Sequence[str]) -> str:
    cells = []
    for name in names:
        count = found[name][number]
        share = f" {count['frr'][0]:.1%}" if count["frr"] else ""
        cells.append(f"{count['misses']}/{count['positives']}{share}")
    return f"{title:<28}" + "".join(f"{cell:>18}" for cell in cells)


def _confusables(report: Json) -> list[str]:
    """Confusable phrases that fired at the own thresholds."""
    lines = []
    for keyword, found in report["keywords"].items():
        fires = sum(counts[0]["fires"] for counts in found["confusables"].values())
        clips = sum(counts[0]["clips"] for counts in found["confusables"].values())
        if clips:
            worst = sorted(found["confusables"].items(), key=lambda item: -item[1][0]["fires"])[:5]
            named = ", ".join(f"{text} {c[0]['fires']}/{c[0]['clips']}" for text, c in worst if c[0]["fires"])
            lines.append(f"{keyword:<16}fired {fires} times in {clips} confusable clips{': ' * bool(named)}{named}")
    return lines


def _notes(report: Json) -> list[str]:
    """What a reader must know to trust the tables."""
    lines = []
    latency = report["all"]["latency_ms"]
    if latency:
        lines.append(
            f"latency after the end of the word, own thresholds: median {latency['median']:.0f} ms, "
            f"95th percentile {latency['p95']:.0f} ms, of {latency['n']} hits"
        )
    elif report["trials"] and all(trial["end_s"] is None for trial in report["trials"]):
        lines.append("no latency: the manifests do not say when a word ends (start, end); `kws data align` finds it")
    if not report["all"]["points"][0]["positives"]:
        lines.append("no keyword is said in these recordings: nothing is known of misses (give --positives)")
    if len(report["conditions"]) > 1:
        lines.append("false accepts are counted on the recordings as they are, not in noise or rooms")
    hours = max((keyword["hours"] for keyword in report["keywords"].values()), default=0.0)
    short = [rate for rate in report["rates"] if hours < hours_for(rate)]
    if hours and short:
        least = _two_digits(hours_for(1.0) / hours)
        needed = ", ".join(f"{_two_digits(hours_for(rate))} h for {rate:g}" for rate in short)
        lines.append(
            f"{_length(hours)} of negatives without a false accept show at most {least} FA/h (95 %); "
            f"to show less takes, without any: {needed}"
        )
    repeats = report["all"]["points"][0]["repeats"]
    if repeats:
        lines.append(f"{repeats} further events followed a hit in the same recording or window; they count as nothing")
    return lines


def comparison_text(comparison: Json) -> str:
    """The paired comparison as a table: of all keywords together where there are several (report.json has each)."""
    counts = f"{'missed':>10}{'theirs':>10}{'only we':>9}{'only they':>11}{'p (McNemar)':>13}"
    lines = [
        f"against {comparison['against']}, on the same recordings",
        f"{'keyword':<16}{'condition':<10}{'FA/h':>12}{counts}  difference of FRR (95 %)",
    ]
    several = any(row["keyword"] == "all" for row in comparison["rows"])
    rows = [row for row in comparison["rows"] if not several or row["keyword"] == "all"]
    for _, same in groupby(rows, key=lambda row: {**row, "target": None, "difference": row["difference"][0]}):
        group = list(same)
        row, rates = group[0], ", ".join(f"{row['target']:g}" for row in group)
        ours, theirs = row["ours"], row["theirs"]
        value, low, high = row["difference"]
        lines.append(
            f"{row['keyword']:<16}{row['condition']:<10}{rates:>12}"
            f"{ours['misses']:>6}/{ours['positives']:<3}{theirs['misses']:>6}/{theirs['positives']:<3}"
            f"{row['only_ours_missed']:>9}{row['only_theirs_missed']:>11}{row['mcnemar_p']:>13.2g}"
            f"  {value:+.1%} ({low:+.1%} to {high:+.1%})"
        )
    return "\n".join(lines)
