"""Intervals: against scipy by another way, and against the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.evaluate.count.intervals import (
    crossed_bootstrap,
    hours_for,
    mcnemar,
    paired_bootstrap,
    poisson,
    upper_rate,
    wilson,
)

stats = pytest.importorskip("scipy.stats")


@given(st.integers(0, 400), st.integers(1, 400))
@settings(max_examples=50, deadline=None)
def test_wilson_solves_its_equation(count, more):
    total = count + more
    for end in wilson(count, total):
        z = abs(count / total - end) / np.sqrt(end * (1 - end) / total) if 0 < end < 1 else 1.959964
        assert z == pytest.approx(1.959964, rel=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 200), st.floats(0.01, 1000))
@settings(max_examples=50, deadline=None)
def test_the_ends_of_poisson_leave_two_and_a_half_percent_each(count, hours):
    low, high = poisson(count, hours)
    assert stats.poisson.cdf(count, high * hours) == pytest.approx(0.025, rel=1e-6)
    assert stats.poisson.sf(count - 1, low * hours) == pytest.approx(0.025, rel=1e-6) if count else low == 0
    assert stats.poisson.cdf(count, upper_rate(count, hours) * hours) == pytest.approx(0.05, rel=1e-6)


def test_figures_that_are_known():
    assert poisson(5, 10.0) == pytest.approx((0.16235, 1.16683), abs=1e-4)
    assert upper_rate(0, 1.4) == pytest.approx(2.14, abs=0.005)  # 0 in 1.4 h: at most 2.1/h at 95 %
    assert hours_for(0.05) == pytest.approx(59.9, abs=0.1)
    assert mcnemar(0, 0) == 1.0 and mcnemar(10, 2) == pytest.approx(0.03857, abs=1e-5)


def test_a_bootstrap_over_speakers_is_wider_where_speakers_differ():
    rng = np.random.default_rng(0)
    differences = [1.0] * 20 + [0.0] * 60
    apart = paired_bootstrap(differences, [str(i) for i in range(80)], np.random.default_rng(1))
    together = paired_bootstrap(differences, [str(i // 20) for i in range(80)], np.random.default_rng(1))
    assert apart[0] < 0.25 < apart[1] and together[1] - together[0] > 2 * (apart[1] - apart[0])
    assert paired_bootstrap([0.0, 0.0], ["a", "b"], rng) == (0.0, 0.0)


def test_interval_of_a_constant_is_that_constant_and_covers_a_known_mean():
    rng = np.random.default_rng(1)
    speakers = [f"s{i // 4}" for i in range(80)]
    assert crossed_bootstrap(np.full((3, 80), 0.25), speakers, rng) == (0.25, 0.25)
    covered = 0
    for _ in range(60):
        by_speaker = rng.normal(0.3, 0.2, 20).repeat(4)
        values = by_speaker + rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.1, (5, 80))
        low, high = crossed_bootstrap(values, speakers, rng)
        covered += low <= 0.3 <= high
    assert covered >= 50
