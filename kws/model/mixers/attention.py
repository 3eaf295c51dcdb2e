"""Self-attention (SA): windowed and causal for streams, full-context for segments.

Shapes: B batch, T frames, D width, H heads, K = D / H, W window, N blocks, C queries per block, L keys per block.

    a_ij = softmax_j( q_i . k_j / sqrt(K) + b[h, i - j] )        y_i = sum_j a_ij v_j        out_i = W_O concat_h y_i

(Vaswani et al. 2017, with a learned bias per head and distance in place of positions, after Shaw et al. 2018 and
Raffel et al. 2020: distances never grow in a stream, so nothing drifts.) Projections q, k, v carry no bias.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kws.model.streaming import SegmentLayer, StreamingLayer

_MASKED = -1e4  # exp underflows to exactly 0 in float32, and the sum with a score stays finite in bfloat16


class AttentionState(NamedTuple):
    """State of windowed attention."""

    kv: Tensor  # (B, W - 1, 2 D) keys and values of the last W - 1 frames, oldest first
    valid: Tensor  # (B,) int64: how many of them hold a frame; the oldest slots fill last


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

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, N, C, D) -> (B, N, H, C, K)."""
        return x.unflatten(3, (self.heads, self.head_width)).transpose(2, 3)


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
        kv = self.zeros(batch, self.window - 1, 2 * self.projections.width)
        return AttentionState(kv, self.zeros(batch, dtype=torch.int64))

    def combine(self, y: Tensor, v: Tensor) -> Tensor:
        """What leaves a head: the weighted sum `y` (..., K); `v` (..., K) is the frame's own value."""
        return y

    def forward(self, x: Tensor, state: AttentionState) -> tuple[Tensor, AttentionState]:
        p = self.projections
        frames = x.shape[1]
        block = min(self.window, frames)
        blocks = -(-frames // block)
        q, kv = p.inputs(x).split([p.width, 2 * p.width], dim=2)
        kv = torch.cat([state.kv.to(kv.dtype), kv], dim=1)
        after = AttentionState(kv[:, frames:], torch.clamp(state.valid + frames, max=self.window - 1))
        if padding := blocks * block - frames:
            q, kv = F.pad(q, (0, 0, 0, padding)), F.pad(kv, (0, 0, 0, padding))
        keys = self.window - 1 + block
        spans = kv[:, None] if blocks == 1 else kv.unfold(1, keys, block).transpose(2, 3)
        k, v = (p.split_heads(part) for part in spans.split(p.width, dim=3))
        q = p.split_heads(q.unflatten(1, (blocks, block)))
        scores = q @ k.transpose(3, 4) * (1 / math.sqrt(p.head_width))
        scores = scores + self._window_bias(block, keys) + self._cache_mask(state.valid, blocks, keys)
        y = torch.softmax(scores, dim=-1).to(v.dtype) @ v
        y = self.combine(y, v[..., self.window - 1 :, :])
        y = y.transpose(2, 3).flatten(3).flatten(1, 2)[:, :frames]
        return p.output(y), after

    def _window_bias(self, queries: int, keys: int) -> Tensor:
        """(H, C, L): the learned bias at distances 0 .. W - 1, masked elsewhere."""
        distance = torch.arange(queries)[:, None] + (self.window - 1) - torch.arange(keys)[None, :]
        inside = (distance >= 0) & (distance < self.window)
        bias = self.projections.distance_bias[:, distance.clamp(0, self.window - 1).to(self._device)]
        return torch.where(inside.to(self._device), bias, _MASKED)

    def _cache_mask(self, valid: Tensor, blocks: int, keys: int) -> Tensor:
        """(B, 1 or N, 1, 1, L): masks slots that no frame has filled yet; only a first block can meet them."""
        empty = (self.window - 1) - valid
        mask = torch.where(torch.arange(keys, device=valid.device) < empty[:, None], _MASKED, 0.0)
        mask = mask[:, None, None, None, :]
        return mask if blocks == 1 else F.pad(mask, (0, 0, 0, 0, 0, 0, 0, blocks - 1))

    @property
    def _device(self) -> torch.device:
        return self.projections.distance_bias.device


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
        q, k, v = (p.split_heads(part[:, None]) for part in p.inputs(x).split(p.width, dim=2))
        distance = (frames[:, None] - frames[None, :]).clamp(-self.window, self.window) + self.window
        beyond = torch.where(frames < lengths[:, None], 0.0, _MASKED)[:, None, None, None, :]
        scores = q @ k.transpose(3, 4) * (1 / math.sqrt(p.head_width)) + p.distance_bias[:, distance] + beyond
        y = self.combine(torch.softmax(scores, dim=-1).to(v.dtype) @ v, v)
        return p.output(y.transpose(2, 3).flatten(3).flatten(1, 2))
