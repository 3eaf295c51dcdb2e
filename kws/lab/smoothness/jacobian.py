"""The local Lipschitz constant of a function at a point: the largest singular value of
its Jacobian there.

Shapes: B rows (utterances), R restarts; a point is (B, ...), any shape behind the rows.

Power iteration on J^T J (von Mises and Pollaczek-Geiringer 1929; for the Lipschitz
constant of networks: Virmaux and Scaman 2018, "Lipschitz regularity of deep neural
networks"), with J never written out, in the form of Lanczos (1950; for singular values
Golub and Kahan 1965): the iterates are kept, made orthonormal,

    w_k = J v_k        v_(k+1) = J^T w_k, without its parts along v_1 ... v_k, of length 1

and the estimate is the largest singular value of J on their span, the root of the
largest eigenvalue of (w_i . w_j). It grows with every step, is a LOWER bound of the
local constant, and is never below what plain power iteration finds by as many products:
that one's iterate lies in the span. J^T w is a backward pass; J v is a second one,
through the graph of the first (https://j-towns.github.io/2017/06/12/A-new-trick.html):
J^T w is linear in w, and its own transpose is J. That needs derivatives of derivatives,
which LSTM kernels and packed sequences have, and not forward mode, which they lack.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]  # (B, ...) -> (B, ...), row by row: rows must not meet
_NOTHING = 1e-5  # of a vector's length: less than this is rounding, in single precision


class LocalConstant(NamedTuple):
    """Lower bounds of the local Lipschitz constants at the rows of a point."""

    value: Tensor  # (B,) the largest of the restarts
    converged: Tensor  # (B,) bool: whether that restart's last step changed it by the tolerance at most
    steps: int  # iterations that were made


class Linearised:
    """The Jacobian J of `f` at `x` (B, ...), as two products that may be taken as often
    as wished.
    """

    def __init__(self, f: Function, x: Tensor) -> None:
        with torch.enable_grad():
            self._x = x.detach().requires_grad_()
            self._y = f(self._x)
            self._w = torch.zeros_like(self._y, requires_grad=True)  # J^T w is linear in w: where does not matter
            (self._back,) = torch.autograd.grad(self._y, self._x, self._w, create_graph=True)

    def product(self, v: Tensor) -> Tensor:
        """J v, for v like x."""
        (w,) = torch.autograd.grad(self._back, self._w, v, retain_graph=True)
        return w

    def transposed(self, w: Tensor) -> Tensor:
        """J^T w, for w like f(x)."""
        (v,) = torch.autograd.grad(self._y, self._x, w, retain_graph=True)
        return v


def local_constant(
    f: Function,
    x: Tensor,
    rng: np.random.Generator,
    iterations: int = 20,
    restarts: int = 2,
    tolerance: float = 1e-4,
) -> LocalConstant:
    """The largest singular value of the Jacobian of `f` at each row of `x` (B, ...),
    from below.

    The restarts (random directions) run side by side, as further rows. It stops where
    the last step changed no estimate by more than `tolerance` of itself, or after
    `iterations`.
    """
    if iterations < 2 or restarts < 1:
        raise ValueError("power iteration needs two iterations and one restart at least")
    jacobian = Linearised(f, x.repeat(restarts, *[1] * (x.dim() - 1)))
    v = torch.from_numpy(rng.standard_normal((restarts * len(x), *x.shape[1:]))).to(x)
    sigma = torch.zeros(len(v), dtype=x.dtype)
    settled = torch.zeros(len(v), dtype=torch.bool)
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    while len(outputs) < iterations and not settled.all():
        inputs.append(_next(v.flatten(1), inputs))
        w = jacobian.product(inputs[-1].view_as(v))
        outputs.append(w.flatten(1))
        image = torch.stack(outputs, dim=1)
        squares = torch.linalg.eigvalsh(image @ image.transpose(1, 2))[:, -1]
        before, sigma = sigma, squares.clamp(min=0).sqrt()
        settled = (sigma - before).abs() <= tolerance * sigma
        v = jacobian.transposed(w)
    best, which = sigma.unflatten(0, (restarts, len(x))).max(dim=0)
    return LocalConstant(best, settled.unflatten(0, (restarts, len(x))).gather(0, which[None])[0], len(outputs))


def _next(v: Tensor, inputs: list[Tensor]) -> Tensor:
    """(B, N) without its parts along the orthonormal `inputs`, (B, N) each, of length
    1; 0 where nothing is left.
    """
    length = v.norm(dim=1, keepdim=True)
    for _ in range(2):  # once would leave what rounding left
        for known in inputs:
            v = v - (v * known).sum(dim=1, keepdim=True) * known
    left = v.norm(dim=1, keepdim=True)
    return torch.where(left > _NOTHING * length, v / left, 0.0)
