"""Self-attention (SA): windowed and causal for streams, full-context for segments
(Vaswani et al. 2017).

Shapes: B batch, T frames, D width, H heads, K = D / H, W window, N blocks, C queries of
a block, L = W - 1 + C keys.

The formula is in heads.py, the exclusion of a frame's own value in xsa.py. This file
decides which keys a query meets: those of the last W frames, its own included, or those
of the whole segment.

Of the scores (C, L) of a block, the window of query c is c .. c + W - 1. Only those W
meet in the softmax, as a table (C, W): each in the same place however many queries a
block has, so that a chunk's numbers are the same bit by bit alone and among others.

A fresh cache holds zeros, and they are attended to like frames: before a stream begins
there were W - 1 frames that say nothing.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kws.model.mixers.base import MixerConfig, SegmentMixer, StreamingMixer
from kws.model.mixers.heads import MASKED, Heads, toeplitz
from kws.model.mixers.spec import Switches
from kws.model.mixers.xsa import Exclusion


class AttentionState(NamedTuple):
    kv: Tensor  # (B, H, W - 1, keys and values) of the last W - 1 frames, oldest first


class Observation(NamedTuple):
    """The weights, sums and values of attention on fresh streams or whole segments."""

    weights: Tensor  # (B, H, T, T) a_ij, 0 where j is not attended to; null, sink and a fresh cache get the rest
    mixed: Tensor  # (B, H, T, K) y, before an exclusion
    values: Tensor  # (B, H, T, K) v


class SelfAttention(StreamingMixer):
    """Causal attention over the last W frames (its own included).

    The window is computed in blocks of C = min(W, T) queries against their own W - 1 +
    C keys, so cost grows as T x W; a chunk of a stream is one block of the same
    computation.
    """

    fits = frozenset({"xsa", "gate", "centre", "null", "sink", "nodiag", "offdir", "prev"})
    kind: ClassVar[type[Heads]] = Heads

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.window = config.window_frames
        self.look_back = self.window - 1
        self.projections = self.kind(config, switches, distances=self.window, own=0)
        self.exclusion = Exclusion(config.heads, self.projections.head_width, switches)
        if self.exclusion.previous and self.window < 2:
            raise ValueError("the switch prev needs a window of at least 2 frames")

    def init_state(self, batch: int) -> AttentionState:
        p = self.projections
        return AttentionState(self.zeros(batch, p.heads, self.window - 1, p.key_width + p.head_width))

    def forward(self, x: Tensor, state: AttentionState, guide: Tensor | None = None) -> tuple[Tensor, AttentionState]:
        frames = x.shape[1]
        q, kv = self.projections.project(x, guide)
        kv = torch.cat([state.kv.to(kv.dtype), kv], dim=2)
        after = AttentionState(kv[:, :, 1 - self.window or frames :])
        in_blocks = frames > self.window
        if in_blocks:
            q, kv = self._in_blocks(q, kv, self.window)
        z = self._exclude(*self._attend(q, kv, guide)[1:])
        return self.projections.merge(z.flatten(2, 3)[:, :, :frames] if in_blocks else z), after

    def observe(self, x: Tensor, guide: Tensor | None = None) -> Observation:
        """The attention on (B, T, D), with all queries as one block."""
        state = self.init_state(len(x))
        q, kv = self.projections.project(x, guide)
        a, y, v = self._attend(q, torch.cat([state.kv.to(kv.dtype), kv], dim=2), guide)
        return Observation(a[..., self.window - 1 :], y, v[..., self.window - 1 :, :])

    def _in_blocks(self, q: Tensor, kv: Tensor, block: int) -> tuple[Tensor, Tensor]:
        """Queries (B, H, T, K), keys and values (B, H, W - 1 + T, ..) -> (B, H, N, C,
        K) and (B, H, N, L, ..).
        """
        blocks = -(-q.shape[2] // block)
        padding = blocks * block - q.shape[2]
        q, kv = functional.pad(q, (0, 0, 0, padding)), functional.pad(kv, (0, 0, 0, padding))
        return q.unflatten(2, (blocks, block)), kv.unfold(2, self.window - 1 + block, block).transpose(3, 4)

    def _attend(self, q: Tensor, kv: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, sums and values of one block (B, H, C, K) or many
        (B, H, N, C, K).
        """
        k, v = self.projections.keys_and_values(kv)
        bias = self.projections.bias(guide).flip(1)[:, None]
        scores = in_window(self.projections.score(q, k), self.window)
        a, null = self.projections.weigh(scores + (bias if q.dim() == 4 else bias[:, None]), q)
        a = among_keys(a)
        return a, self.projections.sums(a, null, v), v

    def _exclude(self, y: Tensor, v: Tensor) -> Tensor:
        """The sums (..., C, K) after the exclusion, given the values (..., L, K) that
        their window meets.
        """
        past = self.window - 1
        own, previous = v[..., past:, :], v[..., past - 1 : -1, :] if self.exclusion.previous else None
        return self.exclusion(y, own, previous, self._mean(v) if self.exclusion.centred else None)

    def _mean(self, v: Tensor) -> Tensor:
        """The mean (..., C, K) of the values in each query's window."""
        queries = v.shape[-2] - self.window + 1
        return among_keys(v.new_full((queries, self.window), 1 / self.window)) @ v


