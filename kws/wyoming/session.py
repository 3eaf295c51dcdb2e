"""One client: the keywords that it wants, the stream of its sound, and the answers to
its events. No sockets, no clock.

S samples per channel, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from wyoming.audio import AudioChunk, AudioFormat, AudioStart, AudioStop
from wyoming.event import Event, Eventable
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from kws.arrays import Float32Array
from kws.audio import check_rate, from_pcm
from kws.audio.pickup import AS_IT_IS, Loudest, Mixdown, Pickup
from kws.errors import InputError, KwsError
from kws.events import Detection as Heard
from kws.log import Log, silent
from kws.wyoming.catalog import Catalog
from kws.wyoming.streams import ClientStream, ClientStreams

_PIECE_S = 0.08  # heard at a time, so that a client that sends a minute at once delays nobody
_WIDTHS = (1, 2, 3, 4)  # bytes of PCM samples
_LATEST_MS = 2**63

_Kind = TypeVar("_Kind", bound=Eventable)


class ClientSession:
    """The state of one client in the server, until `leave`.

    `detect` and `audio-start` both begin a new stream, `audio-stop` ends it; each
    forgets the sound before.

    log: gets a line for each detection, one more when its peak is known, and one at the
    end of the client's first stream in which nothing but very quiet sound came.
    refractory_s: seconds of sound in which a detected keyword is not detected again; a
    shorter time than the model's own refractory changes nothing. pickup: the channel
    and the gain of its sound.
    """

    def __init__(
        self,
        catalog: Catalog,
        streams: ClientStreams,
        log: Log = silent,
        refractory_s: float = 0.0,
        pickup: Pickup = AS_IT_IS,
    ) -> None:
        self._log = log
        self._refractory_s = refractory_s
        self._pickup = pickup
        self._is_told_quiet = False
        self._catalog = catalog
        self._streams = streams
        self._wanted = catalog.names
        self._stream: ClientStream | None = None
        self._begin()

    def answers(self, event: Event) -> Iterator[Eventable | None]:
        """The answers to an event, piece by piece. None stands for a pause, in which
        other clients may bring sound to be heard together with this one's.

        Raises KwsError with the fault of an event. Sound that cannot be heard is
        refused once, and the rest of that stream is passed over; every other event
        stands for itself.
        """
        if AudioChunk.is_type(event.type):
            yield from self._hear(_decoded(AudioChunk, event))
        elif AudioStart.is_type(event.type):
            self._start(_decoded(AudioStart, event))
        elif AudioStop.is_type(event.type):
            yield from self._stop()
        elif Detect.is_type(event.type):
            self._choose(Detect.from_event(event).names)
        elif Describe.is_type(event.type):
            yield self._catalog.info()
        elif Ping.is_type(event.type):
            yield Pong(_sayable(Ping.from_event(event).text))

    def leave(self) -> None:
        """Forget the stream of this client; its waiting chunks are not heard."""
        if self._stream is not None:
            self._told_peaks(self._stream.close(), "or more, for no more was heard")
            self._tell_quiet()
        self._stream = None

    def _begin(self) -> None:
        """Make ready for another stream."""
        self.leave()
        self._heard = 0  # samples per channel, at the client's rate
        self._place = (0.0, 0)  # seconds of the stream, and what the client calls that moment, in milliseconds
        self._detected: dict[str, float] = {}  # keyword: second of its last detection
        self._told: dict[tuple[str, int], int] = {}  # (keyword, end): timestamp of what has no peak yet
        self._refused = False
        self._mixdown = Mixdown(self._pickup)
        self._loudest = Loudest(self._pickup.gain_db)

    def _choose(self, names: Any) -> None:
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise KwsError("the names of `detect` must be a list of strings, or null for every keyword")
        self._begin()
        self._wanted, unknown = self._catalog.choose(names) if names else (self._catalog.names, [])
        if unknown:
            raise KwsError(f"no keyword is called {unknown[0]}: there are {', '.join(sorted(self._catalog.names))}")

    def _start(self, start: AudioStart) -> None:
        self._begin()
        self._refused = True  # unless nothing is wrong
        self._check_format(start)
        self._place = (0.0, _milliseconds(start.timestamp) or 0)
        self._refused = False

    def _hear(self, chunk: AudioChunk) -> Iterator[Detection | None]:
        if self._refused:
            return
        self._refused = True
        stream = self._opened(chunk)
        timestamp = _milliseconds(chunk.timestamp)
        self._refused = False
        if timestamp is not None:
            self._place = (self._heard / chunk.rate, timestamp)
        for piece in _pieces(chunk):
            samples = self._mixdown.push(piece)
            self._heard += samples.size
            self._loudest.add(samples)
            stream.push(samples)
            yield from self._detections(stream)
        if len(chunk.audio) % (chunk.width * chunk.channels):
            layout = f"{chunk.width} bytes x {chunk.channels} channels"
            raise KwsError(
                f"an audio-chunk of {len(chunk.audio)} bytes ends inside a sample of {layout}: silence is heard for it"
            )

    def _stop(self) -> Iterator[Detection | NotDetected | None]:
        """End the stream; gives its last detections, or the answer that there was
        none.
        """
        if self._stream is not None:
            self._stream.flush()
            yield from self._detections(self._stream)
        if not self._detected:
            yield NotDetected()
        self._begin()

    def _opened(self, chunk: AudioChunk) -> ClientStream:
        """The client's stream for a chunk that can be heard: the one that it continues,
        or a new one.
        """
        self._check_format(chunk)
        if self._stream is None:
            self._stream = self._streams.open(self._wanted, chunk.rate)
        if chunk.rate != self._stream.rate:
            raise KwsError(f"the rate changed from {self._stream.rate} to {chunk.rate} Hz: send audio-start before")
        return self._stream

    def _detections(self, stream: ClientStream) -> Iterator[Detection | None]:
        """The detections of wanted keywords, each stamped with its end by the client's
        own clock.
        """
        yield None
        second, timestamp = self._place
        for event in stream.heard():
            before = self._detected.get(event.keyword)
            if event.keyword not in self._wanted or (before is not None and event.end_s < before + self._refractory_s):
                continue
            self._detected[event.keyword] = event.end_s
            at = self._told[event.keyword, event.end] = timestamp + round(1000 * (event.end_s - second))
            self._log(f"{event.keyword} at {at} ms, score {event.score:.2f}")
            yield Detection(name=event.keyword, timestamp=at)
        self._told_peaks(stream.peaks())

    def _told_peaks(self, events: Sequence[Heard], rest: str = "") -> None:
        for event in events:
            at = self._told.pop((event.keyword, event.end), None)
            if at is not None and event.peak is not None:
                self._log(f"{event.keyword} at {at} ms, peak {event.peak:.2f}{rest and ' '}{rest}")

    def _tell_quiet(self) -> None:
        """Logs once per client that the sound was very quiet: a client that sends an
        empty room, stream after stream, would fill the log.
        """
        note = None if self._is_told_quiet else self._loudest.note(self._catalog.follows_level(self._wanted))
        if note:
            self._log(note)
            self._is_told_quiet = True

    def _check_format(self, sound: AudioFormat) -> None:
        """Raise KwsError unless this is PCM that can be heard."""
        if not _is_whole(sound.rate):
            raise KwsError(f"a rate of {sound.rate!r:.20} cannot be heard: it takes a whole number of Hz")
        check_rate(sound.rate)
        if not _is_whole(sound.width) or sound.width not in _WIDTHS:
            raise KwsError(f"samples of {sound.width!r:.20} bytes cannot be heard: PCM of 1, 2, 3 or 4 bytes can")
        if not _is_whole(sound.channels) or sound.channels < 1:
            raise KwsError(f"sound of {sound.channels!r:.20} channels cannot be heard: it takes 1 or more")
        try:
            self._pickup.check(sound.channels)
        except InputError as error:
            raise KwsError(f"the sound {error}: see the server's --channel") from error


def _pieces(chunk: AudioChunk) -> Iterator[Float32Array]:
    """The sound (S, C) of a chunk, cut into pieces.

    A chunk that ends inside a sample has lost bytes at an unknown place. It is replaced
    by silence of the same length, so that the time of the stream stays right.
    """
    sample_bytes = chunk.width * chunk.channels
    whole = len(chunk.audio) // sample_bytes
    size = round(_PIECE_S * chunk.rate)
    for first in range(0, whole, size):
        count = min(size, whole - first)
        if len(chunk.audio) % sample_bytes:
            yield np.zeros((count, chunk.channels), np.float32)
        else:
            data = chunk.audio[first * sample_bytes : (first + count) * sample_bytes]
            yield from_pcm(data, chunk.width).reshape(-1, chunk.channels)


def _decoded(kind: type[_Kind], event: Event) -> _Kind:
    try:
        return kind.from_event(event)  # type: ignore[return-value]
    except KeyError as error:
        raise KwsError(f"the event {event.type} lacks {error}") from error


def _sayable(text: Any) -> str | None:
    """The text of a ping as it can be sent back, without halves of characters."""
    if text is None or isinstance(text, str):
        return text and text.encode(errors="replace").decode()
    raise KwsError("the text of a ping must be a string")


def _milliseconds(timestamp: Any) -> int | None:
    if timestamp is None or (_is_whole(timestamp) and abs(timestamp) < _LATEST_MS):
        return timestamp
    raise KwsError("a timestamp must be a whole number of milliseconds")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
