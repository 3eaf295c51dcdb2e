"""Counts as tables and JSON, each rate with its interval."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from kws.bundle import Manifest
from kws.errors import require
from kws.evaluate.metrics import KeywordRates

_Z95 = 1.959963984540054


def wilson(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927); (0, 1) without data."""
    if total == 0:
        return 0.0, 1.0
    p, z2 = count / total, _Z95**2
    centre = p + z2 / (2 * total)
    spread = _Z95 * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total))
    scale = 1 + z2 / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def poisson(count: int, hours: float) -> tuple[float, float]:
    """Exact 95 % interval of a rate per hour (Garwood 1936)."""
    chi2 = require("scipy.stats", extra="train").chi2
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low) / hours, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / hours


def rates_table(rates: Sequence[KeywordRates]) -> str:
    """One line per keyword and one for all, raw counts first."""
    lines = [
        f"{'keyword':<16}{'threshold':>10}{'missed':>12}  {'FRR (95 %)':<24}{'false accepts':>16}  {'FA/h (95 %)':<20}"
    ]
    lines += [_line(rate, f"{rate.threshold:.3f}") for rate in rates]
    if len(rates) > 1:
        pooled = KeywordRates(
            "all",
            0.0,
            sum(r.positives for r in rates),
            sum(r.misses for r in rates),
            sum(r.false_accepts for r in rates),
            max(r.hours for r in rates),
        )
        lines.append(_line(pooled, ""))
    return "\n".join(lines)


def _line(rate: KeywordRates, threshold: str) -> str:
    low, high = wilson(rate.misses, rate.positives)
    share = rate.misses / rate.positives if rate.positives else 0.0
    frr = f"{share:.1%} ({low:.1%} to {high:.1%})"
    if rate.hours:
        fa_low, fa_high = poisson(rate.false_accepts, rate.hours)
        accepts = f"{rate.false_accepts} in {rate.hours:.2f} h"
        per_hour = f"{rate.false_accepts / rate.hours:.2f} ({fa_low:.2f} to {fa_high:.2f})"
    else:
        accepts, per_hour = "no negatives", ""
    missed = f"{rate.misses}/{rate.positives}"
    return f"{rate.keyword:<16}{threshold:>10}{missed:>12}  {frr:<24}{accepts:>16}  {per_hour:<20}"


def report_json(
    manifest: Manifest, curves: Sequence[Sequence[KeywordRates]], args: argparse.Namespace
) -> dict[str, Any]:
    """The content of report.json: per keyword its counts at every threshold, the lowest first."""
    return {
        "model": {"name": manifest.name, "kws_version": manifest.kws_version, "commit": manifest.commit},
        "data": {
            "positives": args.positives,
            "negatives": args.negatives,
        },
        "keywords": {
            curve[0].keyword: {
                "positives": curve[0].positives,
                "hours": curve[0].hours,
                "det": [
                    {"threshold": p.threshold, "misses": p.misses, "false_accepts": p.false_accepts}
                    for p in reversed(curve)
                ],
            }
            for curve in curves
        },
    }
