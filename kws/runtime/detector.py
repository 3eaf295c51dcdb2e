"""Detector: a model and the keywords it listens for. Stream: what one microphone
remembers.

n frames, K keywords, V tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.arrays import Samples
from kws.decoding.event_peaks import EventPeaks
from kws.decoding.trigger import Trigger
from kws.decoding.wait_bound import WaitBound
from kws.errors import InputError, KwsError
from kws.events import Detection
from kws.lexicon import spell_all
from kws.metadata import Keyword, ModelInfo
from kws.runtime.chunker import Chunker
from kws.runtime.gate import Gate, Part, quiet_chunks
from kws.runtime.second_pass import SecondPass
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import DEFAULT_MODEL, find
from kws.runtime.streams import Streams

_SURELY_NOT = -30.0  # a log-posterior


class StreamResult(NamedTuple):
    """What a stream made of the samples that it was given.

    detections: as `Stream.push` gives them. For each frame that was completed: scores
    (n, K) in [0, 1], ages (n, K), the frames that the path of a score covers, and
    log_posteriors (n, V). first_frame: the number of the first of these frames since
    the stream began; frame i ends at sample (i + 1) * frame_samples.
    """

    detections: list[Detection]
    scores: NDArray[np.float64]
    ages: NDArray[np.int64]
    log_posteriors: NDArray[np.float32]
    first_frame: int


class Detector:
    """A model with its keywords and thresholds. Immutable: streams and threads may share one.

    >>> stream = Detector.load("wake-words").stream()
    >>> for detection in stream.push(samples):
    ...     print(detection.keyword, detection.end_s)
    """

    def __init__(self, model: OnnxModel, keywords: Sequence[Keyword] | None = None, *, verify: bool = True) -> None:
        """A detector for the model's own keywords, or for those given (spelled in the
        model's tokens).

        verify: with the second pass of a model that has one; False leaves the scores of
        its first pass as they are.
        """
        info = model.info
        scoring = info.scoring
        self.model = model
        self.keywords = info.keywords if keywords is None else tuple(keywords)
        for keyword in self.keywords:
            info.check_keyword(keyword)
        self.scorer = scoring.scorer(info.tokens, [keyword.spellings for keyword in self.keywords])
        thresholds = [keyword.threshold for keyword in self.keywords]
        self.trigger = Trigger(thresholds, scoring.refractory_frames)
        self.second_pass = SecondPass(model, self.keywords) if verify and info.verifier is not None else None
        proposed_from = thresholds if self.second_pass is None else [self.second_pass.info.floor] * len(thresholds)
        self.wait_bound = WaitBound(
            [keyword.spellings for keyword in self.keywords], proposed_from, scoring.peak_weight
        )

    def __repr__(self) -> str:
        words = ", ".join(f"{keyword.name} at {keyword.threshold:g}" for keyword in self.keywords)
        return f"<kws.Detector {self.info.name}: {words or 'no keyword yet'}>"

    @classmethod
    def load(cls, model: str | PathLike[str] = DEFAULT_MODEL) -> Detector:
        """Open a model: the path of an .onnx file, or the name of one that ships with
        kws.

        Raises KwsError with one sentence for anything that is not a model of kws.
        """
        return cls(OnnxModel.load(find(model)))

    @property
    def info(self) -> ModelInfo:
        """What the model file says about itself."""
        return self.model.info

    def with_keywords(
        self, phrases: Iterable[str] | Mapping[str, Sequence[Sequence[str]]], threshold: float | None = None
    ) -> Detector:
        """A detector that hears further phrases too, without any training.

        >>> detector.with_keywords(["good morning", "hey zorgo=HH EY Z AO R G OW"])

        phrases: words that the CMU dictionary spells (the extra `lexicon`), or words with
        their phones; or a mapping from each name to its spellings in the model's tokens.
        threshold: the score in (0, 1] at which they fire; None: the model's default for
        added phrases. Raises KwsError for a name that the detector hears already, for a
        phrase or a token that cannot be used and for a threshold outside (0, 1].
        """
        if isinstance(phrases, str):
            raise InputError(f"with_keywords takes a list of phrases: with_keywords([{phrases!r}])")
        if not isinstance(phrases, Mapping):
            phrases = spell_all(_texts(phrases))
        threshold = self.info.scoring.default_threshold if threshold is None else threshold
        known = {keyword.name for keyword in self.keywords}
        for name in phrases:
            if name in known:
                raise KwsError(f"the model hears '{name}' already")
        added = [
            Keyword(name, tuple(tuple(spelling) for spelling in spellings), threshold)
            for name, spellings in phrases.items()
        ]
        return Detector(self.model, [*self.keywords, *added], verify=self.second_pass is not None)

    def with_phrases(self, *phrases: str, fa_per_hour: float = 0.5) -> Detector:
        """A detector that hears further phrases too, each at a threshold of its own.

        >>> detector = kws.Detector.load("phones").with_phrases("good morning", fa_per_hour=0.5)

        The threshold is the one at which the phrase fires `fa_per_hour` times an hour in
        the speech that is stored beside the model (see kws.runtime.speech.tail); it is
        found in seconds, without recordings. `keywords` has it, with the false accepts
        counted there. Other keywords stay as they are.

        phrases: as `with_keywords` takes them. Raises KwsError where that does, and for a
        model without stored speech, or with that of another model.
        """
        from kws.runtime.speech.phrases import calibrated, required_speech  # a detector without new phrases needs none

        if not 0 < fa_per_hour < float("inf"):
            raise InputError(f"fa_per_hour is {fa_per_hour}, not a rate above 0")
        speech = required_speech(self.model)
        added = self.with_keywords(phrases).keywords[len(self.keywords) :]
        found = calibrated(speech, self.info, added, fa_per_hour)
        keywords = [*self.keywords, *(phrase.keyword for phrase in found)]
        return Detector(self.model, keywords, verify=self.second_pass is not None)

    def with_threshold(self, threshold: float) -> Detector:
        """A detector with one threshold, in (0, 1], for every keyword."""
        changed = [replace(keyword, threshold=threshold, calibration=None) for keyword in self.keywords]
        return Detector(self.model, changed, verify=self.second_pass is not None)

    def stream(self, sample_rate: int = units.SAMPLE_RATE, *, gate: bool = False) -> Stream:
        """A fresh stream of samples at sample_rate Hz; rates other than 16 kHz need
        soxr (the extra `audio`).

        gate: the model sleeps while it is quiet (see gate.py), which costs next to
        nothing.
        """
        return Stream(self, sample_rate, self._new_gate() if gate else None)

    def streams(self, *, gate: bool = False) -> Streams:
        """No stream yet, but a place for many that join and leave: their chunks run
        together, which costs less. gate: as of `stream`, for each.
        """
        return Streams(self, self._new_gate if gate else None)

    def _new_gate(self) -> Gate:
        """A fresh gate, for one stream."""
        hold = 0 if self.second_pass is None else self.second_pass.info.hold_frames
        return Gate(self.info.chunk_samples, quiet_chunks(self.info, hold))

    def detections(
        self,
        fired: Sequence[tuple[int, int]],
        scores: NDArray[np.float64],
        ages: NDArray[np.int64],
        first_frame: int,
    ) -> list[Detection]:
        """The events that `Trigger.run` found, as (row, keyword), in scores and ages
        (n, K) from a frame on.
        """
        frame_samples = self.info.frame_samples
        return [
            Detection(
                keyword=self.keywords[keyword].name,
                score=float(scores[row, keyword]),
                start=(first_frame + row + 1 - int(ages[row, keyword])) * frame_samples,
                end=(first_frame + row + 1) * frame_samples,
            )
            for row, keyword in fired
        ]


def _texts(phrases: Iterable[object]) -> list[str]:
    """The phrases, if all are text; InputError otherwise."""
    texts = list(phrases)
    for phrase in texts:
        if not isinstance(phrase, str):
            raise InputError(f"a phrase is text such as 'good morning' or 'zorgo=Z AO R G OW', not {phrase!r}")
    return [str(phrase) for phrase in texts]


class Stream:
    """What one microphone remembers: less than a chunk of sound, and states whose size
    never changes.

    Made by `Detector.stream`. Its time is the count of samples; how they are cut into
    blocks changes nothing.

    peaks: the events whose peak the last call of `push`, `process` or `flush` made known,
    in order of time. Each event that fired comes there once, with `peak`, when the
    keyword may fire again (1 s later) or the stream ends.
    """

    def __init__(self, detector: Detector, sample_rate: int, gate: Gate | None = None) -> None:
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
        if self._gate is not None:
            self._gate.reset()
        self._begin_anew()
        self._trigger_state = self.detector.trigger.init_state()
        self._open_events = EventPeaks(self.detector.info.scoring.refractory_frames)
        self.peaks: list[Detection] = []

    def _begin_anew(self) -> None:
        """Hear on as after silence; the stream's time and its last events stay."""
        self._is_new = True
        self._states = self.detector.model.init_states()
        self._scorer_state = self.detector.scorer.init_state()
        second_pass = self.detector.second_pass
        self._second_pass = None if second_pass is None else second_pass.stream()

    @property
    def wait_s(self) -> float:
        """How many seconds of sound may be buffered before any event is possible (see
        decoding/wait_bound.py).

        At least what completes a chunk. Sleeping that long between two pushes halves
        the CPU use (benchmarks/live.py). Scores are the same bits for every block size.
        While the model sleeps, what its gate has kept does not count: a word that began in
        it may be told of so much later, for which the process wakes a seventh as often.
        """
        info = self.detector.info
        frames = self.detector.wait_bound.frames(self._scorer_state)
        if self._second_pass is not None:
            frames = self._second_pass.frames(frames)
        more = -(-frames // info.frames_per_chunk) - 1
        return units.seconds(self._chunker.missing + more * info.chunk_samples)

    def push(self, samples: NDArray[Any]) -> list[Detection]:
        """Hear the next samples of the stream; the events that they complete, in order
        of time.

        samples: (n,) int16, or float32 in [-1, 1], at the stream's rate; any n. Raises
        InputError for any other type or shape, for NaN or infinity, for integers in
        floats, and after `flush`; the stream is then as it was before.
        """
        self.peaks = []
        return [event for result in self._results(samples) for event in result.detections]

    def flush(self) -> list[Detection]:
        """End the stream: half a second of silence, so that a keyword at the very end
        is heard.
        """
        return self.process(np.empty(0, np.float32), last=True).detections

    def process(self, samples: NDArray[Any], last: bool = False) -> StreamResult:
        """`push` that also gives each frame's scores and log-posteriors; with `last` it
        is `flush` too.
        """
        first, self.peaks = self._frame, []
        results = list(self._results(samples, last))
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

    def _results(self, samples: NDArray[Any], last: bool = False) -> Iterator[StreamResult]:
        """What the chunks give that the samples complete."""
        taken = self._chunker.take(samples, last)
        if self._gate is None:
            return map(self._run, taken)
        return (result for chunks in taken for part in self._gate.take(chunks) for result in self._part(part))

    def _part(self, part: Part) -> Iterator[StreamResult]:
        """What a part gives that the gate made."""
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
        """Frames in which the model sleeps: no score, and surely blank."""
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
            scores, ages = self._second_pass.hear(features[0], scores, ages)
        fired, self._trigger_state = detector.trigger.run(scores, ages, first, self._trigger_state)
        self._frame += len(posteriors)
        events = detector.detections(fired, scores, ages, first)
        if events or self._open_events.is_open:
            self.peaks += self._open_events.hear(events, fired, scores, first)
        return StreamResult(events, scores, ages, posteriors, first)
