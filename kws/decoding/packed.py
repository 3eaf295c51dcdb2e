"""Log-posteriors in few bytes: of each frame the likely tokens, in steps of one nat.

A frame keeps the tokens above exp(-5.5), each with a level, which is its log-posterior
rounded to whole nats. A frame is written as a symbol for each kept token, token x
LEVELS + level, in order of tokens, and a symbol that ends the frame: the bytes that bz2
makes small (Burrows and Wheeler 1994), since neighbours say the same. A token that is
not kept is read as its mean log-posterior over the frames with the same best token at
the same level.

A model may have been softened (`AcousticModel.soften`): its logits were divided by a
temperature, so that no token is unlikely. Then levels are those of the posteriors
before, and reading softens them again. A discount of the blank stays in them.

T frames, V tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Float32Array, IntArray
from kws.decoding.temperature import softened
from kws.errors import KwsError

LEVELS = 6  # 0 to 5 nats below certainty: what scores lose by that is in recipes/phones/RESULTS.md
_UNKEPT = LEVELS
_RARE = -12.0  # of a token that was kept in every frame of its kind
_STEP = 1 / 16  # nats, of the means
_BLANK_FRAME = -50.0  # of every token but the blank in a frame of silence


@dataclass(frozen=True)
class PackedPosteriors:
    """The log-posteriors of T frames. Raises KwsError where the parts do not fit.

    levels: (T, V) uint8, LEVELS where a token is not kept. nats: (LEVELS,) the mean
    log-posterior of each level. rest: (V * LEVELS, V) uint8, a row for each best token
    and its level: the mean log-posteriors of the tokens that are not kept, in
    sixteenths of a nat below 0. temperature: the one by which the model was softened.
    """

    levels: NDArray[np.uint8]
    nats: tuple[float, ...]
    rest: NDArray[np.uint8]
    temperature: float = 1.0

    def __post_init__(self) -> None:
        frames, tokens = self.levels.shape
        if len(self.nats) != LEVELS or self.rest.shape != (tokens * LEVELS, tokens):
            raise KwsError("the tables of the log-posteriors have other sizes than their tokens")
        if frames and self.levels.min(axis=1).max() == _UNKEPT:
            raise KwsError("a frame keeps no token")

    @classmethod
    def of(cls, log_posteriors: Float32Array, temperature: float = 1.0) -> PackedPosteriors:
        """Pack (T, V) log-posteriors of at least one frame."""
        exact = softened(np.asarray(log_posteriors, np.float64), 1 / temperature)
        levels = np.minimum(np.rint(-exact).clip(min=0), _UNKEPT).astype(np.uint8)
        levels[np.arange(len(levels)), exact.argmax(axis=1)] = levels.min(axis=1).clip(max=LEVELS - 1)
        nats = tuple(
            round(float(exact[levels == level].mean()), 3) if (levels == level).any() else -float(level)
            for level in range(LEVELS)
        )
        tokens = exact.shape[1]
        sums, counts = np.zeros((2, tokens * LEVELS, tokens))
        kinds, unkept = _kinds(levels), levels == _UNKEPT
        np.add.at(sums, kinds, np.where(unkept, exact, 0.0))
        np.add.at(counts, kinds, unkept)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), _RARE)
        return cls(levels, nats, np.rint(-means / _STEP).clip(0, 255).astype(np.uint8), temperature)

    def __len__(self) -> int:
        return len(self.levels)

    def frames(self, rows: IntArray) -> Float32Array:
        """The log-posteriors (..., V) of frames by their numbers (...); a negative
        number is a frame of silence.
        """
        levels = self.levels[rows]
        values = np.array([*self.nats, 0.0], np.float32)[levels]
        unkept = levels == _UNKEPT
        values[unkept] = (self.rest[_kinds(levels)] * np.float32(-_STEP))[unkept]
        values[rows < 0] = [0.0, *[_BLANK_FRAME] * (levels.shape[-1] - 1)]
        return softened(values, self.temperature)

    def symbols(self) -> bytes:
        """The levels as bytes; `levels_of` reads them."""
        frames, tokens = self.levels.shape
        end, dtype = tokens * LEVELS, _dtype(tokens)
        rows, ids = np.nonzero(self.levels < _UNKEPT)
        every = np.full(len(ids) + frames, end, dtype)
        every[np.arange(len(ids)) + rows] = ids * LEVELS + self.levels[rows, ids]
        return every.tobytes()


def levels_of(symbols: bytes, frames: int, tokens: int) -> NDArray[np.uint8]:
    """The levels (T, V) that `PackedPosteriors.symbols` wrote. Raises KwsError for
    other bytes, and for those of another number of frames.
    """
    end, dtype = tokens * LEVELS, _dtype(tokens)
    if len(symbols) % dtype.itemsize:
        raise KwsError("the log-posteriors are cut off")
    every = np.frombuffer(symbols, dtype)
    ends = every == end
    if len(every) and (every.max() > end or not ends[-1]):
        raise KwsError("the log-posteriors are not those of these tokens")
    if np.count_nonzero(ends) != frames:  # before anything as large as they say is made
        raise KwsError("its recordings are cut off")
    levels = np.full((frames, tokens), _UNKEPT, np.uint8)
    kept = np.flatnonzero(~ends)
    levels[np.cumsum(ends)[kept], every[kept] // LEVELS] = every[kept] % LEVELS
    return levels


def joined(parts: Sequence[Float32Array], temperature: float) -> PackedPosteriors:
    """The log-posteriors of several recordings, (T, V) each, one after the other."""
    return PackedPosteriors.of(np.concatenate(parts), temperature)


def _kinds(levels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The row of `rest` for each frame, by its best token and that token's level."""
    best = levels.argmin(axis=-1)
    return best * LEVELS + np.take_along_axis(levels, best[..., None], axis=-1)[..., 0].clip(max=LEVELS - 1)


def _dtype(tokens: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype("u1" if tokens * LEVELS < 256 else "<u2")
