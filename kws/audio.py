"""Sound files as mono float32 at one rate, whole or in blocks with bounded memory.

PCM .wav files of 8, 16, 24 and 32 bits need nothing but the standard library; other
formats (flac, ogg, opus, mp3, float .wav ...) go through soundfile and other rates
through soxr, both brought by the extra `audio`. Channels are averaged. Rates from 8 kHz
up are resampled; below that speech lacks what a model listens to, and the file is
refused.
"""

from __future__ import annotations

import wave
from collections.abc import Generator, Iterator
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kws.arrays import Samples
from kws.errors import InputError, KwsError, require
from kws.units import SAMPLE_RATE

_Pieces = Generator[Samples, None, None]

LOWEST_RATE = 8_000  # Hz
HIGHEST_RATE = 768_000

_PIECE_FRAMES = 4_096  # decoded at a time: what a damaged file loses before its damage is at most this
_BLOCK_SAMPLES = 65_536
_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"ID3", b"\xff", b"FORM", b".snd", b"caff", b"NIST")
_UNKNOWN_BYTES = 0x7FFF_F000  # writers into pipes claim this length of data or more


def read(path: str | PathLike[str], rate: int = SAMPLE_RATE) -> Samples:
    """A whole file as mono float32 samples in [-1, 1], shape (N,), at `rate` Hz.

    Raises KwsError naming the file where it is missing, not audio, empty, damaged, or
    not finite.
    """
    return np.concatenate(list(blocks(path, _BLOCK_SAMPLES, rate)))


def blocks(
    path: str | PathLike[str], block_samples: int, rate: int = SAMPLE_RATE, start_s: float = 0.0
) -> Iterator[Samples]:
    """The same samples as `read` gives, block by block: all of block_samples but the
    last.

    start_s: seconds of the file that are passed over, without decoding them where the
    format allows that. A file that ends too early or breaks in the middle gives what is
    there first, and then raises KwsError.
    """
    held: list[Samples] = []
    count = 0
    failure = None
    pieces = _resampled(Path(path), rate, start_s)
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


def length_s(path: str | PathLike[str]) -> float:
    """How long a file says it is, in seconds; 0 where it does not say or cannot be
    read.
    """
    try:
        with wave.open(str(path), "rb") as reader:
            return reader.getnframes() / reader.getframerate()
    except (wave.Error, EOFError, OSError, ZeroDivisionError):
        pass
    try:
        soundfile = require("soundfile", extra="audio")
        return float(soundfile.info(path).duration)
    except (KwsError, RuntimeError):  # soundfile's errors are of the latter kind
        return 0.0


class Resampler:
    """A stream's change of rate (soxr, high quality); block sizes do not change what
    comes out.

    Raises InputError for a rate that is not a whole number of at least 8000 Hz,
    KwsError without soxr.
    """

    def __init__(self, source_rate: int, rate: int = SAMPLE_RATE) -> None:
        check_rate(source_rate)
        soxr = require("soxr", extra="audio")
        self._stream = soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")

    def push(self, samples: Samples, last: bool = False) -> Samples:
        """The samples (n,) that can be given out by now; after `last` no more may come."""
        resampled: Samples = self._stream.resample_chunk(samples, last=last)
        return resampled


def check_rate(rate: int) -> None:
    """Raise InputError unless the rate (Hz) is one that can be brought to 16 kHz."""
    if isinstance(rate, bool) or not isinstance(rate, (int, np.integer)) or rate < LOWEST_RATE:
        raise InputError(f"a sample rate of {rate!s:.20} Hz cannot be used: it takes {LOWEST_RATE} Hz or more")
    if rate > HIGHEST_RATE:  # soxr never comes back from a rate beyond all reason
        raise InputError(f"a sample rate of {rate!s:.20} Hz cannot be used: it takes {HIGHEST_RATE} Hz or less")


def _resampled(path: Path, rate: int, start_s: float) -> _Pieces:
    source_rate, pieces = _open(path, start_s)
    with closing(pieces):
        if source_rate == rate:
            yield from pieces
            return
        try:
            resampler = Resampler(source_rate, rate)
        except KwsError as error:
            raise KwsError(f"{path} has {source_rate} Hz: {error}") from error
        failure = None
        try:
            for piece in pieces:
                yield resampler.push(piece)
        except KwsError as error:  # what the resampler still holds comes first
            failure = error
        yield resampler.push(np.empty(0, np.float32), last=True)
        if failure is not None:
            raise failure


