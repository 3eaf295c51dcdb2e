"""Approximate attention: the exponential of the softmax cut off after its second order.

    a_ij = p(s_ij) e^(b[h, i - j]) / sum_j p(s_ij) e^(b[h, i - j])        p(s) = 1 + s + s^2 / 2,  s = q . k / sqrt(K)

(Xue, Moosavi, Aletras 2025, "Deconstructing Attention", arXiv 2510.11602, after the
feature map of Arora et al. 2024, "Based".) p(s) = ((1 + s)^2 + 1) / 2 is at least 1/2,
so no key is ever silenced and none takes all. The distance bias stays an exponential
factor. Computed as the softmax of log p(s) + b, which is the same.

Without a window it is a linear recurrence with a state of K^2 numbers per value; here
the window of SA bounds it.
"""

import torch
from torch import Tensor

from kws.model.mixers.attention import SelfAttention
from kws.model.mixers.heads import Heads


class ApproximateHeads(Heads):
    """Heads that score by the logarithm of the second-order polynomial."""

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        s = super().score(q, k)
        return torch.log1p(s + s * s / 2)


class ApproximateAttention(SelfAttention):
    """Windowed causal approximate attention."""

    kind = ApproximateHeads
