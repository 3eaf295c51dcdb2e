"""The heads of attention, whichever keys they meet: projections, scores, weights.

Shapes: B batch, T frames, D width, H heads, K = D / H, W window, C queries, L keys; ...
may be blocks.

    q, k, v = W_Q x, W_K x, W_V x        s_ij = score(q_i, k_j)        a_ij = softmax_j( s_ij + b[h, i - j] )
    y_i = sum_j a_ij v_j                 out_i = W_O concat_h z_i      (z = y, or what xsa.py leaves of it)

b is a learned bias per head and distance in place of positions (after Shaw et al. 2018
and Raffel et al. 2020: distances never grow in a stream, so nothing drifts). W_Q, W_K
and W_V carry no bias. Another kind of attention is a subclass with its own `project`,
`key_width`, `score` or `bias`; attention.py decides which keys a query meets.

With the switch `null` a learned key and value per head join the softmax and the sum
(after the sink token of Xiao et al. 2023, "Efficient Streaming Language Models with
Attention Sinks"); with `sink` a learned logit per head joins the softmax alone, so that
a head may attend to nothing (as in gpt-oss, OpenAI 2025). With `nodiag` a_ii = 0; null
then keeps the first frame's softmax from being empty.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.model.mixers.base import MixerConfig
from kws.model.mixers.spec import Switches
from kws.model.mixers.xsa import per_head

MASKED = -1e4  # exp underflows to exactly 0 in float32, and the sum with a score stays finite in bfloat16
_FRESH = 1 / math.sqrt(3)  # standard deviation of a fresh projection of a normalised frame


class Heads(nn.Module):
    """The parameters of attention, 4 D^2, and its formula.

    distances: how many distances have a bias; `own` is the index of distance 0 among
    them.
    """

    def __init__(self, config: MixerConfig, switches: Switches, distances: int, own: int) -> None:
        super().__init__()
        if config.width % config.heads:
            raise ValueError(f"width {config.width} is not a multiple of heads {config.heads}")
        self.width, self.heads, self.head_width = config.width, config.heads, config.width // config.heads
        self.excluded = own if switches.nodiag else None
        self.inputs = nn.Linear(self.width, 3 * self.width, bias=False)
        self.output = nn.Linear(self.width, self.width)
        self.distance_bias = nn.Parameter(torch.zeros(self.heads, distances))
        self.has_null = switches.null or switches.nodiag
        if self.has_null:
            self.null_key = nn.Parameter(_FRESH * torch.randn(self.heads, self.key_width or self.head_width))
            self.null_value = nn.Parameter(_FRESH * torch.randn(self.heads, self.head_width))
        self.sink = nn.Parameter(torch.zeros(self.heads, 1)) if switches.sink else None

    @property
    def key_width(self) -> int:
        """The numbers of a cached key: those of a query, or 0 where no key is kept."""
        return self.head_width

    def project(self, x: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> q (B, H, T, K), k and v side by side (B, H, T, 2 K).

        q and k are those of the guide, where there is one.
        """
        if guide is None:
            qkv = self._projected(x, self.inputs.weight)
        else:
            guiding, mixing = self.inputs.weight.split([2 * self.width, self.width])
            qkv = torch.cat([self._projected(guide, guiding), self._projected(x, mixing)], dim=3)
        q, kv = qkv.split([self.head_width, 2 * self.head_width], dim=3)
        return q, kv

    def _projected(self, x: Tensor, weight: Tensor) -> Tensor:
        """(B, T, D) by n projections, rows (n H K) -> (B, H, T, n K).

        The weight's rows are put in order, not the projected frames: in a graph it is a
        constant.
        """
        of_heads = weight.unflatten(0, (-1, self.heads, self.head_width)).transpose(0, 1).flatten(0, 2)
        return functional.linear(x, of_heads).unflatten(2, (self.heads, -1)).transpose(1, 2)

    def keys_and_values(self, kv: Tensor) -> tuple[Tensor, Tensor]:
        """The two parts that `project` put side by side."""
        k, v = kv.split([self.key_width, self.head_width], dim=-1)
        return k, v

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        """(..., C, L): q . k / sqrt(K) of queries (..., C, K) and keys (..., L, K)."""
        return q @ k.transpose(-1, -2) * (1 / math.sqrt(self.head_width))

    def bias(self, guide: Tensor | None) -> Tensor:
        """The bias of each distance that is added to a score, (H, distances)."""
        if self.excluded is None:
            return self.distance_bias
        at = torch.arange(self.distance_bias.shape[1], device=self.distance_bias.device)
        return torch.where(at == self.excluded, MASKED, self.distance_bias)

    def weigh(self, scores: Tensor, q: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores with biases and masks (B, H, ..., C, L) -> weights of that shape, and
        of null (B, H, ..., C, 1).
        """
        beside = []
        if self.has_null:
            beside.append(self.score(q, per_head(self.null_key, scores.dim())))
        if self.sink is not None:
            beside.append(per_head(self.sink, scores.dim()).expand(*scores.shape[:-1], 1))
        if not beside:
            return torch.softmax(scores, dim=-1).to(q.dtype), None
        a = torch.softmax(torch.cat([scores, *beside], dim=-1), dim=-1).to(q.dtype)
        keys = scores.shape[-1]
        return a[..., :keys], a[..., keys : keys + 1] if self.has_null else None

    def sums(self, a: Tensor, null: Tensor | None, v: Tensor) -> Tensor:
        """Weights as `weigh` gives them, (B, H, ..., C, L), and values (B, H, ..., L,
        K) -> (B, H, ..., C, K).
        """
        y = a @ v
        return y if null is None else y + null * per_head(self.null_value.to(v.dtype), v.dim())

    def merge(self, z: Tensor) -> Tensor:
        """(B, H, T, K) -> (B, T, D), through W_O."""
        out: Tensor = self.output(z.transpose(1, 2).flatten(2))
        return out


def toeplitz(row: Tensor, queries: int) -> Tensor:
    """(H, C + L - 1) -> (H, C, L): element (c, l) is row[C - 1 - c + l], so that it
    depends on c - l alone.

    Equal rows laid end to end and read with a line shorter by one: gathering would cost
    more, backward above all.
    """
    heads, length = row.shape
    if queries == 1:
        return row[:, None]
    flat = row[:, None].expand(heads, queries, length).reshape(heads, queries * length)
    shifted = flat[:, queries - 1 : queries - 1 + queries * (length - 1)].unflatten(1, (queries, length - 1))
    return shifted[..., : length - queries + 1]
