"""Memory mixer: a matrix per head that is trained by gradient descent while it listens.

Shapes: B batch, T frames, D width, H heads, K = D / H, L frames of a block, N blocks.

    l_t(M) = |M k_t - v_t|^2                           how badly the memory knows that k_t means v_t
    S_t = eta S_{t-1} - theta_t grad l_t(M_{t-1})      the gradient is 2 (M k_t - v_t) k_t^T
    M_t = (1 - alpha_t) M_{t-1} + S_t                  y_t = M_t q_t       out_t = W_O concat_h y_t

(Behrouz, Zhong, Mirrokni 2025, "Titans: learning to memorize at test time", arXiv
2501.00663, with a linear memory; without momentum it is the gated delta rule of Yang,
Kautz, Hatamizadeh 2024, arXiv 2412.06464.) q and k have unit length. The gates: alpha_t
and g_t are sigmoids of the frame's value, two numbers per head; eta is learned per
head, and theta_t = (1 - eta) g_t / 2. So a surprise moves the memory by at most its own
size however long the momentum lasts; with an eta that changes from frame to frame, or a
free theta, the state can grow without end.

A block of L frames is computed at once. Both recurrences are linear, so with the decays
A_ts = prod_{s<j<=t} (1 - alpha_j) and E_ts = eta^(t-s), frame i reaches M_t through C =
A E, and the errors e_t = M_{t-1} k_t - v_t solve the unit triangular system (I + G) e =
(what the block's first M and S say) - v, G_ti = 2 theta_i C_(t-1)i k_t . k_i.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.model.mixers.base import MixerConfig, StreamingMixer
from kws.model.mixers.spec import Switches
from kws.model.mixers.xsa import Exclusion

_BLOCK = 16
_SLOW_FORGETTING = -4.0  # alpha starts near 0.02: half a memory lasts about 1.5 s


class MemoryState(NamedTuple):
    """The state of a memory: the matrix and its momentum, transposed to values by keys
    (keys in rows).
    """

    memory: Tensor  # (B, H, K, K)
    momentum: Tensor  # (B, H, K, K)


class Memory(StreamingMixer):
    """Linear memory with momentum per head. `window_frames` does not apply: its memory
    fades, but has no end.
    """

    look_back = None
    fits: ClassVar[frozenset[str]] = frozenset({"xsa", "gate", "offdir"})
    any_length = False  # its blocks of frames are laid out in the graph

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        width, heads = config.width, config.heads
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads, self.head_width = heads, width // heads
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.gates = nn.Parameter(torch.randn(heads, self.head_width, 2) / self.head_width**0.5)
        self.gate_bias = nn.Parameter(torch.tensor([_SLOW_FORGETTING, 0.0]).repeat(heads, 1))
        self.momentum = nn.Parameter(torch.zeros(heads))
        self.exclusion = Exclusion(heads, self.head_width, switches)
        self.output = nn.Linear(width, width)

    def init_state(self, batch: int) -> MemoryState:
        shape = (batch, self.heads, self.head_width, self.head_width)
        return MemoryState(self.zeros(*shape), self.zeros(*shape))

    def forward(self, x: Tensor, state: MemoryState, guide: Tensor | None = None) -> tuple[Tensor, MemoryState]:
        qkv = self.inputs(x).unflatten(2, (3, self.heads, self.head_width)).permute(2, 0, 3, 1, 4)
        with torch.autocast(x.device.type, enabled=False):  # errors are small differences
            q, k, v = qkv.to(state.memory.dtype)
            y, state = self.scan(functional.normalize(q, dim=-1), functional.normalize(k, dim=-1), v, state)
        return self.output(self.exclusion(y, v).transpose(1, 2).flatten(2).to(qkv.dtype)), state

    def scan(self, q: Tensor, k: Tensor, v: Tensor, state: MemoryState) -> tuple[Tensor, MemoryState]:
        """Queries, keys, values (B, H, T, K) -> y (B, H, T, K): whole blocks, then the
        frames that are left.
        """
        forget, step = (v @ self.gates + self.gate_bias[:, None]).unbind(-1)
        log_eta = functional.logsigmoid(self.momentum)[:, None]
        step = (1 - log_eta.exp()) * torch.sigmoid(step)
        rest = q.shape[2] % _BLOCK
        sizes = [size for size in (q.shape[2] - rest, rest) if size]
        parts = []
        for part in zip(*(f.split(sizes, dim=2) for f in (q, k, v, functional.logsigmoid(-forget), step)), strict=True):
            y, state = delta_rule(state, log_eta, *part)
            parts.append(y)
        return torch.cat(parts, dim=2), state


def delta_rule(
    state: MemoryState, log_eta: Tensor, q: Tensor, k: Tensor, v: Tensor, log_keep: Tensor, step: Tensor
) -> tuple[Tensor, MemoryState]:
    """The recurrence in blocks of L = min(T, 16) frames, T a multiple of L.

    log eta (H, 1); q, k, v (B, H, T, K); log(1 - alpha) and 2 theta (B, H, T) -> y (B,
    H, T, K). Index 0 of a decay is the state [M; S] (B, H, 2 K, K) that a block starts
    from. All that does not depend on it is done for all blocks at once; what is left to
    the loop are products of small matrices.
    """
    block = min(q.shape[2], _BLOCK)
    q, k, v, log_keep, step = (f.unflatten(2, (-1, block)) for f in (q, k, v, log_keep, step))
    kept = _decays(log_keep)
    heading = _decays(log_eta.expand(-1, block))[:, None].expand_as(kept)
    reach = kept @ heading
    started = torch.stack([kept[..., 0], reach[..., 0] - kept[..., 0]], dim=-1)[..., None]  # of M and S, in M_t
    asked = torch.cat([started[..., :-1, :, :] * k[..., None, :], started[..., 1:, :, :] * q[..., None, :]], dim=-3)
    reads = asked.flatten(-2)  # (B, H, N, 2 L, 2 K): what M_{t-1} says to k_t, then M_t to q_t
    solved = _unit_inverse(reach[..., :-1, 1:] * (k @ k.mT) * step[..., None, :])
    ends = torch.stack([reach[..., -1, 1:], heading[..., -1, 1:]], dim=-2) * step[..., None, :]
    writes = (ends[..., None] * k[..., None, :, :]).transpose(-1, -2).flatten(-3, -2)  # (B, H, N, 2 K, L)
    # (B, H, N, 2, 2): M and S after the block from M and S before it, had nothing been said
    stays = torch.stack([started[..., -1, :, 0], functional.pad(heading[..., -1, :1], (1, 0))], dim=-2)

    states, answers, news = torch.cat(state, dim=2), [], []
    for read, solve, value, write, stay in zip(*(f.unbind(2) for f in (reads, solved, v, writes, stays)), strict=True):
        told, answer = (read @ states).chunk(2, dim=2)
        new = solve @ (value - told)  # v_t - M_{t-1} k_t
        states = (stay @ states.unflatten(2, (2, -1)).flatten(3)).unflatten(3, v.shape[-1:] * 2).flatten(2, 3)
        states = states + write @ new
        answers.append(answer)
        news.append(new)
    mixes = reach[..., 1:, 1:] * (q @ k.mT) * step[..., None, :]
    y = torch.stack(answers, dim=2) + mixes @ torch.stack(news, dim=2)
    return y.flatten(2, 3), MemoryState(*states.chunk(2, dim=2))


def _decays(log_rates: Tensor) -> Tensor:
    """Log rates of frames 1 .. L -> (..., L + 1, L + 1): products over (s, t] for t, s
    = 0 .. L, and 0 for s > t.
    """
    total = functional.pad(log_rates.cumsum(-1), (1, 0))
    past = torch.ones(2 * total.shape[-1:], dtype=torch.bool, device=total.device).tril()
    return torch.exp((total[..., :, None] - total[..., None, :]).masked_fill(~past, -torch.inf))


def _unit_inverse(below: Tensor) -> Tensor:
    """(I + G)^-1 of strictly lower triangular G (..., L, L), row by row."""
    identity = torch.eye(below.shape[-1], dtype=below.dtype, device=below.device)
    rows = identity[:1].expand(*below.shape[:-2], -1, -1)
    for i in range(1, len(identity)):
        rows = torch.cat([rows, identity[i] - below[..., i : i + 1, :i] @ rows], dim=-2)
    return rows
