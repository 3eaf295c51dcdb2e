"""Exclusive self-attention (XSA): SA without what a frame already knows of itself.

    z_i = y_i - (y_i . v_i) v_i / (|v_i|^2 + eps)            per head, between the weighted sum and W_O

(Zhai 2026, "Exclusive Self Attention", arXiv 2603.09078, equation 2.) No parameters, and in a stream only the
frame's own value is needed, so the cache is that of SA. The first frame of a stream attends to itself alone: its z
is 0 up to eps, and only the residual path carries it.
"""

import torch
from torch import Tensor

from kws.model.mixers.attention import FullSelfAttention, SelfAttention

EPSILON = 1e-6  # small beside |v|^2 (of the order of K): z stays continuous at v = 0; the same in every execution


def exclude_self(y: Tensor, v: Tensor) -> Tensor:
    """`y` (..., K) without its projection on `v` (..., K); computed in float32 because the difference cancels."""
    exact = torch.promote_types(y.dtype, torch.float32)
    wide_y, wide_v = y.to(exact), v.to(exact)
    share = (wide_y * wide_v).sum(-1, keepdim=True) / ((wide_v * wide_v).sum(-1, keepdim=True) + EPSILON)
    return (wide_y - share * wide_v).to(y.dtype)


class ExclusiveSelfAttention(SelfAttention):
    """Windowed causal XSA."""

    def combine(self, y: Tensor, v: Tensor) -> Tensor:
        return exclude_self(y, v)


class FullExclusiveSelfAttention(FullSelfAttention):
    """Full-context XSA."""

    def combine(self, y: Tensor, v: Tensor) -> Tensor:
        return exclude_self(y, v)
