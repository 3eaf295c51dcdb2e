"""Reads kind and length of sound files from their bytes, where FFmpeg does not tell: it
guesses a length as readily as it reads one.
"""

from __future__ import annotations

import struct
from io import BufferedReader
from typing import NamedTuple

_BEGINNINGS = (
    b"fLaC", b"OggS", b"ID3", b"RIFF", b"RIFX", b"riff", b"FORM", b".snd", b"caff", b"NIST", b"#!AMR",
    b"\x1aE\xdf\xa3", b"\x30\x26\xb2\x75",
)  # fmt: skip
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # m4a, mp4, 3gp: a length of 4 bytes comes before
_OTHER_BEGINNINGS = (  # flv, wavpack, tta, ac3, ape, musepack, dsf, voc, RealMedia, MPEG program streams, nut
    b"FLV", b"wvpk", b"TTA", b"\x0b\x77", b"MAC ", b"MPCK", b"MP+", b"DSD ", b"Creative Voice File", b".RMF",
    b"\0\0\1\xba", b"nut/",
)  # fmt: skip
_TS_PACKET, _TS_SYNC = 188, 0x47  # bytes of an MPEG transport stream, and the first of them
_SYNC_SUFFIXES = (".mp3", ".aac")  # a recording of a broadcast begins inside a frame, with any byte
_PAGE = b"OggS"
_CHUNK = 65_536  # bytes
_GSM_FRAME, _GSM_SIGN = 33, 0xD  # bytes of a frame of GSM 06.10, which has no header, and the half byte that begins it
_FLOAT_SIZES = (b"\x84", b"\x88")  # of Matroska: 4 and 8 bytes
_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def is_known(head: bytes, suffix: str) -> bool:
    """Whether a file may be sound that FFmpeg reads, by its first 200 bytes and the end
    of its name.
    """
    begins = head.startswith(_BEGINNINGS) or head[4:8] in _BOXES or is_frame(head) or _is_gsm(head)
    return begins or suffix.lower() in _SYNC_SUFFIXES


def _is_gsm(head: bytes) -> bool:
    """Whether these may be frames of GSM 06.10: chance makes one in 65,536 of four."""
    return len(head) > 3 * _GSM_FRAME and all(byte >> 4 == _GSM_SIGN for byte in head[::_GSM_FRAME])


def is_other(head: bytes) -> bool:
    """Whether a file is of a kind that may hold sound, and is not read here: by its
    first 200 bytes.
    """
    is_ts = len(head) > _TS_PACKET and head[0] == head[_TS_PACKET] == _TS_SYNC
    return is_ts or head.startswith(_OTHER_BEGINNINGS) or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")


def is_frame(data: bytes) -> bool:
    """Whether these bytes begin as a frame of mp3 or aac does."""
    return len(data) > 1 and data[0] == 0xFF and data[1] >= 0xE0


def mp3_length(file: BufferedReader) -> tuple[float, float] | None:
    """The seconds that the first frame of an mp3 states (Xing or Info), and how many of
    them may be padding; None where it states none. `file` is left at its begin.
    """
    head = file.read(10)
    if head.startswith(b"ID3") and len(head) == 10:  # a tag whose length is written in 7 bits of each byte
        file.seek(10 + sum((byte & 0x7F) << 7 * i for i, byte in enumerate(reversed(head[6:10]))))
    else:
        file.seek(0)
    first = file.read(256)
    file.seek(0)
    place = max(first.find(b"Xing"), first.find(b"Info"))
    if place < 0 or not is_frame(first) or len(first) < place + 12:
        return None
    flags, frames = struct.unpack(">II", first[place + 4 : place + 12])
    version, index = first[1] >> 3 & 3, first[2] >> 2 & 3
    if not flags & 1 or version not in _MP3_RATES or index == 3:
        return None
    frame_s = (1152 if version == 3 else 576) / _MP3_RATES[version][index]
    return frames * frame_s, 4 * frame_s  # encoders add up to two frames before and after


