"""Exclusive self-attention (XSA): attention without the part along a frame's own value,
and controls of it.

    z_i = y_i - g_h (y_i . u_i) u_i / (|u_i|^2 + eps)        per head, between the weighted sum y and W_O

    xsa      u_i = v_i, the frame's own value                (Zhai 2026, arXiv 2603.09078, equation 2)
    centre   u_i = v_i - mean of the values in the window    removes what the frame alone brings, not what all share;
                                                             eps grows with |v_i|^2
    prev     u_i = v_(i-1)                                   control: another frame's direction; 0 at the first frame
    offdir   u_i = a fixed random direction of the head      control: a direction less, whichever

g_h is 1, or with `gate` tanh(alpha_h) from alpha_h = 0 (as in public language-model
speed runs), so that a fresh gate takes nothing away. No other parameters, and in a
stream only the newest values are needed, so the cache is that of SA. The first frame of
a stream attends to itself alone: its z under xsa is 0 up to eps, and only the residual
path carries it (with `null` it is alive, with `centre` u is 0 and nothing is taken).
"""

import torch
from torch import Tensor, nn

from kws.model.mixers.spec import Switches

EPSILON = 1e-6  # small beside |v|^2 (of the order of K): z stays continuous at v = 0; the same in every execution
# Of |v|^2, for centred values: in steady sounds v - mean is a small difference of large
# numbers, and what rounding leaves of it must not count as a direction (trained models
# differed from their own ONNX files by more than 1e-4).
CENTRED_SHARE = 1e-2


def exclude(y: Tensor, direction: Tensor, gate: Tensor | None = None, epsilon: Tensor | float = EPSILON) -> Tensor:
    """`y` (..., K) without its projection on `direction` (..., K), the projection times
    `gate` where there is one.

    Computed in float32 because the difference cancels.
    """
    exact = torch.promote_types(y.dtype, torch.float32)
    wide_y, wide_u = y.to(exact), direction.to(exact)
    share = (wide_y * wide_u).sum(-1, keepdim=True) / ((wide_u * wide_u).sum(-1, keepdim=True) + epsilon)
    if gate is not None:
        share = share * gate
    return (wide_y - share * wide_u).to(y.dtype)


class Exclusion(nn.Module):
    """The exclusion in a mixer with values, as the switches say: the part of its
    weighted sums that is taken away. Without a switch nothing is.

    Shapes: H heads, K values of a head; ... may be frames, or blocks and frames.
    """

    direction: Tensor

    def __init__(self, heads: int, head_width: int, switches: Switches) -> None:
        super().__init__()
        self.own = switches.xsa
        self.centred, self.previous, self.fixed = switches.centre, switches.prev, switches.offdir
        self.alpha = nn.Parameter(torch.zeros(heads)) if switches.gate else None
        if self.fixed:
            self.register_buffer("direction", torch.randn(heads, head_width))

    def forward(self, y: Tensor, values: Tensor, previous: Tensor | None = None, mean: Tensor | None = None) -> Tensor:
        """(B, H, ..., K) weighted sums and the frames' own values -> the outputs of the
        heads, of the same shape.

        previous: the values of the frames before, for `prev`. mean: of the values in
        each frame's window, for `centre`.
        """
        gate = None if self.alpha is None else per_head(torch.tanh(self.alpha)[:, None], y.dim())
        if self.own and mean is not None:
            epsilon = EPSILON + CENTRED_SHARE * (values * values).sum(-1, keepdim=True)
            return exclude(y, values - mean, gate, epsilon)
        if self.own:
            return exclude(y, values, gate)
        if self.previous:
            assert previous is not None
            return exclude(y, previous, gate)
        if self.fixed:
            return exclude(y, per_head(self.direction, y.dim()), gate)
        return y


def per_head(x: Tensor, dimensions: int) -> Tensor:
    """(H, K) -> (H, 1, ..., 1, K), to meet tensors (B, H, ..., K) of so many
    dimensions.
    """
    return x.reshape(x.shape[0], *[1] * (dimensions - 3), x.shape[1])
