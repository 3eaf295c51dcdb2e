"""Causal log-mel energies from raw PCM, inside the graph.

Shapes: B batch, S samples, F hops of 10 ms, M mel bands.

The row of hop f covers the 25 ms that end at sample 160 (f + 1): nothing of the future,
nothing late. The 512-point DFT, of 400 samples and 112 zeros, is computed in two stages
(Cooley and Tukey 1965: 512 = 32 x 16) as two small matrix products, which any runtime
has; a single DFT matrix would weigh 0.8 MB, and an FFT operator is missing in many
runtimes. Of real input, half of the first stage mirrors the other half and is left out.
The mel bands are those of the HTK formula, triangular, without normalisation
(torchaudio's defaults).
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from kws.model.streaming import StreamingLayer
from kws.model.upper_bands import UpperBands
from kws.model.windows import windows
from kws.units import HOP_SAMPLES, SAMPLE_RATE

_Hz = TypeVar("_Hz", float, Tensor)

WINDOW_SAMPLES = SAMPLE_RATE // 40  # 25 ms
LOW_HZ, HIGH_HZ = 20.0, 7600.0  # the edges of the lowest and the highest mel band
_POINTS = 512
_ROWS, _COLUMNS = 32, 16  # n = 16 n1 + n2, k = k1 + 32 k2
_USED_ROWS = WINDOW_SAMPLES // _COLUMNS  # 25: the others are zeros
_PIECE = 80  # samples: a hop has two such pieces, a window five
_USED_K1 = _ROWS // 2 + 1  # k1 = 17..31 mirror 15..1
FLOOR = 1e-6  # added to the mel energy: the log of digital silence is finite


class FrontendState(NamedTuple):
    tail: Tensor  # (B, 240) the PCM that the next hop still sees


class LogMel(StreamingLayer):
    """(B, S) PCM in [-1, 1], S a multiple of 160 -> (B, F, M) log-mel energies.

    mels: number of bands between `low_hz` and `high_hz`. extend_band: whether upper
    bands that a telephone has cut off are filled (kws.model.upper_bands).
    """

    window: Tensor
    first: Tensor
    second: Tensor
    filters: Tensor
    stride = HOP_SAMPLES
    look_back = WINDOW_SAMPLES - HOP_SAMPLES

    def __init__(
        self, mels: int = 40, low_hz: float = LOW_HZ, high_hz: float = HIGH_HZ, *, extend_band: bool = False
    ) -> None:
        super().__init__()
        self.mels = mels
        self.upper = UpperBands(mels, FLOOR) if extend_band else None
        first, second = _dft_stages()
        self.register_buffer("window", _window(), persistent=False)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)
        self.register_buffer("filters", _mel_of_squares(mels, low_hz, high_hz), persistent=False)

    def init_state(self, batch: int) -> FrontendState:
        return FrontendState(self.zeros(batch, self.look_back))

    def forward(self, x: Tensor, state: FrontendState) -> tuple[Tensor, FrontendState]:
        energies, state = self.energies(x, state)
        return torch.log(energies + FLOOR), state

    def energies(self, x: Tensor, state: FrontendState) -> tuple[Tensor, FrontendState]:
        """The mel energies of `forward`, before the logarithm."""
        batch, samples = x.shape
        hops = samples // HOP_SAMPLES
        pcm = torch.cat([state.tail, x], dim=1)
        pieces = pcm.reshape(batch, pcm.shape[1] // _PIECE, _PIECE)
        window = windows(pieces, WINDOW_SAMPLES // _PIECE, HOP_SAMPLES // _PIECE)
        window = window.reshape(batch * hops, _USED_ROWS, _COLUMNS)
        # stage 1 over n1, for all n2: (17 x 2 outputs: k1, real and imaginary) x (25 rows)
        grid = self.first @ (window * self.window)
        # stage 2 over (real, imaginary) and n2, one matrix per k1, the twiddle factors inside
        grid = grid.reshape(batch * hops, _USED_K1, 2 * _COLUMNS).transpose(0, 1)
        spectrum = grid @ self.second
        power = (spectrum * spectrum).transpose(0, 1).reshape(batch, hops, _USED_K1 * 2 * _COLUMNS)
        energies = power @ self.filters
        if self.upper is not None:
            energies = self.upper(energies)
        return energies, FrontendState(pcm[:, -self.look_back :])


def _window() -> Tensor:
    """A periodic Hann window of 400 samples, (25, 16)."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    return _float(hann.reshape(_USED_ROWS, _COLUMNS))


def _dft_stages() -> tuple[Tensor, Tensor]:
    """Stage 1 (17 * 2, 25) and stage 2 (17, 2 * 16, 2 * 16) of the 512-point DFT of
    real input.
    """
    k1, n1 = np.arange(_USED_K1), np.arange(_USED_ROWS)
    inner = np.exp(-2j * np.pi * np.outer(k1, n1) / _ROWS)
    n2, k2 = np.arange(_COLUMNS), np.arange(_COLUMNS)
    k = k1[:, None, None] + _ROWS * k2[None, None, :]
    outer = np.exp(-2j * np.pi * n2[None, :, None] * k / _POINTS)
    real_in = np.concatenate([outer.real, outer.imag], axis=2)  # a real part contributes (re, im)
    imag_in = np.concatenate([-outer.imag, outer.real], axis=2)  # an imaginary part contributes (-im, re)
    first = np.stack([inner.real, inner.imag], axis=1).reshape(2 * _USED_K1, _USED_ROWS)
    return _float(first), _float(np.concatenate([real_in, imag_in], axis=1))


def _mel_of_squares(mels: int, low_hz: float, high_hz: float) -> Tensor:
    """Mel filters over the layout of stage 2: rows (k1, re/im, k2),
    (17 * 2 * 16, M).
    """
    edges = mel_to_hz(np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), mels + 2))
    bins_hz = np.arange(_POINTS // 2 + 1) * SAMPLE_RATE / _POINTS
    rising = (bins_hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins_hz[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    k1, k2 = np.meshgrid(np.arange(_USED_K1), np.arange(_COLUMNS), indexing="ij")
    k = k1 + _ROWS * k2
    mirrored = np.minimum(k, _POINTS - k)
    twice = (k > _POINTS // 2) & (k1 % (_ROWS // 2) == 0)  # k1 = 0 and 16 hold their bins and the mirror of each
    per_bin = np.where(twice[..., None], 0.0, triangles[mirrored])
    return _float(np.stack([per_bin, per_bin], axis=1).reshape(-1, mels))


def hz_to_mel(hz: _Hz) -> _Hz:
    """Hertz to mel, by the HTK formula."""
    ratio = 1.0 + hz / 700.0
    return 2595.0 * (torch.log10(ratio) if isinstance(ratio, Tensor) else math.log10(ratio))


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Mel to Hertz, by the HTK formula."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def _float(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()
