"""Many microphones in one process: waiting chunks of different streams go through the
model together, and of each stream several at once.

A chunk costs less than half as much among others as alone (figures:
benchmarks/streams.py). B streams run at once, N rows for streams, T frames of the
chunks that are heard at once, K keywords.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.arrays import Float32Array, Samples
from kws.decoding.event_peaks import EventPeaks
from kws.decoding.scorer import ScorerState
from kws.errors import InputError
from kws.events import Detection
from kws.runtime.chunker import Chunker
from kws.runtime.gate import Gate
from kws.runtime.stream import AnyDetector, chunks_to_wait, fresh_second_pass
from kws.runtime.stream_rows import StreamRows

MOST_AT_ONCE = 16  # chunks per run: with more none is cheaper, and all come later


class Streams:
    """Streams of one detector that come and go. Each hears the same events as a
    `Stream` by itself.

    Made by `Detector.streams`. For one thread at a time. Its memory is that of the most
    streams there were at once.

    peaks: the events whose peak the last `run` or `step` made known, each with its
    stream; the counterpart of `Stream.peaks`.

    >>> streams = detector.streams()
    >>> kitchen, hall = streams.join(), streams.join(48_000)
    >>> kitchen.push(samples)  # blocks of any size, whenever they come
    >>> hall.push(others)
    >>> for handle, detection in streams.run():
    ...     print(handle is hall, detection.keyword, detection.end_s)
    """

    def __init__(self, detector: AnyDetector, gate: Callable[[], Gate] | None = None) -> None:
        """gate: makes the gate of each stream; None: the model hears everything."""
        self.detector = detector
        self._gate = gate
        self._states = StreamRows((*detector.model.init_states(1), *detector.scorer.init_state(1)))
        self._waiting: deque[StreamHandle] = deque()  # handles that are due, once each, longest waiting first
        self.peaks: list[tuple[StreamHandle, Detection]] = []

    def __repr__(self) -> str:
        return f"<Streams of {self.detector.info.name}: {self._states.used} streams, {self.waiting} wait>"

    def join(self, sample_rate: int = units.SAMPLE_RATE) -> StreamHandle:
        """A fresh stream of samples at sample_rate Hz; raises as `Detector.stream`
        does.
        """
        chunker = Chunker(sample_rate, self.detector.info.chunk_samples)
        return StreamHandle(self, chunker, self._states.add(), None if self._gate is None else self._gate())

    @property
    def waiting(self) -> int:
        """The number of streams for `step`: those in whose chunks an event is possible,
        and those that have ended.
        """
        return len(self._waiting)

    def run(self) -> list[tuple[StreamHandle, Detection]]:
        """Hear every stream that is due. Returns the events, each with its stream, in
        order of time within a stream.
        """
        self.peaks = []
        events = []
        while self._waiting:
            events += self._step()
        return events

    def step(self) -> list[tuple[StreamHandle, Detection]]:
        """Hear the same number of chunks of each of at most MOST_AT_ONCE streams, those
        that have waited longest; returns what `run` does.
        """
        self.peaks = []
        return self._step()

    def _step(self) -> list[tuple[StreamHandle, Detection]]:
        handles = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
        for handle in handles:
            handle._due = False
        try:
            return self._next_of(handles)
        finally:
            for handle in handles:
                self._queue(handle)

    def _queue(self, handle: StreamHandle) -> None:
        """Let a stream wait for its turn, if it is due."""
        if not handle._due and handle._hears_now():
            handle._due = True
            self._waiting.append(handle)

    def _next_of(self, handles: Sequence[StreamHandle]) -> list[tuple[StreamHandle, Detection]]:
        """The events of as many chunks of each handle as all of them have."""
        for handle in (handle for handle in handles if handle._chunks[0].pcm is None):
            self.peaks += [(handle, event) for event in handle._sleep()]
        awake = [handle for handle in handles if handle._chunks and handle._chunks[0].pcm is not None]
        together = min((handle._run_length(self.detector.info.chunks_per_call) for handle in awake), default=0)
        return self._hear(awake, [handle._next_chunks(together) for handle in awake]) if awake else []

    def _hear(self, handles: Sequence[StreamHandle], chunks: Sequence[Samples]) -> list[tuple[StreamHandle, Detection]]:
        """The events of so many chunks (1, chunks * chunk_samples) of each handle."""
        rows = [handle._row for handle in handles]
        detector = self.detector
        pcm = np.concatenate(chunks)
        *states, paths = self._states.of(rows)
        posteriors, following, features = detector.model.run(pcm, tuple(states))
        scores, ages, scored = detector.scorer.score(posteriors, ScorerState(paths))
        self._states.put(rows, (*following, *scored))
        if features is not None and detector.second_pass is not None:
            for row, handle in enumerate(handles):
                scores[row], ages[row] = handle._verify(features[row], posteriors[row], scores[row], ages[row])
        for handle, own in zip(handles, scored.paths, strict=True):
            handle._least = chunks_to_wait(detector, ScorerState(own), handle._second_pass)
        if detector.after_pause:
            for row, handle in enumerate(handles):
                scores[row] = handle._after_pause(pcm[row], scores[row], ages[row])
        loud = np.any(detector.trigger.reached(scores), axis=(1, 2))
        events = []
        for handle, heard, own_scores, own_ages in zip(handles, loud, scores, ages, strict=True):
            if heard or handle._open_events.is_open:  # seldom
                fired, peaks = handle._fire(own_scores, own_ages)
                events += [(handle, event) for event in fired]
                self.peaks += [(handle, event) for event in peaks]
        return events

    def _forget(self, handle: StreamHandle) -> None:
        self._states.remove(handle._row)
        if handle._due:
            self._waiting.remove(handle)
            handle._due = False


class _Waiting(NamedTuple):
    """A chunk (1, chunk_samples) that waits, or None for one during which the model
    sleeps.

    begin: the place of its first sample in the stream. anew: the model hears it as
    after silence.
    """

    pcm: Samples | None
    begin: int
    anew: bool = False


class StreamHandle:
    """One of many streams: takes samples at any time, and is heard when its `Streams`
    runs. Made by `Streams.join`.
    """

    def __init__(self, streams: Streams, chunker: Chunker, row: int, gate: Gate | None = None) -> None:
        self._streams: Streams | None = streams
        self._chunker = chunker
        self._row = row
        self._gate = gate
        self._chunks: deque[_Waiting] = deque()
        self._due = False
        self._least = 1  # chunks in which an event is possible
        self._taken = 0  # samples of whole chunks
        self._frame = 0
        self._ended = False
        self._trigger_state = streams.detector.trigger.init_state()
        self._open_events = EventPeaks(streams.detector.info.scoring.refractory_frames)
        self._second_pass = fresh_second_pass(streams.detector)
        self._pause_before = streams.detector.new_pause_before()

    def __repr__(self) -> str:
        state = "has left" if self._streams is None else f"{self.waiting} chunks wait"
        return f"<StreamHandle at {self.sample_rate} Hz: {units.seconds(self._taken):.2f} s taken, {state}>"

    @property
    def sample_rate(self) -> int:
        """The rate of the samples that it takes, in Hz."""
        return self._chunker.sample_rate

    @property
    def waiting(self) -> int:
        """The number of its whole chunks that have not been heard: those in which no
        event is possible, and more where samples come faster than `run` is called.
        """
        return len(self._chunks)

    @property
    def is_due(self) -> bool:
        """Whether the stream waits for its turn, since an event is possible in its
        chunks.
        """
        return self._due

    def _hears_now(self) -> bool:
        """Whether its chunks should be heard now: an event is possible in them, it has
        ended, or its model falls asleep or wakes.
        """
        if not self._chunks:
            return False
        asleep = self._gate is not None and self._gate.asleep
        if self._ended or asleep or any(chunk.pcm is None or chunk.anew for chunk in self._chunks):
            return True
        return len(self._chunks) >= self._least

    def _run_length(self, most: int) -> int:
        """How many of its waiting chunks, from the first on, the model may hear in one
        call.
        """
        run = 1
        while run < min(most, len(self._chunks)) and self._chunks[run].pcm is not None and not self._chunks[run].anew:
            run += 1
        return run

    def push(self, samples: NDArray[Any]) -> None:
        """Keep the next samples of the stream until they are heard. Takes and raises
        what `Stream.push` does.
        """
        self._take(samples, last=False)

    def flush(self) -> None:
        """End the stream: half a second of silence, so that a keyword at the very end
        is heard, by the next run.
        """
        self._take(np.empty(0, np.float32), last=True)

    def leave(self) -> list[Detection]:
        """Give up the stream's place; waiting chunks are not heard (call `flush` and
        run first where they should be). A second call does nothing.

        Returns the events whose peak was not known yet, with the highest score so far
        as their peak.
        """
        if self._streams is not None:
            self._streams._forget(self)
            self._streams = None
            self._chunks.clear()
        return self._open_events.end()

    def _take(self, samples: NDArray[Any], last: bool) -> None:
        if self._streams is None:
            raise InputError("the stream has left: join() makes a new one")
        for chunk in self._chunker.take(samples, last):
            self._keep(chunk)
        self._ended = self._ended or last
        self._streams._queue(self)

    def _keep(self, chunk: Samples) -> None:
        """Let a chunk wait, after the chunks that its gate kept before it; or pass it
        over.
        """
        begin = self._taken
        self._taken += chunk.shape[1]
        if self._gate is None:
            self._chunks.append(_Waiting(chunk.copy(), begin))
            return
        for part in self._gate.take(chunk):
            if part.again:
                at = begin - part.pcm.shape[1]
                pieces = np.split(part.pcm, part.pcm.shape[1] // chunk.shape[1], axis=1)
                news = [part.anew] + [False] * (len(pieces) - 1)
                places = range(at, begin, chunk.shape[1])
                self._chunks.extend(map(_Waiting, pieces, places, news))
            elif part.heard:
                self._chunks.append(_Waiting(chunk.copy(), begin))
            elif self._chunks or self._open_events.is_open:  # a peak may become known
                self._chunks.append(_Waiting(None, begin))

    def _next_chunks(self, count: int) -> Samples:
        """So many chunks that have waited longest, (1, count * chunk_samples), after
        making the stream ready for them.
        """
        assert self._streams is not None
        chunks = [self._chunks.popleft() for _ in range(count)]
        self._frame = chunks[0].begin // self._streams.detector.info.frame_samples
        if chunks[0].anew:
            self._streams._states.renew(self._row)
            self._second_pass = fresh_second_pass(self._streams.detector)
        return np.concatenate([chunk.pcm for chunk in chunks if chunk.pcm is not None], axis=1)

    def _verify(
        self,
        features: Float32Array,
        log_posteriors: Float32Array,
        scores: NDArray[np.float64],
        ages: NDArray[np.int64],
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The final scores and ages (T, K) of its present chunks."""
        assert self._second_pass is not None
        return self._second_pass.hear(features, log_posteriors, scores, ages)

    def _after_pause(self, pcm: Samples, scores: NDArray[np.float64], ages: NDArray[np.int64]) -> NDArray[np.float64]:
        """The scores (T, K) of its present chunks, 0 where a phrase follows no
        pause.
        """
        assert self._pause_before is not None
        return self._pause_before.hear(pcm, self._frame, scores, ages)

    def _fire(self, scores: NDArray[np.float64], ages: NDArray[np.int64]) -> tuple[list[Detection], list[Detection]]:
        """The events of its present chunks, from scores and ages (T, K), and the events
        whose peak they made known.
        """
        assert self._streams is not None
        detector = self._streams.detector
        fired, self._trigger_state = detector.trigger.run(scores, ages, self._frame, self._trigger_state)
        events = detector.detections(fired, scores, ages, self._frame)
        return events, self._peaks(events, fired, scores)

    def _sleep(self) -> list[Detection]:
        """The events whose peak is known after a chunk during which the model
        sleeps.
        """
        assert self._streams is not None
        detector = self._streams.detector
        self._frame = self._chunks.popleft().begin // detector.info.frame_samples
        return self._peaks([], [], np.zeros((detector.info.frames_per_chunk, len(detector.keywords))))

    def _peaks(
        self, events: list[Detection], fired: list[tuple[int, int]], scores: NDArray[np.float64]
    ) -> list[Detection]:
        peaks = self._open_events.hear(events, fired, scores, self._frame)
        if self._ended and not self._chunks:
            peaks += self._open_events.end()
        return peaks
