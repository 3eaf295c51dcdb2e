"""Attention by position alone: one map for all sounds, taken from a reference sequence.

Shapes: B batch, T frames, D width, H heads, K = D / H, W window.

    q, k = W_Q r, W_K r        s_d = q_(W-1) . k_(W-1-d) / sqrt(K)        a_ij = softmax_j( s_(i-j) + b[h, i - j] )

r (1, W, D) is the reference as the encoder's own blocks have carried it to this depth,
so the map still learns with them. (RndEmbQK and FixedSeqQK of Xue, Moosavi, Aletras
2025, "Deconstructing Attention", arXiv 2510.11602, whose maps are indexed by absolute
position. In a stream every frame is taken for the last one of its own window: the map's
last row, the same at all times.) In a trained model s is a constant of W numbers per
head, and the cache holds no keys.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kws.model.mixers.attention import SelfAttention
from kws.model.mixers.heads import Heads


class PositionHeads(Heads):
    """Heads whose queries and keys are those of a reference sequence."""

    @property
    def key_width(self) -> int:
        return 0

    def project(self, x: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> the reference's last query for each frame (B, H, T, K), which
        `null` needs, and v alone.
        """
        q, _ = self._reference(guide)
        v = functional.linear(x, self.inputs.weight[2 * self.width :])
        v = v.unflatten(2, (self.heads, self.head_width)).transpose(1, 2)
        return q[:, :, -1:].expand(
            x.shape[0], -1, x.shape[1], -1
        ), v  # len(x) would write the batch into an exported graph

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        """0 for the frames of the cache, whose keys have no numbers."""
        if k.shape[-1]:
            return super().score(q, k)
        return torch.zeros_like(q[..., :1]).expand(*q.shape[:-1], k.shape[-2])

    def bias(self, guide: Tensor | None) -> Tensor:
        q, k = self._reference(guide)
        return super().bias(guide) + self.score(q[:, :, -1:], k)[0, :, 0].flip(1)

    def _reference(self, guide: Tensor | None) -> tuple[Tensor, Tensor]:
        """The reference's q and k, (1, H, W, K)."""
        window = self.distance_bias.shape[1]
        if guide is None or guide.shape[:2] != (1, window):
            raise ValueError(f"this mixer reads a reference sequence: give a guide (1, {window}, {self.width})")
        qk = functional.linear(guide, self.inputs.weight[: 2 * self.width])
        q, k = qk.unflatten(2, (2, self.heads, self.head_width)).permute(2, 0, 3, 1, 4)
        return q, k


class RandomAttention(SelfAttention):
    """Windowed causal attention with the map of a fixed random sequence."""

    kind = PositionHeads
    reads = "random"


class FixedAttention(SelfAttention):
    """Windowed causal attention with the map of one fixed utterance."""

    kind = PositionHeads
    reads = "fixed"
