"""The table of peers.py: what the reports of `kws score` say of the keywords that two
systems share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from kws.evaluate.count.intervals import wilson
from kws.evaluate.replay.recording import CLEAN
from kws.evaluate.report.build import latency_of
from kws.evaluate.report.model import MissCount, OperatingPoint, Report

RATES = (0.5, 1.0)  # FA/h of each keyword
NOISE = "10 dB"
Json = dict[str, Any]  # of peers.json, which is written here and read by nobody


def row(name: str, report: Report, words: Sequence[str], cost: Json | None) -> Json:
    """The figures of a system on some keywords: counts are sums over them, each keyword
    at its own threshold.
    """
    keywords = [report.keywords[word] for word in words]

    def pooled(index: int) -> Json:
        points = [keyword.points[index] for keyword in keywords]
        noisy = [keyword.conditions.get(NOISE, ())[index : index + 1] for keyword in keywords]
        return {
            **counts(points),
            "false_accepts": sum(point.false_accepts for point in points),
            "hours": max(point.hours for point in points),
            "noise": counts([count for found in noisy for count in found]) if all(noisy) else None,
        }

    targets = [point.target for point in keywords[0].points]
    late = latency_of(t.latency_ms for t in report.trials if t.condition == CLEAN and t.keyword in words)
    return {
        "system": name,
        "version": report.system.version,
        "words": list(words),
        "points": {"own" if target is None else f"{target:g}": pooled(i) for i, target in enumerate(targets)},
        "latency_ms": late and asdict(late),  # of all words together
        "bytes": report.system.bytes,
        "cost": cost,
    }


def counts(found: Iterable[MissCount | OperatingPoint]) -> Json:
    """Misses among positives, summed, with the interval of the share."""
    pairs = [(one.misses, one.positives) for one in found]
    misses, positives = sum(m for m, _ in pairs), sum(p for _, p in pairs)
    return {"misses": misses, "positives": positives, "frr": [misses / max(positives, 1), *wilson(misses, positives)]}


def markdown(result: Json) -> str:
    """One table: for each engine its row, and ours on the same keywords."""
    columns = ["system, keywords"]
    columns += [f"missed at {rate:g} FA/h each" for rate in RATES]
    columns += [f"the same at {NOISE}, {RATES[-1]:g} FA/h"]
    columns += ["own threshold: missed", f"at {NOISE}", "false accepts"]
    columns += ["CPU s per s", "peak MB", "latency ms, median (p95)", "model MB"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for one in result["rows"]:
        own = one["points"]["own"]
        cells = [f"{one['system']}: {', '.join(one['words'])}"]
        cells += [_missed(one["points"][f"{rate:g}"], accepts=True) for rate in RATES]
        cells += [_missed(one["points"][f"{RATES[-1]:g}"]["noise"]), _missed(own), _missed(own["noise"])]
        cells += [f"{own['false_accepts']} in {own['hours']:.2f} h", *_costs(one)]
        lines.append(f"| {' | '.join(cells)} |")
    failed = [f"- {name} failed: {reason}" for name, reason in result["failures"].items()]
    heading = f"{result['date']}, kws commit {result['commit']}, {result['machine']}\n\n    {result['command']}\n"
    return "\n".join([heading, *lines, *(["", *failed] if failed else []), ""])


def _missed(point: Json | None, accepts: bool = False) -> str:
    if point is None or not point["positives"]:
        return ""
    share, low, high = (100 * value for value in point["frr"])
    more = f", {point['false_accepts']} FA" if accepts else ""
    return f"{point['misses']}/{point['positives']} = {share:.1f} % ({low:.1f} to {high:.1f}){more}"


def _costs(one: Json) -> list[str]:
    cost, late = one["cost"], one["latency_ms"]
    return [
        f"{cost['cpu_s_per_audio_s']:.4f}" if cost else "",
        f"{cost['peak_mb']:.0f}" if cost else "",
        f"{late['median']:.0f} ({late['p95']:.0f})" if late else "",
        f"{one['bytes'] / 1e6:.2f}" if one["bytes"] else "",
    ]
