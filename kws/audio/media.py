"""Sound files of every other kind through FFmpeg's libraries (PyAV, the extra `audio`).

FFmpeg decodes to the last packet that is there: also a stream that was written into a
pipe and knows no length, whose writer was killed, or that is several streams one after
another. Where FFmpeg loses sound silently, this module says so. N frames of C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from io import BufferedReader
from typing import Any, NamedTuple

import numpy as np

from kws.arrays import Float32Array
from kws.audio.amr import Pauses
from kws.audio.containers import OggPipe, Span, is_frame, is_open_ended, mp3_length, ogg_links, states_length
from kws.audio.riff import narrowed
from kws.errors import KwsError, require

Rated = tuple[int, Float32Array]  # a rate in Hz, and samples (S, C)

_PIECE_FRAMES = 4_096
# Only these are tried, so that no file can make FFmpeg open another one, as a playlist does.
_FORMATS = "aac,aiff,amr,asf,au,caf,flac,gsm,matroska,mov,mp3,nistsphere,ogg,w64,wav"
_MOV = "mov,mp4,m4a,3gp,3g2,mj2"
_MATROSKA = "matroska,webm"
# Whose length is written by those who knew it, and how much of it may be a codec's
# padding (seconds). In Matroska, where frames are long, it is four of them, as in
# `mp3_length`.
_SLACK_S = {"flac": 0.0, "aiff": 0.0, "au": 0.0, "nistsphere": 0.0, "ogg": 0.1, _MOV: 0.1, _MATROSKA: 0.1, "wav": 0.1}
_MOST_SLACK_S = 0.26  # two frames of aac at 8 kHz; those of lossless codecs are longer, and no padding


def pieces(file: BufferedReader) -> Iterator[Rated]:
    """The samples of a file as they are decoded, in pieces of some thousand.

    Damage does not end them: the sound after it is given too. At the end a KwsError
    (without the name of the file) says what was lost first; it comes at once where
    nothing can be decoded.
    """
    failure: KwsError | None = None
    heard_s = 0.0
    for part in _parts(file):
        heard_s, error = yield from _part_pieces(part, heard_s)
        failure = failure or error
    if failure is not None:
        raise failure


def _part_pieces(part: _Part, before_s: float) -> Generator[Rated, None, tuple[float, KwsError | None]]:
    """The pieces of one part; returns the seconds that were heard, those before
    included, and the error, if there was one.
    """
    heard_s = before_s
    try:
        with _Decoder(part, before_s) as decoder:
            yield from _joined(decoder.frames())
            heard_s = decoder.heard_s
            decoder.check()
    except KwsError as error:
        return heard_s, error
    return heard_s, None


def length_s(file: BufferedReader) -> float:
    """Seconds of sound: as the container states, or else as its packets state.

    Raises KwsError for a file that cannot be opened.
    """
    total = 0.0
    for part in _parts(file):
        with _Decoder(part) as decoder:
            total += decoder.packets_s() if decoder.claim.seconds is None else decoder.claim.seconds
    return total


class _Part(NamedTuple):
    """A part of a file that is decoded on its own. marks_count: whether a packet that
    FFmpeg marks as too short is a loss. mp3: see `mp3_length`. is_whole: asked once the
    part was read.
    """

    source: Any
    marks_count: bool = False
    mp3: tuple[float, float] | None = None
    states_length: bool = False
    is_whole: Callable[[], bool] = lambda: True


def _parts(file: BufferedReader) -> Iterator[_Part]:
    """A file, or each link of a chained Ogg file: FFmpeg loses what follows where their
    rates or channels differ.
    """
    head = file.peek(4)
    opening, states = head[:4], states_length(head)
    if opening == b"OggS" and file.seekable():
        for span in ogg_links(file):
            yield _Part(_UnnamedFile(file, span), is_whole=partial(bool, span.whole))
    elif opening == b"OggS":
        pipe = OggPipe(file)
        while pipe.next_link():
            yield _Part(pipe, is_whole=lambda: pipe.whole)
    elif file.seekable():
        # In a file of open length the last packet is always marked.
        marks_count = opening == b"riff" or (opening == b"caff" and not is_open_ended(file))
        mp3 = mp3_length(file)
        yield _Part(_UnnamedFile(file, None), marks_count, mp3, states)
    else:
        yield _Part(_UnnamedFile(file, None), opening == b"riff", states_length=states)


class _Claim(NamedTuple):
    """Seconds that a container says it holds, None where FFmpeg could only guess, and
    how many may be padding.
    """

    seconds: float | None
    slack_s: float = 0.0


class _Decoder:
    """An open part of a file. It counts the seconds that were decoded; before_s: those
    of the parts before it.
    """

    def __init__(self, part: _Part, before_s: float = 0.0) -> None:
        try:
            self._av: Any = require("av", extra="audio")
        except KwsError as error:
            raise KwsError(f"is not a .wav file of PCM: {error}") from error
        self._part = part
        self._container, self._stream = _open(self._av, part.source)
        self._kind: str = self._container.format.name
        self.claim = self._claim(part)
        self.heard_s = self._before_s = before_s
        self._longest_s = 0.0  # frame
        self._lost_s: float | None = None

    def __enter__(self) -> _Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def _claim(self, part: _Part) -> _Claim:
        if self._kind == "mp3":
            return _Claim(None) if part.mp3 is None else _Claim(*part.mp3)
        slack_s = _SLACK_S.get(self._kind)
        if slack_s is None or (self._kind in ("wav", _MATROSKA) and not part.states_length):
            return _Claim(None)
        if self._stream.duration is not None:
            return _Claim(float(self._stream.duration * self._stream.time_base), slack_s)
        if self._container.duration is not None and len(self._container.streams) == 1:  # else it may be the picture's
            return _Claim(self._container.duration / 1e6, slack_s)
        return _Claim(None)

    def packets_s(self) -> float:
        """The seconds that the packets state."""
        ticks = 0
        try:
            for packet in self._container.demux(self._stream):
                ticks += packet.duration or 0
        except self._av.FFmpegError:  # as far as it goes
            pass
        return float(ticks * self._stream.time_base)

    def frames(self) -> Iterator[Rated]:
        """The decoded frames of each packet. A packet that cannot be decoded is
        skipped, as FFmpeg does, and noted.
        """
        held: Rated | None = None
        for rate, frame in self._decoded():
            if held is not None:
                yield held
            held = rate, frame
            self.heard_s += len(frame) / rate
            self._longest_s = max(self._longest_s, len(frame) / rate)
        if held is not None:
            yield self._without_padding(*held)

    def _decoded(self) -> Iterator[Rated]:
        packets = self._container.demux(self._stream)
        pauses = Pauses(self._stream.codec_context.name)
        while True:
            try:
                packet = next(packets)
                if (pause := pauses.filled(packet)) is not None:
                    yield self._stream.codec_context.rate, pause
                    continue
                frames = packet.decode()
            except StopIteration:
                return
            except self._av.FFmpegError:
                if self._kind != "mp3" or is_frame(bytes(packet)):  # tags and zeros between frames are no loss
                    self._lose()
                continue
            if self._part.marks_count and packet.is_corrupt:
                self._lose()
            for frame in frames:
                if self._kind == "flac" and frame.pts is None:  # its check sums are wrong
                    self._lose()
                samples = _scaled(frame)
                pauses.heard(samples)
                yield frame.sample_rate, samples

    def _without_padding(self, rate: int, frame: Float32Array) -> Rated:
        """The last frame up to where the sound ends: mp4 says so, and encoders fill the
        frame.
        """
        if self._kind != _MOV or self.claim.seconds is None:
            return rate, frame
        surplus = round((self.heard_s - self._before_s - self.claim.seconds) * rate)
        return rate, frame[: len(frame) - surplus] if 0 < surplus < len(frame) else frame

    def _lose(self) -> None:
        if self._lost_s is None:
            self._lost_s = self.heard_s

    def check(self) -> None:
        """Raises KwsError where less was decoded than there is."""
        if self.heard_s == self._before_s and self._kind == _MOV and not hasattr(self._part.source, "seek"):
            raise KwsError("has its index at its end, which a pipe cannot go back from: write it into a file first")
        if self.claim.seconds is not None:
            claim_s = self._before_s + self.claim.seconds
            padding_s = min(4 * self._longest_s, _MOST_SLACK_S) if self._kind == _MATROSKA else 0.0
            if self.heard_s < claim_s - max(self.claim.slack_s, padding_s) - 1e-6:
                raise KwsError(f"gives {self.heard_s:.2f} of {claim_s:.2f} s: it is truncated or damaged")
        if self._lost_s is not None:
            raise KwsError(f"is damaged after {self._lost_s:.2f} s")
        if not self._part.is_whole():
            raise KwsError(f"ends inside a page after {self.heard_s:.2f} s: it is truncated")


class _UnnamedFile:
    """A file, or a part of it, for FFmpeg: without its name, whose ending would weigh
    more than its content. A pipe cannot be sought in.
    """

    def __init__(self, file: BufferedReader, span: Span | None) -> None:
        self.read: Callable[[int], bytes] = file.read1  # what a pipe has by now: who speaks into it waits
        if not file.seekable():
            return
        start, end = (0, None) if span is None else span[:2]
        file.seek(start)
        self.tell: Callable[[], int] = lambda: file.tell() - start
        self.seek = partial(_seek, file, start, end)
        if end is not None:
            self.read = lambda size: file.read(max(0, min(size, end - file.tell())))


def _seek(file: BufferedReader, start: int, end: int | None, offset: int, whence: int = 0) -> int:
    """The new place, or -1 for one that no file has, as a damaged index may name it."""
    if whence == 0:
        offset += start
    elif whence == 2 and end is not None:
        offset, whence = offset + end, 0
    try:
        return file.seek(offset, whence) - start
    except (OSError, ValueError, OverflowError):
        return -1


def _open(av: Any, source: Any) -> tuple[Any, Any]:
    try:
        container = av.open(source, options={"format_whitelist": _FORMATS})
    except (av.FFmpegError, ValueError) as error:  # the latter for headers that make no sense to PyAV
        raise KwsError("is no sound file that can be read: it is damaged, unfinished or of another kind") from error
    stream = container.streams.best("audio")
    if stream is None or stream.codec_context is None:
        container.close()
        raise KwsError("holds no sound that can be decoded")
    stream.codec_context.thread_count = 1  # files are decoded side by side, not one by many
    return container, stream


def _scaled(frame: Any) -> Float32Array:
    """The samples (S, C) of a decoded frame, full scale 1."""
    try:
        samples = _array(frame)
    except ValueError as error:
        raise KwsError(f"has samples of the kind {frame.format.name}, which cannot be read") from error
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return narrowed(samples)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - np.float32(2**7)) / np.float32(2**7)
    return samples.astype(np.float32) / np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))


def _array(frame: Any) -> np.ndarray[Any, Any]:
    """The samples as PyAV gives them: (C, S) where they are planar, else in one row."""
    if frame.format.name not in ("s64", "s64p"):
        return np.asarray(frame.to_ndarray())
    values = frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)  # more may follow them
    return np.stack([np.frombuffer(plane, np.int64, values) for plane in frame.planes])


def _joined(frames: Iterator[Rated]) -> Iterator[Rated]:
    """Frames of some hundred samples put together, as long as rate and channels stay:
    they change inside chained streams.
    """
    held: list[Float32Array] = []
    rate, count = 0, 0
    for frame_rate, frame in frames:
        if held and (frame_rate != rate or frame.shape[1] != held[0].shape[1] or count >= _PIECE_FRAMES):
            yield rate, np.concatenate(held)
            held, count = [], 0
        held.append(frame)
        rate, count = frame_rate, count + len(frame)
    if held:
        yield rate, np.concatenate(held)
