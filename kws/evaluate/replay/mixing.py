"""Mixes noise under a recording, and puts a recording into a room: the same way on
every machine, in bounded memory.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kws import audio
from kws.arrays import Samples
from kws.data import augment
from kws.errors import KwsError, require
from kws.evaluate.replay.files import FileIdentity, file_identity, sound_of
from kws.units import SAMPLE_RATE

_PIECE_S = 60  # of a longer noise file that a source gets
_SEAM = SAMPLE_RATE // 10  # samples over which the end of a noise fades into its beginning
_FAINT = 0.5  # times the RMS of its file: softer noise under a source is drawn anew
_DRAWS = 50
SILENT = 1e-5  # RMS of a noise that is none


def in_noise(
    dry: Iterator[Samples],
    lead: int,
    path: Path,
    noise: Path,
    snr: float,
    rng: np.random.Generator,
    channel: int | None = None,
) -> Iterator[Samples]:
    """`dry` with a piece of the noise that repeats as often as needed. The first `lead`
    samples of `dry` come before the recording `path`. channel: of the recording, as of
    `sound_of`.
    """
    level, length = speech_level(path, channel)
    piece = _draw_piece(noise, rng)
    start = _draw_place(piece, length, rng)
    gain = np.float32(level / (_rms(piece, start, length) * augment.decibels(snr)))
    start -= lead
    for block in dry:
        yield np.clip(block + gain * _round(piece, start, len(block)), -1.0, 1.0)
        start += len(block)


def in_room(dry: Iterator[Samples], room: Path) -> Iterator[Samples]:
    """`dry` convolved with a response, without its delay."""
    yield from convolved(dry, *augment.recorded_rir(audio.read(room)))


def convolved(dry: Iterator[Samples], response: Samples, delay: int) -> Iterator[Samples]:
    """`dry` convolved with a response, without its first `delay` samples, by
    overlap-add: the tail of each block is added to the next.
    """
    signal = require("scipy.signal", extra="score")
    ringing, early = np.zeros(len(response) - 1, np.float32), delay
    for block in dry:
        wet = signal.oaconvolve(block, response) if len(block) else np.zeros(len(ringing), np.float32)
        wet[: len(ringing)] += ringing
        ringing = wet[len(block) :]
        yield np.clip(wet[early : len(block)], -1.0, 1.0)
        early = max(0, early - len(block))
    yield np.clip(ringing[early:delay], -1.0, 1.0)


def speech_level(path: Path, channel: int | None = None) -> tuple[float, int]:
    """The level of the speech in a file, and its length in samples. The file is read
    once, with 8 bytes kept for every 25 ms.
    """
    powers: list[npt.NDArray[np.float64]] = []
    length = 0
    for block in sound_of(path, channel):
        powers.append(augment.frame_powers(block))
        length += len(block)
    whole = np.concatenate(powers)
    return (augment.louder_half(whole) if len(whole) else augment.rms(block)), length


def _draw_piece(noise: Path, rng: np.random.Generator) -> Samples:
    """A piece of a noise that is not silent. Raises KwsError where none is found."""
    starts_s = rng.random(_DRAWS) * max(0.0, audio.length_s(noise) - _PIECE_S)
    for start_s in dict.fromkeys(starts_s.tolist()):
        piece = _piece(file_identity(noise), start_s)
        if augment.rms(piece) >= SILENT:
            return piece
    raise KwsError(f"{noise} is silent: it is no noise to mix with")


@lru_cache(maxsize=1)  # the same at every SNR
def _piece(noise: FileIdentity, start_s: float) -> Samples:
    """A piece (S,) of a noise that can be repeated: its end fades over into its
    beginning.
    """
    piece = np.concatenate(list(islice(audio.blocks(noise[0], SAMPLE_RATE, start_s=start_s), _PIECE_S)))
    seam = min(_SEAM, len(piece) // 4)
    rise = np.sqrt(np.linspace(0.0, 1.0, seam, dtype=np.float32))  # of equal power: the two do not know each other
    looped = piece[seam:].copy()
    looped[len(looped) - seam :] *= rise[::-1]
    looped[len(looped) - seam :] += piece[:seam] * rise
    return looped


def _draw_place(piece: Samples, length: int, rng: np.random.Generator) -> int:
    """A start in the repeated piece for a test item of `length` samples: one at which
    the noise is not nearly silent, if there is such a place.
    """
    enough = _FAINT * augment.rms(piece)
    places = rng.integers(len(piece), size=_DRAWS).tolist()
    loud = next((place for place in places if _rms(piece, place, length) >= enough), None)
    return max(places, key=lambda place: _rms(piece, place, length)) if loud is None else loud


def _rms(piece: Samples, start: int, length: int) -> float:
    """RMS of `length` samples of a piece that repeats, maybe many times."""
    rounds, rest = divmod(length, len(piece))
    energy = rounds * len(piece) * augment.rms(piece) ** 2 if rounds else 0.0
    energy += rest * augment.rms(_round(piece, start, rest)) ** 2 if rest else 0.0
    return float(np.sqrt(energy / length))


def _round(piece: Samples, start: int, count: int) -> Samples:
    """`count` samples of a repeated piece, from a sample number of any size on."""
    return np.take(piece, np.arange(start, start + count), mode="wrap")
