"""Growth with length and depth, and the link to misses, from numbers whose answer is known."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from jacobians import rng  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lab.smoothness.growth import correlation, exponents  # noqa: E402
from kws.lab.smoothness.measure import Constant, Smoothness  # noqa: E402


def invented(seed: int, exponent: float, by_depth: float, utterances: int = 8) -> Smoothness:
    draw = rng(seed)
    constants = [
        Constant("prefix", depth, n, i, 2 * n**exponent * np.exp(by_depth * depth + 0.1 * draw.standard_normal()), True)
        for depth in (1, 2, 3)
        for n in (25, 50, 100)
        for i in range(utterances)
    ]
    return Smoothness("", "sa", 5, 0.0, tuple(constants), (), ())


def test_growth_is_recovered_with_its_interval():
    models = [invented(seed, 0.25, 0.7) for seed in range(3)]
    found = exponents(models, rng())
    assert [(e.against, e.depth, e.frames) for e in found] == [
        *(("frames", depth, 0) for depth in (1, 2, 3)),
        *(("depth", 0, n) for n in (25, 50, 100)),
    ]
    for e in found:
        true = 0.25 if e.against == "frames" else 0.7
        assert e.low < e.slope < e.high
        assert abs(e.slope - true) < 0.06
        assert e.high - e.low < 0.2
    one = exponents([invented(0, 0.25, 0.7)], rng())[0]
    rows = [row for row in invented(0, 0.25, 0.7).constants if row.depth == 1]
    line = stats.linregress(np.log([row.frames for row in rows]), np.log([row.value for row in rows]))
    assert one.slope == pytest.approx(line.slope)


def test_growth_needs_models_that_were_measured_alike():
    for models in ([], [invented(0, 0.2, 0.5), invented(0, 0.2, 0.5, utterances=5)]):
        with pytest.raises(KwsError, match="measured alike"):
            exponents(models, rng())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=20))
@settings(max_examples=8, deadline=None)
def test_correlation_is_spearmans(pairs):
    x, y = (list(map(float, column)) for column in zip(*pairs, strict=True))
    if len(set(x)) < 2 or len(set(y)) < 2:
        with pytest.raises(KwsError, match="that vary"):
            correlation(x, y, rng())
        return
    found = correlation(x, y, rng())
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert -1 <= found.low <= found.high <= 1
    assert found.models == len(pairs)


@pytest.mark.parametrize(("x", "y"), [([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), ([1.0, 2.0], [1.0, 2.0, 3.0, 4.0])])
def test_correlation_needs_four_pairs(x, y):
    with pytest.raises(KwsError, match="four models"):
        correlation(x, y, rng())
