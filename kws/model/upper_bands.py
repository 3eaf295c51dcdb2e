"""Bandwidth extension of mel energies: the bands that a telephone cuts off get about
the energy that speech would have there.

    E'_m = max(E_m, exp(sum_n W_mn log E_n + b_m))        for bands m above 3.4 kHz, n below

A sampling rate of 8 kHz leaves nothing above 4 kHz, so that the upper bands of a model
of wide-band speech stand at their floor, where no training has ever seen them. W and b
are the least-squares prediction of the upper bands from the lower ones at any level
(the weights of a band add up to 1), less a margin of 6 nats (26 dB): wide-band speech
lies above it nearly always and is left as it is.
(Linear extension of the spectral envelope, after Jax and Vary 2003, "On artificial
bandwidth extension of telephone speech", with mel energies in place of an LPC envelope.
Figures: docs/decisions.md.)

The table is of the bands of `LogMel(40)`; `benchmarks/upper_bands.py` makes it anew.

Shapes: B batch, F hops of 10 ms, M mel bands, N lower bands.
"""

from importlib import resources

import numpy as np
import torch
from torch import Tensor, nn

TABLE = "upper_bands.csv"  # a row for each upper band: N weights and the constant
MARGIN = 6.0  # nats
_NEVER = -50.0  # the logarithm of no energy at all


class UpperBands(nn.Module):
    """(B, F, M) mel energies -> the same with upper bands that are not empty."""

    weights: Tensor  # (M, M): of log energies of all bands, for each band; 0 for a lower one
    constants: Tensor  # (M,)

    def __init__(self, mels: int, floor: float) -> None:
        """floor: added to the energies before the logarithm."""
        super().__init__()
        self.floor = floor
        table = read_table()
        lower = table.shape[1] - 1
        if lower + len(table) != mels:
            raise ValueError(f"bands are extended of {lower + len(table)} mel bands, not of {mels}")
        weights, constants = np.zeros((mels, mels)), np.full(mels, _NEVER)
        weights[:lower, lower:] = table[:, :-1].T
        constants[lower:] = table[:, -1] - MARGIN
        self.register_buffer("weights", torch.from_numpy(weights).float(), persistent=False)
        self.register_buffer("constants", torch.from_numpy(constants).float(), persistent=False)

    def forward(self, energies: Tensor) -> Tensor:
        """The energies, raised in the upper bands where speech would have far more."""
        likely = torch.log(energies + self.floor) @ self.weights + self.constants
        return torch.maximum(energies, torch.exp(likely))


def read_table() -> np.ndarray:
    """(M - N, N + 1): of each upper band the weights of the lower ones, and the
    constant.
    """
    with resources.files("kws.model").joinpath(TABLE).open(encoding="ascii") as file:
        return np.loadtxt(file, delimiter=",")
