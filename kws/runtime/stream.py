"""Stream: the state of one microphone, and its events.

T frames, K keywords, V tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.arrays import Samples
from kws.decoding.event_peaks import EventPeaks
from kws.decoding.scorer import KeywordScorer, ScorerState
from kws.decoding.trigger import Trigger
from kws.decoding.wait_bound import WaitBound
from kws.events import Detection
from kws.metadata import Keyword, ModelInfo
from kws.runtime.chunker import Chunker
from kws.runtime.gate import Gate, Part
from kws.runtime.pause_before import PauseBefore
from kws.runtime.second_pass import SecondPass, SecondPassStream
from kws.runtime.session import OnnxModel

_SURELY_NOT = -30.0  # a log-posterior


class StreamResult(NamedTuple):
    """A stream's results for the samples that it was given.

    detections: as `Stream.push` gives them. For each frame that was completed: scores
    (T, K) in [0, 1], ages (T, K), the frames that the path of a score covers, and
    log_posteriors (T, V). first_frame: the number of the first of these frames since
    the stream began; frame i ends at sample (i + 1) * frame_samples.
    """

    detections: list[Detection]
    scores: NDArray[np.float64]
    ages: NDArray[np.int64]
    log_posteriors: NDArray[np.float32]
    first_frame: int


class AnyDetector(Protocol):
    """The part of a `Detector` that `Stream` and `Streams` use. `Detector` makes both,
    so their modules do not import its own.
    """

    model: OnnxModel
    keywords: tuple[Keyword, ...]
    scorer: KeywordScorer
    trigger: Trigger
    second_pass: SecondPass | None
    wait_bound: WaitBound
    after_pause: bool

    @property
    def info(self) -> ModelInfo:
        """The model info of the model's file."""

    def new_pause_before(self) -> PauseBefore | None:
        """The filter of one stream for phrases that must follow a pause."""

    def detections(
        self,
        fired: Sequence[tuple[int, int]],
        scores: NDArray[np.float64],
        ages: NDArray[np.int64],
        first_frame: int,
    ) -> list[Detection]:
        """The events of a stream, as `Detector.detections` gives them."""


def fresh_second_pass(detector: AnyDetector) -> SecondPassStream | None:
    """The second pass of a fresh stream; None for a model of one pass."""
    return None if detector.second_pass is None else detector.second_pass.stream()


