"""The CTC likelihood of a whole clip: brute force, torch, and the sum over everything that can be said."""

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decoding.ctc import CtcLikelihood


def log_posteriors(frames: int, tokens: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (frames, tokens))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in groupby(path) if token)


@given(st.integers(1, 5), st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_it_is_the_sum_over_all_alignments(frames, seed):
    posteriors = log_posteriors(frames, 3, seed)
    totals: dict[tuple[int, ...], float] = {}
    for path in product(range(3), repeat=frames):
        said = collapsed(path)
        totals[said] = totals.get(said, 0.0) + float(np.exp(posteriors[np.arange(frames), path].sum()))
    spellings = sorted(totals)
    found = np.exp(CtcLikelihood(spellings)(posteriors))
    assert found == pytest.approx([totals[s] for s in spellings], abs=1e-12)
    assert found.sum() == pytest.approx(1.0), "something is said, and one thing only"


@given(
    st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=8), st.integers(1, 30), st.integers(0, 99)
)
@settings(max_examples=50, deadline=None)
def test_it_is_torchs_ctc_loss(spellings, frames, seed):
    torch = pytest.importorskip("torch")
    posteriors = log_posteriors(frames, 10, seed)
    losses = torch.nn.functional.ctc_loss(
        torch.from_numpy(posteriors)[:, None].repeat(1, len(spellings), 1),
        torch.tensor([token for s in spellings for token in s]),
        torch.full((len(spellings),), frames),
        torch.tensor([len(s) for s in spellings]),
        reduction="none",
    )
    found = CtcLikelihood(spellings)(posteriors)
    possible = np.isfinite(losses.numpy())
    assert found[possible] == pytest.approx(-losses.numpy()[possible])
    assert (found[~possible] < -1e20).all()
