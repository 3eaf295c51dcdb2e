"""The table of peers.py: what the reports of `kws score` say of the keywords that two
systems share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kws.evaluate.count.intervals import wilson
from kws.evaluate.replay.recording import CLEAN
from kws.evaluate.report.model import Latency, MissCount, OperatingPoint, Report
from kws.evaluate.report.points import latency_of

RATES = (0.5, 1.0)  # FA/h of each keyword
NOISE = "10 dB"


@dataclass(frozen=True)
class Missed:
    """Words missed among those said. frr: the share, and its 95 % interval."""

    misses: int
    positives: int
    frr: tuple[float, float, float]

    @classmethod
    def of(cls, found: Iterable[MissCount | OperatingPoint]) -> "Missed":
        """The sums of misses and of words over keywords."""
        pairs = [(one.misses, one.positives) for one in found]
        misses, positives = sum(m for m, _ in pairs), sum(p for _, p in pairs)
        return cls(misses, positives, (misses / max(positives, 1), *wilson(misses, positives)))


@dataclass(frozen=True)
class Point:
    """The counts at one rate of false accepts. noise: words missed in noise, where that
    was asked for.
    """

    missed: Missed
    false_accepts: int
    hours: float
    noise: Missed | None


@dataclass(frozen=True)
class Cost:
    """CPU seconds per second of sound and the peak of memory, medians of rounds."""

    cpu_s_per_audio_s: float
    cpu_lowest_highest: tuple[float, float]
    peak_mb: float
    rounds: int


@dataclass(frozen=True)
class Row:
    """The figures of one system. points: by rate, "own" for its own thresholds.
    latency_ms: of all words together.
    """

    system: str
    version: str | None
    words: tuple[str, ...]
    points: dict[str, Point]
    latency_ms: Latency | None
    bytes: int | None
    cost: Cost | None


@dataclass(frozen=True)
class Result:
    """The content of peers.json. failures: the steps that failed, and why."""

    date: str
    commit: str | None
    machine: str
    command: str
    rows: tuple[Row, ...]
    failures: dict[str, str]


def row(name: str, report: Report, words: Sequence[str], cost: Cost | None) -> Row:
    """The figures of a system on some keywords: counts are sums over them, each keyword
    at its own threshold.
    """
    keywords = [report.keywords[word] for word in words]

    def pooled(index: int) -> Point:
        points = [keyword.points[index] for keyword in keywords]
        noisy = [keyword.conditions.get(NOISE, ())[index : index + 1] for keyword in keywords]
        return Point(
            missed=Missed.of(points),
            false_accepts=sum(point.false_accepts for point in points),
            hours=max(point.hours for point in points),
            noise=Missed.of([count for found in noisy for count in found]) if all(noisy) else None,
        )

    targets = [point.target for point in keywords[0].points]
    return Row(
        system=name,
        version=report.system.version,
        words=tuple(words),
        points={"own" if target is None else f"{target:g}": pooled(i) for i, target in enumerate(targets)},
        latency_ms=latency_of(t.latency_ms for t in report.trials if t.condition == CLEAN and t.keyword in words),
        bytes=report.system.bytes,
        cost=cost,
    )


def markdown(result: Result) -> str:
    """One table: for each engine its row, and ours on the same keywords."""
    columns = ["system, keywords"]
    columns += [f"missed at {rate:g} FA/h each" for rate in RATES]
    columns += [f"the same at {NOISE}, {RATES[-1]:g} FA/h"]
    columns += ["own threshold: missed", f"at {NOISE}", "false accepts"]
    columns += ["CPU s per s", "peak MB", "latency ms, median (p95)", "model MB"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for one in result.rows:
        own = one.points["own"]
        cells = [f"{one.system}: {', '.join(one.words)}"]
        for rate in RATES:
            point = one.points[f"{rate:g}"]
            cells.append(f"{missed}, {point.false_accepts} FA" if (missed := _missed(point.missed)) else "")
        cells += [_missed(one.points[f"{RATES[-1]:g}"].noise), _missed(own.missed), _missed(own.noise)]
        cells += [f"{own.false_accepts} in {own.hours:.2f} h", *_costs(one)]
        lines.append(f"| {' | '.join(cells)} |")
    failed = [f"- {name} failed: {reason}" for name, reason in result.failures.items()]
    heading = f"{result.date}, kws commit {result.commit}, {result.machine}\n\n    {result.command}\n"
    return "\n".join([heading, *lines, *(["", *failed] if failed else []), ""])


def _missed(count: Missed | None) -> str:
    if count is None or not count.positives:
        return ""
    share, low, high = (100 * value for value in count.frr)
    return f"{count.misses}/{count.positives} = {share:.1f} % ({low:.1f} to {high:.1f})"


def _costs(one: Row) -> list[str]:
    cost, late = one.cost, one.latency_ms
    return [
        f"{cost.cpu_s_per_audio_s:.4f}" if cost else "",
        f"{cost.peak_mb:.0f}" if cost else "",
        f"{late.median:.0f} ({late.p95:.0f})" if late else "",
        f"{one.bytes / 1e6:.2f}" if one.bytes else "",
    ]
