"""The streams of all clients: waiting chunks of different clients go through the models
together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kws.arrays import Samples
from kws.events import Detection
from kws.runtime.detector import Detector
from kws.runtime.streams import StreamHandle


class ClientStreams:
    """The streams of all connected clients, for each of several detectors. For one
    thread.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._streams = [detector.streams(gate=True) for detector in detectors]
        self._by_handle: dict[StreamHandle, ClientStream] = {}

    def open(self, names: Collection[str], rate: int) -> ClientStream:
        """A client's fresh stream at `rate` Hz that hears the keywords of these
        names.
        """
        needed = [one for one in self._streams if any(word.name in names for word in one.detector.keywords)]
        stream = ClientStream(self, rate, [streams.join(rate) for streams in needed])
        self._by_handle.update(dict.fromkeys(stream._members, stream))
        return stream

    def _hear(self) -> None:
        for streams in self._streams:
            for handle, event in streams.run():
                self._by_handle[handle]._events.append(event)
            for handle, event in streams.peaks:
                self._by_handle[handle]._peaks.append(event)

    def _forget(self, handles: Sequence[StreamHandle]) -> list[Detection]:
        rest = []
        for handle in handles:
            rest += handle.leave()
            del self._by_handle[handle]
        return rest


class ClientStream:
    """One client's stream: a handle in the streams of each detector that is needed.
    Made by `ClientStreams.open`.
    """

    def __init__(self, streams: ClientStreams, rate: int, handles: Sequence[StreamHandle]) -> None:
        self.rate = rate  # Hz
        self._streams = streams
        self._members = handles
        self._events: list[Detection] = []
        self._peaks: list[Detection] = []

    def push(self, samples: Samples) -> None:
        """Keep the next samples until `heard` is called."""
        for handle in self._members:
            handle.push(samples)

    def flush(self) -> None:
        """End the stream: the half second of silence at its end waits to be heard,
        too.
        """
        for handle in self._members:
            handle.flush()

    def heard(self) -> list[Detection]:
        """The events of the stream since the last call; hears every stream that is due,
        of all clients.
        """
        self._streams._hear()
        events, self._events = self._events, []
        return events

    def peaks(self) -> list[Detection]:
        """The events whose peak has become known since the last call."""
        peaks, self._peaks = self._peaks, []
        return peaks

    def close(self) -> list[Detection]:
        """Forget the stream; waiting chunks are not heard. Returns the events whose
        peak is not known yet, with the highest score so far.
        """
        return [*self.peaks(), *self._streams._forget(self._members)]
