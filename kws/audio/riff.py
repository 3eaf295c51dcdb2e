"""RIFF WAVE files with numpy alone: PCM, float and G.711, in every state that recorders
leave them in.

Python's own module `wave` is not used: it refuses float and extensible headers in some
versions of Python, lengths of 0 in all, and fails on odd chunks. RF64 and BW64, which
hold more than 4 GiB, are read too. N frames of C channels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import numpy as np

from kws.arrays import Float32Array, Samples
from kws.errors import KwsError

MAGIC = (b"RIFF", b"RF64", b"BW64")
PIECE_FRAMES = 4_096

_PIECE_BYTES = 2**20  # at most, however many channels a header speaks of
_UNKNOWN_BYTES = 0x7FFF_F000  # writers into pipes claim this length of data or more
_LONGEST_RIFF = 2**32  # bytes; the lengths of a longer file have overflowed
_LONGEST_FORMAT = 4_096  # bytes of a `fmt ` chunk; real ones have 16 to a few hundred
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_ENCODINGS = {_PCM: "pcm", _FLOAT: "float", _A_LAW: "a-law", _MU_LAW: "mu-law"}
_AFTER_DATA = (b"LIST", b"id3 ", b"ID3 ")  # what recorders write behind the samples


@dataclass(frozen=True)
class Wave:
    """The header of a file. encoding: pcm, float, a-law or mu-law. width: bytes of a
    sample. rate: Hz. frames: None where the header does not know.
    """

    encoding: str
    channels: int
    width: int
    rate: int
    frames: int | None

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.width


def open_wave(file: BufferedReader) -> Wave | None:
    """Reads the header of a RIFF file and leaves `file` at its first sample; None for
    codecs that numpy alone does not decode. Works on pipes.

    Raises KwsError, without the name of the file, for a header that is damaged.
    """
    magic, _, kind = struct.unpack("<4sI4s", _exactly(file, 12))
    if kind != b"WAVE":
        return None
    layout: tuple[str, int, int, int] | None = None
    long_bytes: int | None = None  # the length of the data in a header of 64 bits
    while True:
        name, size = struct.unpack("<4sI", _exactly(file, 8))
        if name == b"data":
            break
        if name == b"fmt ":
            if not 16 <= size <= _LONGEST_FORMAT:
                raise KwsError(f"is a damaged .wav file: its format takes {size} bytes")
            layout = _layout(_exactly(file, size))
            if layout is None:
                return None
        elif name == b"ds64" and 16 <= size <= _LONGEST_FORMAT:
            long_bytes = struct.unpack("<8xQ", _exactly(file, size)[:16])[0]
        else:
            _skip(file, size)
        if size % 2 and file.peek(1)[:1] == b"\0":  # some writers forget the byte that makes a chunk even
            file.read(1)
    if layout is None:
        raise KwsError("is a damaged .wav file: its format does not come before its samples")
    encoding, channels, width, rate = layout
    known = _known_bytes(file, size, long_bytes if magic != b"RIFF" else None)
    return Wave(encoding, channels, width, rate, None if known is None else known // (channels * width))


def pieces(file: BufferedReader, wave: Wave, start: int) -> Iterator[Float32Array]:
    """The samples (S, C) from frame `start` on, as long as there are any; `file` stands
    at the first.
    """
    left = wave.frames
    if start:
        start = start if left is None else min(start, left)
        left = None if left is None else left - start
        _skip(file, start * wave.frame_bytes)
    most = max(1, min(PIECE_FRAMES, _PIECE_BYTES // wave.frame_bytes))
    while data := file.read(wave.frame_bytes * (most if left is None else min(most, left))):
        data = data[: len(data) - len(data) % wave.frame_bytes]  # the file may end inside a frame
        frames = len(data) // wave.frame_bytes
        left = None if left is None else left - frames
        if frames:
            yield decoded(data, wave).reshape(frames, wave.channels)


def decoded(data: bytes, wave: Wave) -> Samples:
    """The samples (S,), channels interleaved, of bytes in the file's encoding."""
    if wave.encoding == "float":
        return narrowed(np.frombuffer(data, f"<f{wave.width}"))
    if wave.encoding == "pcm":
        return from_pcm(data, wave.width)
    table = _a_law() if wave.encoding == "a-law" else _mu_law()
    return table[np.frombuffer(data, np.uint8)]


