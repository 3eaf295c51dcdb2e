"""Measures faults that a sound can have before any model hears it: silence, a low
level, clipping, a telephone's band.

S samples.
"""

from __future__ import annotations

import math

import numpy as np

from kws.arrays import Samples
from kws.units import SAMPLE_RATE

_POINTS = 512
_SPEECH_HZ = (300, 3400)  # the band of a telephone
_ABOVE_HZ = (4300, 7000)  # what a telephone takes away
_FULL_SCALE = 0.99


class Sound:
    """Facts about a stream's sound, gathered block by block."""

    def __init__(self) -> None:
        self.samples = 0
        self.peak = 0.0  # 1 is full scale
        self._clipped = 0
        self._power = np.zeros(_POINTS // 2 + 1)
        self._rest = np.empty(0, np.float32)  # less than _POINTS samples, for the next block

    def add(self, samples: Samples) -> None:
        """Hear the next samples (S,) at 16 kHz."""
        loud = np.abs(samples)
        self.samples += samples.size
        self.peak = max(self.peak, float(loud.max(initial=0.0)))
        self._clipped += int((loud >= _FULL_SCALE).sum())
        samples = np.concatenate([self._rest, samples])
        whole = samples.size // _POINTS * _POINTS
        self._rest = samples[whole:]
        frames = samples[:whole].reshape(-1, _POINTS) * np.hanning(_POINTS)
        self._power += (np.abs(np.fft.rfft(frames, axis=1)) ** 2).sum(axis=0)

    @property
    def clipped(self) -> float:
        """The share of samples that stand at full scale."""
        return self._clipped / max(1, self.samples)

    @property
    def above_telephone_db(self) -> float:
        """The level above a telephone's band, in dB over the level in it."""
        low, high = (self._power[_bins(band)].mean() for band in (_SPEECH_HZ, _ABOVE_HZ))
        return 10 * math.log10(max(high, 1e-30) / low) if low > 0 else 0.0


def level_db(samples: Samples) -> float:
    """The highest level of 20 ms in samples (S,), in dB of full scale; -inf for digital
    silence.
    """
    size = SAMPLE_RATE // 50
    padded = np.pad(samples, (0, -samples.size % size)).reshape(-1, size).astype(np.float64)
    power = float((padded**2).mean(axis=1).max(initial=0.0))
    return 10 * math.log10(power) if power > 0 else -math.inf


def _bins(band: tuple[int, int]) -> slice:
    return slice(*(hz * _POINTS // SAMPLE_RATE for hz in band))
