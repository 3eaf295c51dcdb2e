"""Checks incoming audio, converts it to 16 kHz float32, and cuts it into whole chunks
of a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.arrays import Samples
from kws.audio import Resampler, check_rate
from kws.audio.pickup import LOUDEST
from kws.errors import InputError

_INT16 = np.dtype(np.int16)
_TYPES = (_INT16, np.dtype(np.float32))


class Chunker:
    """Cuts one microphone's samples into chunks. It keeps at most `most_chunks` of
    them, and the state of its resampler.
    """

    def __init__(self, sample_rate: int, chunk_samples: int, most_chunks: int = 1) -> None:
        """most_chunks: the most chunks that `take` gives at once.

        Raises InputError for a rate that cannot be heard, and KwsError where the rate
        needs soxr and soxr is missing.
        """
        check_rate(sample_rate)
        self.sample_rate = sample_rate
        self._chunk_samples = chunk_samples
        self._kept = np.zeros((1, most_chunks * chunk_samples), np.float32)
        self.reset()

    def missing(self, chunks: int) -> int:
        """How many samples at 16 kHz complete so many chunks, of which some may be
        kept already; at least 1.
        """
        return max(1, chunks * self._chunk_samples - self._fill)

    def reset(self) -> None:
        """Forget all samples, as if new."""
        self._fill = 0
        self._ended = False
        self._resampler = None if self.sample_rate == units.SAMPLE_RATE else Resampler(self.sample_rate)

    def take(self, samples: NDArray[Any], last: bool = False, least: int = 1) -> Iterator[Samples]:
        """The chunks that the samples complete, up to `most_chunks` at a time: (1,
        chunks * chunk_samples).

        samples: as `Stream.push` takes them. last: the stream ends; half a second of
        silence follows, filled up to a whole chunk. least: fewer chunks are kept until
        more samples come, unless the stream ends. Raises InputError as `Stream.push`
        does, at once, and the chunker is then as it was before.
        """
        if self._ended:
            raise InputError("the stream has ended: reset it, or begin a new one")
        pcm = _checked(samples)
        if self._resampler is not None:
            pcm = self._resampler.push(pcm, last)
        if last:
            self._ended = True
            used = self._fill + pcm.size + units.FLUSH_SAMPLES
            pcm = np.concatenate([pcm, np.zeros(units.FLUSH_SAMPLES + -used % self._chunk_samples, np.float32)])
        return self._chunks(pcm, 1 if last else least)

    def _chunks(self, pcm: Samples, least: int) -> Iterator[Samples]:
        fewest = min(least * self._chunk_samples, self._kept.size)
        while (there := min(self._fill + pcm.size, self._kept.size)) >= fewest:
            new = there - self._fill
            self._kept[0, self._fill : there] = pcm[:new]
            pcm = pcm[new:]
            whole, fewest = there // self._chunk_samples * self._chunk_samples, self._chunk_samples
            chunks, rest = np.split(self._kept[:, :there].copy(), [whole], axis=1)
            self._fill = rest.size
            self._kept[:, : rest.size] = rest
            yield chunks
        self._kept[0, self._fill : self._fill + pcm.size] = pcm
        self._fill += pcm.size


def _checked(samples: NDArray[Any]) -> Samples:
    """float32 samples in [-1, 1], or InputError."""
    if not isinstance(samples, np.ndarray) or samples.dtype not in _TYPES:
        kind = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
        raise InputError(f"samples must be a numpy array of int16 or float32, not {kind}")
    if samples.ndim != 1:
        raise InputError(f"samples must be mono, of shape (n,), not {samples.shape}")
    if samples.dtype == _INT16:
        return np.multiply(samples, np.float32(2**-15), dtype=np.float32)
    loudest = float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))
    if not math.isfinite(loudest):
        raise InputError("samples must be finite numbers, and some are NaN or infinite")
    if loudest > LOUDEST:
        raise InputError(f"float32 samples must lie in [-1, 1], not reach {loudest:g}: divide int16 by 32768")
    return samples