def narrowed(samples: np.ndarray[Any, np.dtype[np.floating[Any]]]) -> Float32Array:
    """Floats as float32. Those beyond its range are infinite, without a warning."""
    with np.errstate(over="ignore"):
        return samples.astype(np.float32)


def from_pcm(data: bytes, width: int) -> Samples:
    """Samples (S,) in [-1, 1] from little-endian PCM of `width` bytes: 1, which is
    unsigned, to 8.
    """
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(2**7)) / np.float32(2**7)
    if width == 2:
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(2**15)
    highest = np.zeros((len(data) // width, 4), np.uint8)  # float32 holds no more than the highest 4 bytes
    highest[:, max(0, 4 - width) :] = np.frombuffer(data, np.uint8).reshape(-1, width)[:, max(0, width - 4) :]
    return highest.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)


def _layout(chunk: bytes) -> tuple[str, int, int, int] | None:
    """The encoding, channels, bytes of a sample and rate of a `fmt ` chunk."""
    tag, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack("<H", chunk[24:26])[0]  # the codec is a GUID whose first two bytes are the tag
    if tag not in _ENCODINGS:
        return None
    if not channels:
        raise KwsError("is a damaged .wav file: it has 0 channels")
    width = (bits + 7) // 8
    if frame_bytes % channels == 0 and width < frame_bytes // channels <= 8:
        width = frame_bytes // channels  # 20 or 24 bits in the upper part of 32
    widths = {_PCM: range(1, 9), _FLOAT: (4, 8)}.get(tag, (1,))
    if width not in widths:
        raise KwsError(f"is a damaged .wav file: its {_ENCODINGS[tag]} samples have {bits} bits")
    return _ENCODINGS[tag], channels, width, rate


def _known_bytes(file: BufferedReader, size: int, long_bytes: int | None) -> int | None:
    """The length of the data; None where the program that wrote the header could not
    know it.
    """
    if long_bytes is not None:
        return long_bytes if 0 < long_bytes < 2**63 else None
    if size == 0:  # a recorder that was killed, or a recording without a sample
        return 0 if file.peek(4)[:4] in _AFTER_DATA else None
    if size >= _UNKNOWN_BYTES or _bytes_of(file) >= _LONGEST_RIFF:
        return None
    return size


def frames_of(file: BufferedReader, wave: Wave) -> int:
    """The frames that the header states, or else those that are there."""
    if wave.frames is not None:
        return wave.frames
    return max(0, _bytes_of(file) - file.tell()) // wave.frame_bytes


def _bytes_of(file: BufferedReader) -> int:
    if not file.seekable():
        return 0
    place = file.tell()
    length = file.seek(0, 2)
    file.seek(place)
    return length


def _exactly(file: BufferedReader, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise KwsError("is a damaged .wav file: it ends inside its header")
    return data


def _skip(file: BufferedReader, size: int) -> None:
    if file.seekable():
        file.seek(size, 1)
        return
    while size > 0 and (data := file.read(min(size, _PIECE_BYTES))):
        size -= len(data)


def _mu_law() -> Samples:
    """The value of each of the 256 codes of mu-law (ITU-T G.711), shape (256,)."""
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return (np.where(code & 0x80, -magnitude, magnitude) / 2**15).astype(np.float32)


def _a_law() -> Samples:
    """The value of each of the 256 codes of A-law (ITU-T G.711), shape (256,)."""
    code = np.arange(256) ^ 0x55
    step, segment = code & 0x0F, code >> 4 & 7
    magnitude = np.where(segment == 0, (step << 4) + 8, ((step << 4) + 264) << np.maximum(segment - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 2**15).astype(np.float32)
