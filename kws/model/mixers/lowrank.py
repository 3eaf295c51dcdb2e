"""Low-rank multi-head attention on GRU states (LAMA), for streams.

Shapes: B batch, T frames, D width, U units, H heads, W window.

    h_t = GRU(x_t)        s_rj = tanh( (P^T h_t)_r (Q^T h_j)_r ), divided by its Euclidean norm over the heads r
    a_rj = softmax of s_rj over the last W frames j            y_r = sum_j a_rj h_j
    out_t = W_O [h_t; y_1; ...; y_H]

(Mehta, Rangwala, Ramakrishnan 2019, "Low rank factorization for compact multi-head
self-attention", arXiv 1912.00835: the bilinear form c^T W_r h_j of a head has rank one,
2 U weights instead of U^2.) There the query c is the mean of all states of a sentence.
A stream has no such mean, and a running one would be stale after days: here c is the
GRU's own state, which has learned what to keep of the past and needs no further memory.
All heads read the same values h_j; under `xsa` each loses its projection on h_t, which
W_O gets by itself in any case.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.model.mixers.base import MixerConfig, StreamingMixer
from kws.model.mixers.heads import MASKED
from kws.model.mixers.recurrent import matched_units
from kws.model.mixers.spec import Switches
from kws.model.mixers.xsa import Exclusion


class LowRankState(NamedTuple):
    hidden: Tensor  # (B, U) of the GRU
    cache: Tensor  # (B, W - 1, U + H) its last W - 1 outputs h_j and their keys Q^T h_j, oldest first
    valid: Tensor  # (B, 1, 1, 1) int64: how many of them hold a frame; the oldest slots fill last


class LowRankAttention(StreamingMixer):
    """A GRU, H windowed sums of its last W states, and a projection of them all back to
    D.
    """

    look_back = None
    fits: ClassVar[frozenset[str]] = frozenset({"xsa", "gate", "offdir"})

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.heads, self.window = config.heads, config.window_frames
        self.units = matched_units(config.width, gates=3, readers=1 + self.heads, extra=2 * self.heads)
        self.gru = nn.GRU(config.width, self.units, batch_first=True)
        self.query = nn.Linear(self.units, self.heads, bias=False)
        self.key = nn.Linear(self.units, self.heads, bias=False)
        self.exclusion = Exclusion(self.heads, self.units, switches)
        self.output = nn.Linear((1 + self.heads) * self.units, config.width)

    def init_state(self, batch: int) -> LowRankState:
        return LowRankState(
            self.zeros(batch, self.units),
            self.zeros(batch, self.window - 1, self.units + self.heads),
            self.zeros(batch, 1, 1, 1, dtype=torch.int64),
        )

    def forward(self, x: Tensor, state: LowRankState, guide: Tensor | None = None) -> tuple[Tensor, LowRankState]:
        frames, past = x.shape[1], self.window - 1
        h, hidden = self.gru(x, state.hidden[None].to(x.dtype))
        seen = torch.cat([state.cache.to(h.dtype), torch.cat([h, self.key(h)], dim=2)], dim=1)
        states, keys = seen.unfold(1, self.window, 1).split([self.units, self.heads], dim=2)  # (B, T, U or H, W)
        scores = functional.normalize(torch.tanh(self.query(h)[..., None] * keys), dim=2)
        slots = torch.arange(frames, device=x.device)[:, None, None] + torch.arange(self.window, device=x.device)
        a = torch.softmax(torch.where(slots < past - state.valid, MASKED, scores), dim=-1).to(h.dtype)
        y = self.exclusion((a @ states.mT).transpose(1, 2), h[:, None])  # (B, H, T, U)
        after = LowRankState(hidden[0], seen[:, frames:], torch.clamp(state.valid + frames, max=past))
        return self.output(torch.cat([h, y.transpose(1, 2).flatten(2)], dim=2)), after