def in_window(scores: Tensor, window: int) -> Tensor:
    """(..., C, L) -> (..., C, W): element (c, w) is that of (c, c + w); lines laid end
    to end, read longer by one.
    """
    *front, queries, keys = scores.shape
    flat = functional.pad(scores.reshape(*front, queries * keys), (0, queries))
    return flat.view(*front, queries, keys + 1)[..., :window]


def among_keys(weights: Tensor) -> Tensor:
    """(..., C, W) -> (..., C, L): the inverse of `in_window`, with zeros outside of the
    windows.
    """
    *front, queries, window = weights.shape
    keys = window - 1 + queries
    flat = functional.pad(weights, (0, queries)).view(*front, queries * (keys + 1))
    return flat[..., : queries * keys].view(*front, queries, keys)


class FullSelfAttention(SegmentMixer):
    """Attention over the whole segment, for models that score a finished segment.

    Distances beyond W in either direction share the bias of W.
    """

    fits = SelfAttention.fits | {"full"}

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.window = config.window_frames
        self.projections = Heads(config, switches, distances=2 * self.window + 1, own=self.window)
        self.exclusion = Exclusion(config.heads, self.projections.head_width, switches)

    def forward(self, x: Tensor, lengths: Tensor, guide: Tensor | None = None) -> Tensor:
        _, y, v = self._attend(x, lengths, guide)
        previous = functional.pad(v[:, :, :-1], (0, 0, 1, 0)) if self.exclusion.previous else None
        mean = None
        if self.exclusion.centred:
            inside = _inside(x, lengths)[:, None, :, None]
            mean = (v * inside).sum(2, keepdim=True) / lengths[:, None, None, None].clamp(min=1)
        return self.projections.merge(self.exclusion(y, v, previous, mean))

    def observe(self, x: Tensor, guide: Tensor | None = None) -> Observation:
        """The attention on whole segments (B, T, D)."""
        return Observation(*self._attend(x, torch.full((len(x),), x.shape[1], device=x.device), guide))

    def _attend(self, x: Tensor, lengths: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (B, H, T, T), sums and values (B, H, T, K)."""
        p = self.projections
        q, kv = p.project(x, guide)
        k, v = p.keys_and_values(kv)
        beyond = torch.where(_inside(x, lengths), 0.0, MASKED)[:, None, None, :]
        scores = p.score(q, k) + self._bias(x.shape[1])
        scores += beyond
        a, null = p.weigh(scores, q)
        return a, p.sums(a, null, v), v

    def _bias(self, frames: int) -> Tensor:
        """(H, T, T): the bias of query i and key j at distance i - j, from T - 1 down
        to 1 - T along a row.
        """
        row = self.projections.bias(None).flip(1)
        spare = frames - 1 - self.window
        if spare < 0:
            row = row[:, -spare:spare]
        else:
            row = torch.cat([row[:, :1].expand(-1, spare), row, row[:, -1:].expand(-1, spare)], dim=1)
        return toeplitz(row, frames)


def _inside(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T): whether a frame lies inside its row's length."""
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None]
