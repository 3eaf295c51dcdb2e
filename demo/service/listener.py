"""One client: which keywords it wants, the streams of its sound, and what is answered. No sockets, no clock.

S samples per channel, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from wyoming.audio import AudioChunk, AudioFormat, AudioStart, AudioStop
from wyoming.event import Event, Eventable
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from kws.audio import Samples, check_rate, from_pcm
from kws.demo.service.offer import Offer
from kws.errors import KwsError
from kws.events import Detection as Heard
from kws.runtime.detector import Stream

_PIECE_S = 0.08  # heard at a time, so that a client that sends a minute at once delays nobody
_WIDTHS = (1, 2, 3, 4)  # bytes of PCM samples

_Kind = TypeVar("_Kind", bound=Eventable)


class Listener:
    """What a server remembers of one client.

    `detect` and `audio-start` both begin a new stream, `audio-stop` ends it: what was said before is forgotten.
    """

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._wanted = offer.names
        self._begin(0)

    def answers(self, event: Event) -> Iterator[Eventable | None]:
        """What to say to an event, piece by piece; None is a piece of work that leaves nothing to say.

        Raises KwsError with what is wrong with the event. Sound that cannot be heard is refused once, and the
        rest of that stream passed over; every other event stands for itself.
        """
        if AudioChunk.is_type(event.type):
            yield from self._hear(_decoded(AudioChunk, event))
        elif AudioStart.is_type(event.type):
            start = _decoded(AudioStart, event)
            self._begin(_milliseconds(start.timestamp) or 0)
            self._refused = True
            _check_format(start)
            self._refused = False
        elif AudioStop.is_type(event.type):
            yield from self._stop()
        elif Detect.is_type(event.type):
            self._choose(Detect.from_event(event).names)
        elif Describe.is_type(event.type):
            yield self._offer.info()
        elif Ping.is_type(event.type):
            yield Pong(Ping.from_event(event).text)

    def _begin(self, timestamp: int) -> None:
        """Forget what was heard. timestamp: of the first sample of what comes, in the client's milliseconds."""
        self._streams: list[Stream] = []
        self._rate: int | None = None
        self._heard = 0  # samples per channel, at the client's rate
        self._place = (0.0, timestamp)  # seconds of the stream, and what the client calls that moment
        self._detected = False
        self._refused = False

    def _choose(self, names: Any) -> None:
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise KwsError("the names of `detect` must be a list of strings, or null for every keyword")
        self._begin(0)
        self._wanted, unknown = self._offer.choose(names) if names else (self._offer.names, [])
        if unknown:
            raise KwsError(
                f"no keyword is called {', '.join(unknown)}: there are {', '.join(sorted(self._offer.names))}"
            )

    def _hear(self, chunk: AudioChunk) -> Iterator[Detection | None]:
        if self._refused:
            return
        self._refused = True
        self._open(chunk)
        self._refused = False
        timestamp = _milliseconds(chunk.timestamp)
        if timestamp is not None:
            self._place = (self._heard / chunk.rate, timestamp)
        frame_bytes = chunk.width * chunk.channels
        piece_bytes = max(1, round(_PIECE_S * chunk.rate)) * frame_bytes
        for first in range(0, len(chunk.audio), piece_bytes):
            samples = _mono(chunk.audio[first : first + piece_bytes], chunk)
            self._heard += samples.size
            yield from self._detections([event for stream in self._streams for event in stream.push(samples)])
            yield None

    def _stop(self) -> Iterator[Detection | NotDetected]:
        """The stream has ended: what was said last, or that nothing was."""
        yield from self._detections([event for stream in self._streams for event in stream.flush()])
        if not self._detected:
            yield NotDetected()
        self._begin(0)

    def _open(self, chunk: AudioChunk) -> None:
        """Make sure that the chunk fits the stream that it continues, or open one."""
        if chunk.rate != self._rate:
            _check_format(chunk)
            if self._rate is not None:
                raise KwsError(f"the rate changed from {self._rate} to {chunk.rate} Hz: send audio-start before")
            self._streams = self._offer.streams(self._wanted, chunk.rate)
            self._rate = chunk.rate
        _check_format(chunk)
        if len(chunk.audio) % (chunk.width * chunk.channels):
            layout = f"{chunk.width} bytes x {chunk.channels} channels"
            raise KwsError(f"an audio-chunk of {len(chunk.audio)} bytes ends inside a sample of {layout}")

    def _detections(self, found: list[Heard]) -> Iterator[Detection]:
        """The events of wanted keywords, each stamped with its end by the client's own clock."""
        second, timestamp = self._place
        for event in found:
            if event.keyword in self._wanted:
                self._detected = True
                yield Detection(name=event.keyword, timestamp=timestamp + round(1000 * (event.end_s - second)))


def _check_format(sound: AudioFormat) -> None:
    """Raise KwsError unless this is PCM that can be heard."""
    check_rate(sound.rate)
    if not _is_whole(sound.width) or sound.width not in _WIDTHS:
        raise KwsError(f"samples of {sound.width!r:.20} bytes cannot be heard: PCM of 1, 2, 3 or 4 bytes can")
    if not _is_whole(sound.channels) or sound.channels < 1:
        raise KwsError(f"sound of {sound.channels!r:.20} channels cannot be heard: it takes 1 or more")


def _mono(data: bytes, chunk: AudioChunk) -> Samples:
    """(S,) from interleaved PCM of S x C samples: channels are averaged, as in files."""
    samples = from_pcm(data, chunk.width)
    return samples if chunk.channels == 1 else samples.reshape(-1, chunk.channels).mean(axis=1)


def _decoded(kind: type[_Kind], event: Event) -> _Kind:
    try:
        return kind.from_event(event)  # type: ignore[return-value]
    except KeyError as error:
        raise KwsError(f"the event {event.type} lacks {error}") from error


def _milliseconds(timestamp: Any) -> int | None:
    if timestamp is None or _is_whole(timestamp):
        return timestamp
    raise KwsError("a timestamp must be a whole number of milliseconds")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