def _open(path: Path, start_s: float) -> tuple[int, _Pieces]:
    """The rate of a file in Hz, and its samples from a place on as they are decoded,
    mono.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError as error:
        raise KwsError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise KwsError(f"{path} is a folder, not a sound file") from error
    except OSError as error:
        raise KwsError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise KwsError(f"{path} is empty")
    if not head.startswith(_MAGIC):
        raise KwsError(f"{path} is not a sound file")
    if head.startswith(b"RIFF") and head.endswith(b"WAVE"):
        try:
            reader = wave.open(str(path), "rb")  # noqa: SIM115 - closed by _wave_pieces
        except EOFError as error:
            raise KwsError(f"{path} is a damaged .wav file: it ends inside its header") from error
        except wave.Error as error:
            if "unknown format" not in str(error):  # float and extensible formats are soundfile's
                raise KwsError(f"{path} is a damaged .wav file: {error}") from error
        else:
            return reader.getframerate(), _wave_pieces(path, reader, start_s)
    return _open_soundfile(path, start_s)


def _wave_pieces(path: Path, reader: wave.Wave_read, start_s: float) -> _Pieces:
    channels, width, frames = reader.getnchannels(), reader.getsampwidth(), reader.getnframes()
    done = min(frames, round(start_s * reader.getframerate()))
    with reader:
        if done:
            reader.setpos(done)
        while data := reader.readframes(_PIECE_FRAMES):
            data = data[: len(data) - len(data) % (channels * width)]  # the file may end inside a frame
            done += len(data) // (channels * width)
            yield _mono(path, from_pcm(data, width).reshape(-1, channels))
        rate = reader.getframerate()
    known = frames * channels * width < _UNKNOWN_BYTES
    _check_length(path, done, frames if known else done, rate)


def from_pcm(data: bytes, width: int) -> Samples:
    """Samples (n,) in [-1, 1] from little-endian PCM of `width` bytes: 1, which is
    unsigned, 2, 3 or 4.
    """
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(2**7)) / np.float32(2**7)
    if width == 2:
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(2**15)
    if width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        data = wide.tobytes()
    return np.frombuffer(data, "<i4").astype(np.float32) / np.float32(2**31)


def _open_soundfile(path: Path, start_s: float) -> tuple[int, _Pieces]:
    try:
        soundfile = require("soundfile", extra="audio")
    except KwsError as error:
        raise KwsError(f"{path} is not a PCM .wav file: {error}") from error
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise KwsError(f"{path} is not a sound file that can be read: {error.error_string}") from error
    return file.samplerate, _soundfile_pieces(path, file, start_s, soundfile.LibsndfileError)


def _soundfile_pieces(path: Path, file: Any, start_s: float, failure: type[Exception]) -> _Pieces:
    done = min(file.frames, round(start_s * file.samplerate))
    with file:
        if done:
            file.seek(done)
        while True:
            try:
                piece = file.read(_PIECE_FRAMES, dtype="float32", always_2d=True)
            except failure as error:
                raise KwsError(f"{path} is damaged after {done / file.samplerate:.2f} s") from error
            if not len(piece):
                break
            done += len(piece)
            yield _mono(path, piece)
        _check_length(path, done, file.frames, file.samplerate)


def _mono(path: Path, piece: Samples) -> Samples:
    """Samples (n,) from a piece (n, channels), once they are known to be finite."""
    if not np.isfinite(piece).all():
        raise KwsError(f"{path} has samples that are not finite numbers")
    mono: Samples = piece[:, 0] if piece.shape[1] == 1 else piece.mean(axis=1)
    return mono


def _check_length(path: Path, done: int, frames: int, rate: int) -> None:
    if not frames:
        raise KwsError(f"{path} has no samples")
    if done < frames:
        lengths = f"{done / rate:.2f} of {frames / rate:.2f} s"
        raise KwsError(f"{path} ends after {lengths}: it is truncated or damaged")
