"""Packed log-posteriors: what is kept is kept to a nat, and what is not stays unlikely."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.decoding.packed import LEVELS, PackedPosteriors, levels_of
from kws.errors import KwsError
from posteriors import log_softmax


@st.composite
def spoken(draw):
    """Log-posteriors (T, V), some sharp and some flat."""
    frames, tokens = draw(st.integers(1, 40)), draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return log_softmax(rng.normal(0, draw(st.floats(0.0, 12.0)), (frames, tokens))).astype(np.float32)


@settings(max_examples=50, deadline=None)
@given(spoken())
def test_likely_tokens_come_back_to_a_nat_and_others_stay_unlikely(exact):
    again = PackedPosteriors.of(exact).frames(np.arange(len(exact)))
    likely = exact > 0.5 - LEVELS
    assert (np.abs(again - exact)[likely] <= 1.001).all()
    assert (again[~likely] <= 0.5 - LEVELS + 1 / 16).all()


@settings(max_examples=50, deadline=None)
@given(spoken(), st.floats(0.5, 5.0).filter(lambda temperature: temperature != 1))
def test_softened_posteriors_are_packed_as_before_they_were_and_come_back_softened(exact, temperature):
    rows = np.arange(len(exact))
    plain = PackedPosteriors.of(exact)
    softened = PackedPosteriors.of(log_softmax(exact.astype(np.float64) / temperature), temperature)
    np.testing.assert_allclose(softened.nats, plain.nats, atol=2e-3)
    assert (softened.levels != plain.levels).mean() <= 0.01  # rounding, at the border of two levels
    expected = log_softmax(plain.frames(rows).astype(np.float64) / temperature)
    same = (softened.levels == plain.levels).all(axis=1)
    np.testing.assert_allclose(softened.frames(rows)[same], expected[same], atol=0.02)


@settings(max_examples=50, deadline=None)
@given(spoken())
def test_symbols_lose_nothing(exact):
    packed = PackedPosteriors.of(exact)
    np.testing.assert_array_equal(levels_of(packed.symbols(), len(packed), exact.shape[1]), packed.levels)


def test_a_negative_frame_is_silence():
    packed = PackedPosteriors.of(log_softmax(np.random.default_rng(0).normal(0, 3, (5, 4))).astype(np.float32))
    silence = packed.frames(np.array([[-1, 2]]))[0, 0]
    assert silence[0] == 0
    assert (silence[1:] <= -20).all()


@pytest.mark.parametrize("symbols", [b"\x00", b"\x00\x18\x01", b"\xff\x18"], ids=["no end", "no last end", "no token"])
def test_other_bytes_are_refused(symbols):
    with pytest.raises(KwsError):
        levels_of(symbols, 1, tokens=4)  # 24 ends a frame
