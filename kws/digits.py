"""Numbers as a person reads them: the digits that count, and no power of ten."""

from __future__ import annotations

import math


def two_digits(value: float) -> str:
    """A positive number with its first two digits: 0.31, 2.1, 1,100."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def figure(value: float) -> str:
    """A number with at most two decimals, more where it would vanish: 210, 59.9, 2.45,
    0.05, 0.003.
    """
    size = math.floor(math.log10(abs(value))) if value else 0
    digits = min(2, max(0, 2 - size)) if size >= -2 else min(-size, 6)
    return f"{value:,.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:,.0f}"


def percent(share: float, unit: str = " %") -> str:
    """A share in percent with one decimal, two below 0.1 %."""
    return f"{100 * share:.{2 if 0 < share < 1e-3 else 1}f}{unit}"


def probability(value: float) -> str:
    """A score or a posterior: 0.97, 0.051, <0.001."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}" if value >= 0.001 else "<0.001"
