"""Finds copies: the same recording under several names. It compares the sound, so it
also finds one that was padded, made louder, resampled or compressed.

Two takes of a word, even of one voice, never have the same waveform; a copy has, except
for what a codec loses. Clips are compared between 300 and 2000 Hz, which every
telephone and codec keeps, and in several bands apart: a loud hum that two takes share
says nothing about the other bands.

S samples, B bands.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kws.arrays import Float64Array, Samples
from kws.units import SAMPLE_RATE

_EDGES_HZ = (300.0, 450.0, 700.0, 1100.0, 1500.0, 2000.0)
_ALIKE = 0.7  # least correlation of a band: of two takes up to 0.5, of 12 kbit/s Opus from 0.8
_LEVEL_DB = 3.0  # by which the share of a band may differ
_LOSSLESS_DB = 0.1  # the same for more clips than _MANY, of which too many pairs would be near
_MANY = 2000
_LOUD = 1e-3  # share of a band whose level must be near
_FAINT = 1e-5  # share of a band that is left out of account, for a codec may fill it as it likes
_FINER = 4  # places between two samples of the correlation


class Sketch(NamedTuple):
    """The part of a clip that is compared: its waveform below 2 kHz (S,) at 4 kHz, and
    the share of each band in its power (B,).
    """

    wave: Samples
    shares: Float64Array


def sketch(samples: Samples) -> Sketch:
    """The sketch of a clip (S,) at 16 kHz that is not silent."""
    step = round(SAMPLE_RATE / (2 * _EDGES_HZ[-1]))
    samples = np.pad(samples, (0, -len(samples) % step))  # otherwise the wave is stretched, each clip's by its own
    whole = np.fft.rfft(samples.astype(np.float64))
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    length = max(2, len(samples) // step)
    kept = np.where((hz >= _EDGES_HZ[0]) & (hz < _EDGES_HZ[-1]), whole, 0)[: length // 2 + 1]
    powers = np.array([(np.abs(whole[_between(hz, band)]) ** 2).sum() for band in range(len(_EDGES_HZ) - 1)])
    wave = np.fft.irfft(kept, length).astype(np.float32)
    return Sketch(wave, powers / max(powers.sum(), np.finfo(np.float64).tiny))


def _between(hz: npt.NDArray[np.floating], band: int) -> npt.NDArray[np.bool_]:
    return (hz >= _EDGES_HZ[band]) & (hz < _EDGES_HZ[band + 1])


def copies(sketches: Sequence[Sketch]) -> dict[int, int]:
    """The clips that are copies of an earlier one, each with the first clip that it
    equals.

    Among more than 2,000 clips, copies that a codec has changed are not found: too many
    pairs would have to be compared.
    """
    found: dict[int, int] = {}
    if not sketches:
        return found
    shares = np.stack([one.shares for one in sketches])
    near_db = _LEVEL_DB if len(sketches) <= _MANY else _LOSSLESS_DB
    for first in range(len(sketches)):
        if first in found:
            continue
        later = shares[first + 1 :]
        loud = (later > _LOUD) | (shares[first] > _LOUD)
        apart = np.abs(10 * np.log10((later + _FAINT) / (shares[first] + _FAINT)))
        near = np.flatnonzero((apart * loud).max(axis=1, initial=0.0) < near_db) + first + 1
        for other in near.tolist():
            if other not in found and same_sound(sketches[first], sketches[other]):
                found[other] = first
    return found


def same_sound(one: Sketch, other: Sketch) -> bool:
    """Whether the waveforms are the same in every audible band, however shifted."""
    size = 1 << (len(one.wave) + len(other.wave) - 1).bit_length()
    a, b = np.fft.rfft(one.wave, size), np.fft.rfft(other.wave, size)
    crossed = a * b.conj()
    place = int(np.fft.irfft(crossed, _FINER * size).argmax()) / _FINER
    turned = (crossed * np.exp(2j * np.pi * np.arange(len(a)) * place / size)).real
    hz = np.fft.rfftfreq(size, 1 / (2 * _EDGES_HZ[-1]))
    for band, share in enumerate(np.maximum(one.shares, other.shares)):
        inside = _between(hz, band)
        powers = (np.abs(a[inside]) ** 2).sum() * (np.abs(b[inside]) ** 2).sum()
        if share > _FAINT and turned[inside].sum() < _ALIKE * np.sqrt(powers):
            return False
    return True