def chunks_to_wait(detector: AnyDetector, scored: ScorerState, second_pass: SecondPassStream | None) -> int:
    """The chunk of a stream, counted from 1, in which the next event is possible."""
    frames = detector.wait_bound.frames(scored)
    if second_pass is not None:
        frames = second_pass.frames(frames)
    return -(-frames // detector.info.frames_per_chunk)


class Stream:
    """One microphone's state: at most as much sound as one call of the graph takes, and
    tensors whose size never changes.

    Made by `Detector.stream`. Its time is the count of samples; how they are cut into
    blocks changes nothing.

    peaks: the events whose peak the last call of `push`, `process` or `flush` made
    known, in order of time. Each event that fired comes there once, with `peak`, when
    the keyword may fire again (1 s later) or the stream ends.
    """

    def __init__(self, detector: AnyDetector, sample_rate: int, gate: Gate | None = None) -> None:
        self.detector = detector
        self.sample_rate = sample_rate
        info = detector.info
        self._gate = gate
        self._chunker = Chunker(sample_rate, info.chunk_samples, info.chunks_per_call)
        self._restart()

    def __repr__(self) -> str:
        heard_s = units.seconds(self._frame * self.detector.info.frame_samples)
        return f"<kws.Stream of {self.detector.info.name} at {self.sample_rate} Hz, {heard_s:.2f} s heard>"

    def reset(self) -> None:
        """Forget everything: the stream is as new, and its time begins at 0."""
        self._chunker.reset()
        self._restart()

    def _restart(self) -> None:
        self._frame = 0
        self._least = 1  # chunks that `push` waits for
        if self._gate is not None:
            self._gate.reset()
        self._pause_before = self.detector.new_pause_before()
        self._begin_anew()
        self._trigger_state = self.detector.trigger.init_state()
        self._open_events = EventPeaks(self.detector.info.scoring.refractory_frames)
        self.peaks: list[Detection] = []

    def _begin_anew(self) -> None:
        """Forget the sound so far, so that the model hears on as after silence. The
        stream's time and the events whose peak is open stay.
        """
        self._is_new = True
        self._states = self.detector.model.init_states()
        self._scorer_state = self.detector.scorer.init_state()
        self._second_pass = fresh_second_pass(self.detector)

    @property
    def wait_s(self) -> float:
        """How many seconds of sound may be buffered before any event is possible (see
        decoding/wait_bound.py), at least what completes a chunk.

        A program that reads its microphone so seldom wakes up less often, which halves
        what live listening costs (benchmarks/live.py). Scores do not depend on the
        size of blocks (of a model that follows the level, but for rounding).

        While the model sleeps, the bound does not count the sound that its gate has
        kept. The event of a word that began in that sound may then come later by its
        length; for that the process wakes a seventh as often.
        """
        least = chunks_to_wait(self.detector, self._scorer_state, self._second_pass)
        return units.seconds(self._chunker.missing(least))

    def push(self, samples: NDArray[Any]) -> list[Detection]:
        """Take the next samples of the stream; returns the events that they complete,
        in order of time.

        The model hears them together as soon as an event is possible (`wait_s`): so
        small blocks cost hardly more than large ones. Until then they are kept, at most
        `chunks_per_call` chunks. A peak in `peaks` may so become known half a second
        later.

        samples: (S,) int16, or float32 in [-1, 1], at the stream's rate; any S. Raises
        InputError for any other type or shape, for NaN or infinity, for integers in
        floats, and after `flush`; the stream is then as it was before.
        """
        self.peaks = []
        asleep = self._gate is not None and self._gate.asleep  # the bound knows nothing of what the gate has kept
        results = list(self._results(samples, least=1 if asleep else self._least))
        if results:
            self._least = chunks_to_wait(self.detector, self._scorer_state, self._second_pass)
        return [event for result in results for event in result.detections]

    def flush(self) -> list[Detection]:
        """End the stream: half a second of silence, so that a keyword at the very end
        is heard.
        """
        return self.process(np.empty(0, np.float32), last=True).detections

    def process(self, samples: NDArray[Any], last: bool = False) -> StreamResult:
        """`push` that also gives each frame's scores and log-posteriors, of every chunk
        at once; with `last` it is `flush` too.
        """
        first, self.peaks = self._frame, []
        results = list(self._results(samples, last))
        self._least = 1  # of later pushes, until one has heard
        if last:
            self.peaks += self._open_events.end()
        if len(results) == 1:  # as live: spares copies
            return results[0]
        keywords, tokens = len(self.detector.keywords), len(self.detector.info.tokens)
        none = StreamResult(
            [],
            np.empty((0, keywords)),
            np.empty((0, keywords), np.int64),
            np.empty((0, tokens), np.float32),
            first,
        )
        events, scores, ages, posteriors, _ = zip(none, *results, strict=True)
        return StreamResult(
            [event for found in events for event in found],
            np.concatenate(scores),
            np.concatenate(ages),
            np.concatenate(posteriors),
            first,
        )

    def _results(self, samples: NDArray[Any], last: bool = False, least: int = 1) -> Iterator[StreamResult]:
        """The results of the chunks that the samples complete, once there are
        `least`.
        """
        taken = self._chunker.take(samples, last, least)
        if self._gate is None:
            return map(self._run, taken)
        return (result for chunks in taken for part in self._gate.take(chunks) for result in self._part(part))

    def _part(self, part: Part) -> Iterator[StreamResult]:
        """The result of a part that the gate made."""
        info = self.detector.info
        frames = part.pcm.shape[1] // info.frame_samples
        if not part.heard:
            if part.anew and not self._is_new:
                self._begin_anew()
            yield self._pass_over(frames)
            return
        if not part.again:
            yield self._run(part.pcm)
            return
        self._frame -= frames
        most = info.chunk_samples * info.chunks_per_call
        for at in range(0, part.pcm.shape[1], most):
            found = self._run(part.pcm[:, at : at + most])
            none = found.scores[:0], found.ages[:0], found.log_posteriors[:0]  # these frames were told of before
            yield StreamResult(found.detections, *none, self._frame)

    def _pass_over(self, frames: int) -> StreamResult:
        """The result of chunks during which the model sleeps: no score, and surely
        blank.
        """
        first, keywords = self._frame, len(self.detector.keywords)
        self._frame += frames
        posteriors = np.full((frames, len(self.detector.info.tokens)), _SURELY_NOT, np.float32)
        posteriors[:, 0] = 0.0
        scores, ages = np.zeros((frames, keywords)), np.zeros((frames, keywords), np.int64)
        if self._open_events.is_open:
            self.peaks += self._open_events.hear([], [], scores, first)
        return StreamResult([], scores, ages, posteriors, first)

    def _run(self, chunks: Samples) -> StreamResult:
        """Hear whole chunks, (1, chunks * chunk_samples)."""
        detector, first, self._is_new = self.detector, self._frame, False
        batch, self._states, features = detector.model.run(chunks, self._states)
        posteriors = batch[0]
        scores, ages, self._scorer_state = detector.scorer.score(posteriors, self._scorer_state)
        if self._second_pass is not None and features is not None:
            scores, ages = self._second_pass.hear(features[0], posteriors, scores, ages)
        if self._pause_before is not None:
            scores = self._pause_before.hear(chunks[0], first, scores, ages)
        fired, self._trigger_state = detector.trigger.run(scores, ages, first, self._trigger_state)
        self._frame += len(posteriors)
        events = detector.detections(fired, scores, ages, first)
        if events or self._open_events.is_open:
            self.peaks += self._open_events.hear(events, fired, scores, first)
        return StreamResult(events, scores, ages, posteriors, first)
