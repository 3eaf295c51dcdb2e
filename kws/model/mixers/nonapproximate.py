"""Non-approximate attention: each key is scored by itself alone, whoever asks.

    q = SiLU(W_Q x)        s_j = q_j . k_j / sqrt(K)        a_ij = softmax_j( s_j + b[h, i - j] )

(Xue, Moosavi, Aletras 2025, "Deconstructing Attention", arXiv 2510.11602.) A frame says
once how important it is; all queries of its window then agree but for the distance
bias. The cache holds that one number in place of a key.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kws.model.mixers.attention import SelfAttention
from kws.model.mixers.heads import Heads


class ImportanceHeads(Heads):
    """Heads whose key is the frame's q . k, and whose query is 1."""

    @property
    def key_width(self) -> int:
        return 1

    def project(self, x: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor]:
        q, kv = super().project(x, guide)
        k, v = kv.split(self.head_width, dim=-1)
        importance = (functional.silu(q) * k).sum(-1, keepdim=True)
        return torch.ones_like(importance), torch.cat([importance, v], dim=-1)


class NonApproximateAttention(SelfAttention):
    """Windowed causal non-approximate attention."""

    kind = ImportanceHeads
