"""Sound files as mono float32 at one rate, whole or in blocks with bounded memory.

Files of .wav with PCM, float or G.711 samples need nothing but numpy
(`kws.audio.riff`); all others (flac, ogg, opus, mp3, m4a, aac, webm, amr, gsm ...) go
through FFmpeg's libraries (`kws.audio.media`), and other rates through soxr, both
brought by the extra `audio`. Channels are averaged, unless they cancel each other or
one is asked for (`kws.audio.pickup`). Rates from 8 kHz up are resampled; below that
speech lacks what a model listens to, and the file is refused.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from io import BufferedReader
from os import PathLike
from pathlib import Path

import numpy as np

from kws.arrays import Float32Array, Samples
from kws.audio import containers, media, riff
from kws.audio.pickup import AS_IT_IS, Mixdown, Pickup
from kws.audio.riff import from_pcm as from_pcm
from kws.errors import InputError, KwsError, require
from kws.units import SAMPLE_RATE

_Rated = tuple[int, Float32Array]  # a rate in Hz, and samples

READING = 3  # raised when a file comes to give other samples: what was kept of it is then made anew
LOWEST_RATE = 8_000  # Hz
HIGHEST_RATE = 768_000

_BLOCK_SAMPLES = 65_536
_HEAD_BYTES = 200


def read(path: str | PathLike[str], rate: int = SAMPLE_RATE) -> Samples:
    """A whole file as mono float32 samples in [-1, 1], shape (N,), at `rate` Hz.

    Raises KwsError naming the file where it is missing, not audio, empty, damaged, or
    not finite.
    """
    return np.concatenate(list(blocks(path, _BLOCK_SAMPLES, rate)))


def blocks(
    path: str | PathLike[str],
    block_samples: int,
    rate: int = SAMPLE_RATE,
    start_s: float = 0.0,
    pickup: Pickup = AS_IT_IS,
) -> Iterator[Samples]:
    """The same samples as `read` gives, block by block: all of block_samples but the
    last.

    start_s: seconds of the file that are passed over, without decoding them where the
    format allows that. pickup: the channel and the gain. A file that ends too early or
    breaks in the middle gives what is there first, and then raises KwsError.
    """
    held: list[Samples] = []
    count = 0
    failure = None
    pieces = _resampled(Path(path), rate, start_s, pickup)
    try:
        for piece in pieces:
            held.append(piece)
            count += piece.size
            while count >= block_samples:
                joined = np.concatenate(held)
                yield joined[:block_samples]
                held = [joined[block_samples:]]
                count -= block_samples
    except KwsError as error:
        failure = error
    finally:
        pieces.close()
    if count:
        yield np.concatenate(held)
    if failure is not None:
        raise failure


def mono(path: Path, start_s: float = 0.0, pickup: Pickup = AS_IT_IS) -> Generator[tuple[int, Samples], None, None]:
    """A file's own rate in Hz and samples (S,), piece by piece, as they are before
    `blocks` resamples them. Arguments and errors are those of `blocks`.
    """
    with closing(_decoded(path, start_s)) as pieces:
        mixdown = Mixdown(pickup)
        for rate, piece in pieces:
            _check_finite(path, piece)
            try:
                with np.errstate(over="ignore"):  # the sum of channels can be infinite where they are not
                    samples = mixdown.push(piece)
            except InputError as error:
                raise KwsError(f"{path} {error}") from error
            _check_finite(path, samples)
            yield rate, samples


def _check_finite(path: Path, samples: Float32Array) -> None:
    if not np.isfinite(samples).all():
        raise KwsError(f"{path} has samples that are not finite numbers")


def lost_sound_before(path: str | PathLike[str], reading: int) -> bool:
    """Whether versions of this `READING` may have lost sound of such a file
    silently.
    """
    return reading < 2 and Path(path).suffix.lower() == ".mp3"


def length_s(path: str | PathLike[str]) -> float:
    """The length of a file in seconds, as the file states or its packets do; 0 where it
    cannot be read.
    """
    path = Path(path)
    if not path.is_file():  # a pipe would be drained
        return 0.0
    try:
        with path.open("rb") as file:
            wave = riff.open_wave(file) if file.peek(4)[:4] in riff.MAGIC else None
            if wave is not None:
                return riff.frames_of(file, wave) / wave.rate if wave.rate else 0.0
            file.seek(0)
            return media.length_s(file)
    except (KwsError, OSError):
        return 0.0


class Resampler:
    """Changes the rate of a stream (soxr, high quality). Block sizes do not change the
    result.

    Raises InputError for a rate that is not a whole number of at least 8000 Hz,
    KwsError without soxr.
    """

    def __init__(self, source_rate: int, rate: int = SAMPLE_RATE) -> None:
        check_rate(source_rate)
        soxr = require("soxr", extra="audio")
        self._stream = soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")

    def push(self, samples: Samples, last: bool = False) -> Samples:
        """The samples (S,) that can be given out by now; after `last` no more may
        come.
        """
        resampled: Samples = self._stream.resample_chunk(samples, last=last)
        return resampled


def check_rate(rate: int) -> None:
    """Raise InputError unless the rate (Hz) is one that can be brought to 16 kHz."""
    if isinstance(rate, bool) or not isinstance(rate, (int, np.integer)) or rate < LOWEST_RATE:
        raise InputError(f"a sample rate of {rate!s:.20} Hz cannot be used: it takes {LOWEST_RATE} Hz or more")
    if rate > HIGHEST_RATE:  # soxr never comes back from a rate beyond all reason
        raise InputError(f"a sample rate of {rate!s:.20} Hz cannot be used: it takes {HIGHEST_RATE} Hz or less")


def _resampled(path: Path, rate: int, start_s: float, pickup: Pickup) -> Generator[Samples, None, None]:
    """A file's samples (S,) at one rate; what was decoded before it broke comes
    first.
    """
    current, resampler = rate, None
    failure = None
    with closing(mono(path, start_s, pickup)) as pieces:
        try:
            for source_rate, piece in pieces:
                if source_rate != current:  # chained streams may change it
                    if resampler is not None:
                        yield resampler.push(np.empty(0, np.float32), last=True)
                    resampler = None if source_rate == rate else _resampler(path, source_rate, rate)
                    current = source_rate
                yield piece if resampler is None else resampler.push(piece)
        except KwsError as error:  # what the resampler still holds comes first
            failure = error
    if resampler is not None:
        yield resampler.push(np.empty(0, np.float32), last=True)
    if failure is not None:
        raise failure


def _resampler(path: Path, source_rate: int, rate: int) -> Resampler:
    try:
        return Resampler(source_rate, rate)
    except KwsError as error:
        raise KwsError(f"{path} has {source_rate} Hz: {error}") from error


def _decoded(path: Path, start_s: float) -> Generator[_Rated, None, None]:
    """A file's samples (S, channels) from a place on, each piece with its rate in
    Hz.
    """
    try:
        with path.open("rb") as file:
            head = file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
            if not head:
                raise KwsError("is empty")
            wave = riff.open_wave(file) if head.startswith(riff.MAGIC) else None
            yield from _media(file, head, path.suffix, start_s) if wave is None else _wave(file, wave, start_s)
    except FileNotFoundError as error:
        raise KwsError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise KwsError(f"{path} is a folder, not a sound file") from error
    except OSError as error:
        raise KwsError(f"{path} cannot be read: {error.strerror or error}") from error
    except KwsError as error:
        raise KwsError(f"{path} {error}") from error


def _wave(file: BufferedReader, wave: riff.Wave, start_s: float) -> Iterator[_Rated]:
    done = start = round(start_s * wave.rate)
    for piece in riff.pieces(file, wave, start):
        done += len(piece)
        yield wave.rate, piece
    if wave.frames == 0 or not done:
        raise KwsError("has no samples")
    if wave.frames is not None and done < wave.frames:
        lengths = f"{done / wave.rate:.2f} of {wave.frames / wave.rate:.2f} s" if wave.rate else "its length"
        raise KwsError(f"ends after {lengths}: it is truncated or damaged")


def _media(file: BufferedReader, head: bytes, suffix: str, start_s: float) -> Iterator[_Rated]:
    if containers.is_other(head):
        raise KwsError("is of a kind that is not read: convert it with `ffmpeg -i FILE FILE.wav`")
    if not containers.is_known(head, suffix):
        raise KwsError("is not a sound file")
    if file.seekable():
        file.seek(0)
    elif file.peek(12)[:12] != head[:12]:
        raise KwsError("cannot be read from a pipe: write it into a file first")
    empty = True
    passed = 0  # samples still to pass over, once the rate is known
    for rate, piece in media.pieces(file):
        if empty:
            passed = round(start_s * rate)
        empty = False
        if passed < len(piece):
            yield rate, piece[passed:]
        passed = max(0, passed - len(piece))
    if empty:
        raise KwsError("has no samples")
