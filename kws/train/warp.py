"""Vocal tract length perturbation: every row of a batch as if a taller or smaller
person had said it (Jaitly and Hinton 2013, "Vocal Tract Length Perturbation (VTLP)
improves speech recognition").

Shapes: B rows, F hops of 10 ms, M mel bands.
"""

import numpy as np
import torch
from torch import Tensor, nn

from kws.errors import KwsError
from kws.model.frontend import HIGH_HZ, LOW_HZ, hz_to_mel, mel_to_hz


class VocalTractWarp(nn.Module):
    """(B, F, M) log-mel energies with the frequency axis stretched by a factor between
    1 - most and 1 + most, drawn for each row. With 0 nothing is stretched, and nothing
    is drawn.
    """

    centres: Tensor

    def __init__(self, mels: int, most: float) -> None:
        super().__init__()
        self.most = most
        self._low, high = hz_to_mel(LOW_HZ), hz_to_mel(HIGH_HZ)
        self._step = (high - self._low) / (mels + 1)
        centres = mel_to_hz(self._low + self._step * np.arange(1, mels + 1))
        self.register_buffer("centres", torch.from_numpy(centres).float(), persistent=False)

    def forward(self, mel: Tensor) -> Tensor:
        if not self.most:
            return mel
        bands = mel.shape[-1]
        factors = 1 + self.most * (2 * torch.rand(len(mel), 1, device=mel.device) - 1)
        places = ((hz_to_mel(factors * self.centres) - self._low) / self._step - 1).clamp(0, bands - 1)
        below = places.floor().clamp(max=bands - 2)
        share = (places - below)[:, None]
        index = below.long()[:, None].expand(-1, mel.shape[1], -1)
        return mel.gather(2, index) * (1 - share) + mel.gather(2, index + 1) * share


def refuse_warp(vocal_tract: float) -> None:
    """Raise KwsError for a recipe's `vocal_tract` that is no share of the
    frequencies.
    """
    if not 0 <= vocal_tract < 1:
        raise KwsError(f"vocal_tract={vocal_tract:g} is no share of the frequencies: give 0 or more and less than 1")
