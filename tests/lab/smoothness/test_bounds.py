"""Bounds of the local constants of attention that are never crossed."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from jacobians import dense, normal  # noqa: E402
from kws.lab.smoothness.bounds import Attended, HeadWeights, attention_bounds  # noqa: E402


def plain_attention(weights: HeadWeights, bias, epsilon: float | None, seen: list):
    """One attention block by its formulas, head by head: (T, D) -> (T, D). Notes maps, sums and values in `seen`."""

    def block(x):
        seen.clear()
        out = []
        for query, key, value, own in zip(weights.query, weights.key, weights.value, bias, strict=True):
            v = x @ value.T
            a = torch.softmax((x @ query.T) @ (x @ key.T).T / query.shape[0] ** 0.5 + own, dim=-1)
            y = a @ v
            seen.append((a.detach(), y.detach(), v.detach()))
            if epsilon is not None:
                y = y - ((y * v).sum(1) / ((v * v).sum(1) + epsilon))[:, None] * v
            out.append(y)
        return torch.cat(out, dim=1) @ weights.output.T

    return block


@given(
    seed=st.integers(0, 10**6),
    frames=st.integers(1, 7),
    heads=st.sampled_from([1, 2, 3]),
    window=st.one_of(st.none(), st.integers(1, 7)),
    scale=st.sampled_from([0.1, 1.0, 3.0]),
    size=st.sampled_from([1e-3, 0.3, 2.0]),
    epsilon=st.sampled_from([None, 1e-6, 0.1, 1e-30]),
)
@settings(max_examples=150, deadline=None)
def test_no_attention_exceeds_its_bounds(seed, frames, heads, window, scale, size, epsilon):
    width = 4
    query, key, value = (scale * normal(seed + i, heads, 2, width) for i in range(3))
    weights = HeadWeights(query, key, value, normal(seed + 3, width, 2 * heads))
    distance = torch.arange(frames)[:, None] - torch.arange(frames)
    hidden = torch.zeros_like(distance, dtype=torch.bool) if window is None else (distance < 0) | (distance >= window)
    bias = torch.where(hidden, -torch.inf, normal(seed + 4, heads, frames, frames))
    x, seen = size * normal(seed + 5, frames, width), []
    block = plain_attention(weights, bias, epsilon, seen)
    block(x)
    maps, sums, values = (torch.stack(parts)[None] for parts in zip(*seen, strict=True))

    bounds = attention_bounds(weights, Attended(x[None], maps, sums, values), epsilon)
    constant = dense(block, x)
    assert constant <= bounds.ours.item() * (1 + 1e-9)
    plain = attention_bounds(weights, Attended(x[None], maps, sums, values))
    assert plain.ours <= plain.general * (1 + 1e-12), "the general bound follows from ours"
    if epsilon is None:
        assert constant <= bounds.general.item() * (1 + 1e-9)
    assert bounds.column_sum.item() <= min(frames, window or frames) + 1e-9
    assert bounds.radius.item() == pytest.approx(x.norm(dim=1).max().item())
    assert bounds.smallest_value.item() == pytest.approx(values.norm(dim=3).min().item())


def test_bounds_are_close_where_one_key_gets_all_attention():
    """A sink: c = n, and the constant itself grows as sqrt(n); nothing in the bound is lost on the value term."""
    one = torch.eye(2, dtype=torch.float64)[None]
    for frames in (4, 16):
        bias = torch.full((1, frames, frames), -torch.inf, dtype=torch.float64)
        bias[..., 0] = 0
        seen = []
        block = plain_attention(HeadWeights(one, one, one, one[0]), bias, None, seen)
        x = 1e-3 * normal(0, frames, 2)
        block(x)
        attended = Attended(x[None], *(part[None, None] for part in seen[0]))
        bounds = attention_bounds(HeadWeights(one, one, one, one[0]), attended)
        assert bounds.column_sum.item() == pytest.approx(frames)
        assert dense(block, x) == pytest.approx(frames**0.5, rel=1e-4)
        assert bounds.ours.item() == pytest.approx(frames**0.5, rel=1e-4)