def states_length(head: bytes) -> bool:
    """Whether a .wav file that is not PCM, or a Matroska file, states its length in its
    first bytes. A program that wrote into a pipe could not know it, and FFmpeg then
    guesses it from the bit rate.
    """
    if head.startswith(b"RIFF"):
        place = head.find(b"fact")
        return place >= 0 and head[place + 8 : place + 12] not in (b"", bytes(4), b"\xff" * 4)
    place = max(head.find(b"\x44\x89" + size) for size in _FLOAT_SIZES)  # the element Duration
    return place >= 0 and any(head[place + 3 : place + 7])


class Span(NamedTuple):
    """A part of a file, in bytes: from start to end. whole: False where its last Ogg
    page is incomplete.
    """

    start: int
    end: int
    whole: bool = True


def ogg_links(file: BufferedReader) -> list[Span]:
    """The streams that stand one after another in an Ogg file, as `cat a.ogg b.ogg`
    makes it. `file` is left at its begin.

    A link begins where a page that begins a stream follows one that does not. Bytes
    that are no page belong to the link before them.
    """
    size = file.seek(0, 2)
    starts, place, began, whole = [0], 0, True, True
    while place < size:
        file.seek(place)
        head = file.read(27)
        if not head.startswith(_PAGE) or len(head) < 27:
            whole = whole and not _PAGE.startswith(head[:4])
            found = _next_page(file, place + 1)
            if found is None:
                break
            place = found
            continue
        begins = bool(head[5] & 2)
        if begins and not began:
            starts.append(place)
        began = begins
        lengths = file.read(head[26])
        place += 27 + head[26] + sum(lengths)
        whole = place <= size and len(lengths) == head[26]
    file.seek(0)
    ends = [*starts[1:], size]
    return [Span(start, end, whole or end < size) for start, end in zip(starts, ends, strict=True)]


def _next_page(file: BufferedReader, place: int) -> int | None:
    """The place of the next page, after damage or foreign bytes."""
    file.seek(place)
    before = b""
    while data := file.read(_CHUNK):
        found = (before + data).find(_PAGE)
        if found >= 0:
            return place + found - len(before)
        place += len(data)
        before = data[-3:]
    return None


class OggPipe:
    """The streams that stand one after another in an Ogg file that comes through a
    pipe. After `next_link`, `read` gives one of them to its end. whole: whether the
    last page was complete.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.whole = True
        self._page = b""  # what is left of the page that is being given out
        self._began = True  # a stream, with the page before
        self._ahead = self._take()  # the first page of the next link

    def next_link(self) -> bool:
        """Goes to the next link, past the unread rest of this one; False at the end."""
        while self.read(_CHUNK):
            pass
        self._page, self._ahead, self._began = self._ahead, b"", True
        return bool(self._page)

    def read(self, size: int) -> bytes:
        """At most `size` bytes of this link, b"" at its end."""
        if not self._page and not self._ahead:
            page = self._take()
            begins = len(page) >= 27 and page.startswith(_PAGE) and bool(page[5] & 2)
            if begins and not self._began:
                self._ahead = page
            else:
                self._page, self._began = page, begins
        given, self._page = self._page[:size], self._page[size:]
        return given

    def _take(self) -> bytes:
        """The next page, or the bytes that stand there where none begins."""
        head = self._file.read(27)
        if len(head) < 27 or not head.startswith(_PAGE):
            self.whole = self.whole and not (head and _PAGE.startswith(head[:4]))
            return head
        lengths = self._file.read(head[26])
        body = self._file.read(sum(lengths))
        self.whole = len(lengths) == head[26] and len(body) == sum(lengths)
        return head + lengths + body


def is_open_ended(file: BufferedReader) -> bool:
    """Whether a CAF file leaves the length of its samples open. `file` is left at its
    begin.
    """
    head = file.read(_CHUNK)
    file.seek(0)
    return b"data" + b"\xff" * 8 in head
