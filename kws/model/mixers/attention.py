"""Self-attention (SA): windowed and causal for streams, full-context for segments.

Shapes: B batch, T frames, D width, H heads, K = D / H, W window, N blocks, C queries of a block, L = W - 1 + C keys.

    a_ij = softmax_j( q_i . k_j / sqrt(K) + b[h, i - j] )        y_i = sum_j a_ij v_j        out_i = W_O concat_h y_i

(Vaswani et al. 2017, with a learned bias per head and distance in place of positions, after Shaw et al. 2018 and
Raffel et al. 2020: distances never grow in a stream, so nothing drifts.) Projections q, k, v carry no bias.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.model.streaming import SegmentLayer, StreamingLayer

_MASKED = -1e4  # exp underflows to exactly 0 in float32, and the sum with a score stays finite in bfloat16


class AttentionState(NamedTuple):
    """State of windowed attention."""

    kv: Tensor  # (B, H, W - 1, 2 K) keys and values of the last W - 1 frames, oldest first
    valid: Tensor  # (B, 1, 1, 1) int64: how many of them hold a frame; the oldest slots fill last


class _Projections(nn.Module):
    """q, k, v and output projections, and the distance bias; shared by the streaming and the full form."""

    def __init__(self, width: int, heads: int, distances: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.width, self.heads, self.head_width = width, heads, width // heads
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width)
        self.distance_bias = nn.Parameter(torch.zeros(heads, distances))

    def by_head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> q (B, H, T, K), k and v side by side (B, H, T, 2 K)."""
        qkv = self.inputs(x).unflatten(2, (3, self.heads, self.head_width)).permute(0, 3, 1, 2, 4).flatten(3)
        q, kv = qkv.split([self.head_width, 2 * self.head_width], dim=3)
        return q, kv

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """(..., C, L): q . k / sqrt(K) of queries (..., C, K) and keys (..., L, K)."""
        return q @ k.transpose(-1, -2) * (1 / math.sqrt(self.head_width))

    def merge(self, y: Tensor) -> Tensor:
        """(B, H, T, K) -> (B, T, D), through W_O."""
        out: Tensor = self.output(y.transpose(1, 2).flatten(2))
        return out


class SelfAttention(StreamingLayer):
    """Causal attention over the last W frames (its own included).

    The window is computed in blocks of C = min(W, T) queries against their own W - 1 + C keys, so cost grows as
    T x W; a chunk of a stream is one block of the same computation.
    """

    def __init__(self, width: int, heads: int, window_frames: int) -> None:
        super().__init__()
        self.window = window_frames
        self.look_back = window_frames - 1
        self.projections = _Projections(width, heads, window_frames)

    def init_state(self, batch: int) -> AttentionState:
        p = self.projections
        kv = self.zeros(batch, p.heads, self.window - 1, 2 * p.head_width)
        return AttentionState(kv, self.zeros(batch, 1, 1, 1, dtype=torch.int64))

    def combine(self, y: Tensor, v: Tensor) -> Tensor:
        """What leaves a head: the weighted sum `y` (..., K); `v` (..., K) is the frame's own value."""
        return y

    def forward(self, x: Tensor, state: AttentionState) -> tuple[Tensor, AttentionState]:
        p = self.projections
        frames = x.shape[1]
        block = min(self.window, frames)
        q, kv = p.by_head(x)
        kv = torch.cat([state.kv.to(kv.dtype), kv], dim=2)
        after = AttentionState(kv[:, :, frames:], torch.clamp(state.valid + frames, max=self.window - 1))
        bias, empty = self._window_bias(block), self._cache_mask(state.valid, block)
        if frames == block:
            k, v = kv.split(p.head_width, dim=-1)
            a = torch.softmax(p.scores(q, k) + (bias + empty), dim=-1).to(v.dtype)
            y = self.combine(a @ v, v[..., self.window - 1 :, :])
        else:
            y = self._in_blocks(q, kv, block, bias, empty)[:, :, :frames]
        return p.merge(y), after

    def _in_blocks(self, q: Tensor, kv: Tensor, block: int, bias: Tensor, empty: Tensor) -> Tensor:
        """(B, H, T, K) -> (B, H, N C, K), N blocks at once; only the first can meet empty slots of the cache."""
        blocks = -(-q.shape[2] // block)
        padding = blocks * block - q.shape[2]
        q, kv = functional.pad(q, (0, 0, 0, padding)), functional.pad(kv, (0, 0, 0, padding))
        spans = kv.unfold(2, self.window - 1 + block, block).transpose(3, 4)
        k, v = spans.split(self.projections.head_width, dim=-1)
        scores = self.projections.scores(q.unflatten(2, (blocks, block)), k) + bias[:, None]
        scores[:, :, 0] += empty
        a = torch.softmax(scores, dim=-1).to(v.dtype)
        return self.combine(a @ v, v[..., self.window - 1 :, :]).flatten(2, 3)

    def _window_bias(self, queries: int) -> Tensor:
        """(H, C, L): the learned bias at distances 0 .. W - 1, masked elsewhere."""
        device = self.projections.distance_bias.device
        keys = torch.arange(self.window - 1 + queries, device=device)
        distance = torch.arange(queries, device=device)[:, None] + (self.window - 1) - keys[None, :]
        bias = self.projections.distance_bias[:, distance.clamp(0, self.window - 1)]
        return torch.where((distance >= 0) & (distance < self.window), bias, _MASKED)

    def _cache_mask(self, valid: Tensor, queries: int) -> Tensor:
        """(B, 1, 1, L): masks the slots that no frame has filled yet."""
        keys = torch.arange(self.window - 1 + queries, device=valid.device)
        return torch.where(keys < (self.window - 1) - valid, _MASKED, 0.0)


class FullSelfAttention(SegmentLayer):
    """Attention over the whole segment, for models that score a finished segment.

    Distances beyond W in either direction share the bias of W.
    """

    def __init__(self, width: int, heads: int, window_frames: int) -> None:
        super().__init__()
        self.window = window_frames
        self.projections = _Projections(width, heads, 2 * window_frames + 1)

    def combine(self, y: Tensor, v: Tensor) -> Tensor:
        """As in SelfAttention."""
        return y

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        p = self.projections
        frames = torch.arange(x.shape[1], device=x.device)
        q, kv = p.by_head(x)
        k, v = kv.split(p.head_width, dim=-1)
        distance = (frames[:, None] - frames[None, :]).clamp(-self.window, self.window) + self.window
        beyond = torch.where(frames < lengths[:, None], 0.0, _MASKED)[:, None, None, :]
        a = torch.softmax(p.scores(q, k) + (p.distance_bias[:, distance] + beyond), dim=-1).to(v.dtype)
        return p.merge(self.combine(a @ v, v))
