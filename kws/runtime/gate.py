"""The gate: while it is quiet the model sleeps, and the first sound wakes it.

A slice of 20 ms is loud where the energy of the last 60 ms exceeds the floor under the
noise in one of two bands: around 2 kHz, where vowels are, and above, where the hiss of
an s is. Each floor follows what is quieter at once and rises slowly towards what is
louder, a minimum statistic (Martin 2001, "Noise power spectral density estimation based
on optimal smoothing and minimum statistics"). So a steady noise is quiet after a while,
and speech is not. Rumble is in neither band.

Energies are counted in whole 1/256 dB: so a floor is the same however a stream is cut.

N chunks, L slices of 20 ms in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws.arrays import IntArray, Samples
from kws.metadata import ModelInfo
from kws.units import samples

KEPT_S = 0.48  # of the sound before the first loud slice that the model hears after all
_SLICE = 320  # samples
_UNIT = 256  # of a decibel
_LOUD = 3 * _UNIT  # above the floor
_RISE = 15  # in 20 ms: 3 dB in a second
_SMOOTHED = 3  # slices whose energy is one
_TAPS = 4  # samples that a band looks at
_LEAST = -105 * _UNIT  # re full scale: the noise of 16 bits is a little above it
_NEVER = 1000 * _UNIT


class Part(NamedTuple):
    """Chunks of a stream, and what the stream does with them.

    pcm: (1, N * chunk_samples). heard: whether the model hears them; where not, it
    sleeps. again: the chunks came earlier while the model slept, and the gate kept
    them; the model hears them now, because the sound after them woke it. anew: chunks
    before these were lost while the model slept, so that it begins as after silence;
    without a loss it goes on as if it had never slept.
    """

    pcm: Samples
    heard: bool
    again: bool = False
    anew: bool = False


class Gate:
    """The gate of one stream: which chunks its model hears. Its memory never grows.

    A model falls asleep once nothing was loud for `quiet_chunks`, and the first loud
    chunk wakes it.
    """

    def __init__(self, chunk_samples: int, quiet_chunks: int) -> None:
        self._chunk = chunk_samples
        self._slice = _SLICE if chunk_samples % _SLICE == 0 else chunk_samples
        self._quiet_chunks = quiet_chunks
        self._most_kept = -(-samples(KEPT_S) // chunk_samples)
        self.reset()

    def reset(self) -> None:
        """Forget everything: as new, and awake."""
        self._floors = np.full((2, 1), _NEVER, np.int64)
        self._samples = np.zeros((1, _TAPS - 1), np.float32)
        self._powers = np.zeros((2, _SMOOTHED - 1))
        self._quiet = 0  # chunks since a slice was loud
        self._kept: list[Samples] = []
        self._is_lost = False  # something that came before what is kept

    @property
    def asleep(self) -> bool:
        """Whether the model sleeps."""
        return self._quiet >= self._quiet_chunks

    def take(self, pcm: Samples) -> Iterator[Part]:
        """The next chunks (1, N * chunk_samples) in parts, in order of time."""
        begin, hears = 0, not self.asleep
        for at, is_loud in enumerate(self._loud(pcm).tolist()):
            wakes = self.asleep and is_loud
            heard = wakes or not self.asleep
            self._quiet = 0 if is_loud else self._quiet + 1
            if heard != hears:
                yield from self._part(pcm, begin, at, hears)
                begin, hears = at, heard
            if wakes and self._kept:
                kept, self._kept = np.concatenate(self._kept, axis=1), []
                yield Part(kept, True, again=True, anew=self._is_lost)
                self._is_lost = False
        yield from self._part(pcm, begin, pcm.shape[1] // self._chunk, hears)

    def _part(self, pcm: Samples, begin: int, end: int, heard: bool) -> Iterator[Part]:
        """Chunks from `begin` up to, not including, `end`. Chunks that the model does
        not hear are kept for a while.
        """
        if begin == end:
            return
        own = pcm[:, begin * self._chunk : end * self._chunk]
        if not heard:
            first = max(begin, end - self._most_kept)
            chunks = [pcm[:, at * self._chunk : (at + 1) * self._chunk].copy() for at in range(first, end)]
            self._is_lost |= len(self._kept) + end - begin > self._most_kept
            self._kept = (self._kept + chunks)[-self._most_kept :]
        yield Part(own, heard, anew=not heard and self._is_lost)

    def _loud(self, pcm: Samples) -> NDArray[np.bool_]:
        """Which chunks (N,) have a loud slice."""
        levels = self._levels(pcm)
        rise = _RISE * np.arange(1 + levels.shape[1])
        # a floor f follows f[t] = min(level[t], f[t - 1] + rise): a running minimum of level[t] - t rise
        floors = np.minimum.accumulate(np.concatenate([self._floors, levels], axis=1) - rise, axis=1) + rise
        loud = (levels > floors[:, :-1] + _RISE + _LOUD).any(axis=0)
        self._floors = floors[:, -1:]
        per_chunk: NDArray[np.bool_] = loud.reshape(-1, self._chunk // self._slice).any(axis=1)
        return per_chunk

    def _levels(self, pcm: Samples) -> IntArray:
        """(2, L) of both bands, re full scale, in 1/256 dB."""
        x = np.concatenate([self._samples, pcm], axis=1)[0].astype(np.float64)  # as the page's JavaScript counts
        self._samples = pcm[:, 1 - _TAPS :].copy()
        differences = x[1:] - x[:-1]
        high = differences[2:] - differences[1:-1]
        middle = differences[2:] + 2 * differences[1:-1] + differences[:-2]  # no DC, and twice nothing at 8 kHz
        powers = np.square(np.concatenate([middle, high]).reshape(2, -1, self._slice)).mean(axis=2)
        powers = np.concatenate([self._powers, powers], axis=1)
        self._powers = powers[:, 1 - _SMOOTHED :]
        smooth = powers[:, :-2] + powers[:, 1:-1] + powers[:, 2:]
        levels = np.rint(10 * _UNIT * np.log10(smooth / _SMOOTHED + 1e-12)).astype(np.int64)
        return np.maximum(levels, _LEAST)


def quiet_chunks(info: ModelInfo, gap_frames: int, hold_frames: int) -> int:
    """The number of quiet chunks after which earlier sound can no longer change an
    event: a path has ended, its candidate is decided, and the keyword may fire again.

    gap_frames: the longest run of blanks inside a path (`KeywordScorer.longest_gap`).
    hold_frames: of the verifier, 0 without one.
    """
    frames = gap_frames + hold_frames + info.scoring.refractory_frames
    return -(-frames // info.frames_per_chunk)
