"""Detector: a model and the keywords it listens for. Stream: what one microphone remembers.

n frames, K keywords, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.audio import Resampler, Samples, check_rate
from kws.bundle import Keyword, Manifest
from kws.errors import InputError, KwsError
from kws.events import Detection
from kws.runtime.session import DEFAULT_MODEL, OnnxModel, find
from kws.trigger import Trigger

_FLUSH_SAMPLES = units.samples(0.5)  # a model's posteriors come some frames after the sound
_INT16 = np.dtype(np.int16)
_TYPES = (_INT16, np.dtype(np.float32))
_LOUDEST = 64.0  # float samples beyond this are integers that nobody has scaled; clipped mixes stay far below


class StreamResult(NamedTuple):
    """What a stream made of the samples that it was given.

    detections: as `Stream.push` gives them. For each frame that was completed: scores (n, K) in [0, 1], ages
    (n, K), the frames that the path of a score covers, and log_posteriors (n, V). first_frame: the number of
    the first of these frames since the stream began; frame i ends at sample (i + 1) * frame_samples.
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

    def __init__(self, model: OnnxModel, keywords: Sequence[Keyword] | None = None) -> None:
        """A detector for the model's own keywords, or for those given (spelled in the model's tokens)."""
        manifest = model.manifest
        scoring = manifest.scoring
        self.model = model
        self.keywords = manifest.keywords if keywords is None else tuple(keywords)
        for keyword in self.keywords:
            manifest.check_keyword(keyword)
        self.scorer = scoring.scorer(manifest.tokens, [keyword.spellings for keyword in self.keywords])
        thresholds = [keyword.threshold for keyword in self.keywords]
        self.trigger = Trigger(thresholds, scoring.refractory_frames)

    @classmethod
    def load(cls, model: str | PathLike[str] = DEFAULT_MODEL) -> Detector:
        """Open a model: the path of an .onnx file, or the name of one that ships with kws.

        Raises KwsError with one sentence for anything that is not a model of kws.
        """
        return cls(OnnxModel.load(find(model)))

    @property
    def manifest(self) -> Manifest:
        """What the model file says about itself."""
        return self.model.manifest

    def with_keywords(self, phrases: Mapping[str, Sequence[Sequence[str]]], threshold: float | None = None) -> Detector:
        """A detector that hears further phrases too, without any training.

        phrases: for each name its spellings in the model's tokens. threshold: the score at which they fire;
        the model's default for added phrases when None. Raises KwsError for a name that is there already, for
        a token that the model does not know and for a threshold outside (0, 1].
        """
        threshold = self.manifest.scoring.default_threshold if threshold is None else threshold
        known = {keyword.name for keyword in self.keywords}
        for name in phrases:
            if name in known:
                raise KwsError(f"the model hears '{name}' already")
        added = [
            Keyword(name, tuple(tuple(spelling) for spelling in spellings), threshold)
            for name, spellings in phrases.items()
        ]
        return Detector(self.model, [*self.keywords, *added])

    def with_threshold(self, threshold: float) -> Detector:
        """A detector with one threshold, in (0, 1], for every keyword."""
        changed = [replace(keyword, threshold=threshold, calibration=None) for keyword in self.keywords]
        return Detector(self.model, changed)

    def stream(self, sample_rate: int = units.SAMPLE_RATE) -> Stream:
        """A fresh stream of samples at sample_rate Hz; rates other than 16 kHz need soxr (kws[audio])."""
        return Stream(self, sample_rate)


class Stream:
    """What one microphone remembers: less than a chunk of sound, and states whose size never changes.

    Made by `Detector.stream`. Its time is the count of samples; how they are cut into blocks changes nothing.
    """

    def __init__(self, detector: Detector, sample_rate: int) -> None:
        check_rate(sample_rate)
        self.detector = detector
        self.sample_rate = sample_rate
        self._chunk = np.zeros((1, detector.manifest.chunk_samples), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the stream is as new, and its time begins at 0."""
        self._fill = 0
        self._frame = 0
        self._ended = False
        self._states = self.detector.model.init_states()
        self._scorer_state = self.detector.scorer.init_state()
        self._trigger_state = self.detector.trigger.init_state()
        resamples = self.sample_rate != units.SAMPLE_RATE
        self._resampler = Resampler(self.sample_rate) if resamples else None

    def push(self, samples: NDArray[Any]) -> list[Detection]:
        """Hear the next samples of the stream; the events that they complete, in order of time.

        samples: (n,) int16, or float32 in [-1, 1], at the stream's rate; any n. Raises InputError for any
        other type or shape, for NaN or infinity, for integers in floats, and after `flush`; the stream is
        then as it was before.
        """
        return [event for result in self._chunks(self._take(samples)) for event in result.detections]

    def flush(self) -> list[Detection]:
        """End the stream: half a second of silence, so that a keyword at the very end is heard."""
        return self.process(np.empty(0, np.float32), last=True).detections

    def process(self, samples: NDArray[Any], last: bool = False) -> StreamResult:
        """`push` that also gives each frame's scores and log-posteriors; with `last` it is `flush` too."""
        first = self._frame
        results = list(self._chunks(self._take(samples, last)))
        keywords, tokens = len(self.detector.keywords), len(self.detector.manifest.tokens)
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

    def _take(self, samples: NDArray[Any], last: bool = False) -> Samples:
        """The samples to run, at 16 kHz, once they are known to be of the right kind."""
        if self._ended:
            raise InputError("the stream has ended: reset() makes it new")
        pcm = _checked(samples)
        if self._resampler is not None:
            pcm = self._resampler.push(pcm, last)
        if last:
            self._ended = True
            size = self._chunk.shape[1]
            used = self._fill + pcm.size + _FLUSH_SAMPLES
            pcm = np.concatenate([pcm, np.zeros(_FLUSH_SAMPLES + -used % size, np.float32)])
        return pcm

    def _chunks(self, pcm: Samples) -> Iterator[StreamResult]:
        """Run every chunk that the samples complete, and keep the rest."""
        size = self._chunk.shape[1]
        while self._fill + pcm.size >= size:
            missing = size - self._fill
            self._chunk[0, self._fill :] = pcm[:missing]
            pcm = pcm[missing:]
            self._fill = 0
            yield self._run()
        self._chunk[0, self._fill : self._fill + pcm.size] = pcm
        self._fill += pcm.size

    def _run(self) -> StreamResult:
        detector, first = self.detector, self._frame
        batch, self._states = detector.model.run(self._chunk, self._states)
        posteriors = batch[0]
        scores, ages, self._scorer_state = detector.scorer.score(posteriors, self._scorer_state)
        fired, self._trigger_state = detector.trigger.run(scores, ages, first, self._trigger_state)
        self._frame += len(posteriors)
        frame_samples = detector.manifest.frame_samples
        detections = [
            Detection(
                keyword=detector.keywords[keyword].name,
                score=float(scores[row, keyword]),
                start=(first + row + 1 - int(ages[row, keyword])) * frame_samples,
                end=(first + row + 1) * frame_samples,
            )
            for row, keyword in fired
        ]
        return StreamResult(detections, scores, ages, posteriors, first)


def _checked(samples: NDArray[Any]) -> Samples:
    """float32 samples in [-1, 1], or InputError."""
    if not isinstance(samples, np.ndarray) or samples.dtype not in _TYPES:
        kind = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
        raise InputError(f"samples must be a numpy array of int16 or float32, not {kind}")
    if samples.ndim != 1:
        raise InputError(f"samples must be mono, of shape (n,), not {samples.shape}")
    if samples.dtype == _INT16:
        return np.multiply(samples, np.float32(2**-15), dtype=np.float32)
    loudest = float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))
    if not math.isfinite(loudest):
        raise InputError("samples must be finite numbers, and some are NaN or infinite")
    if loudest > _LOUDEST:
        raise InputError(f"float32 samples must lie in [-1, 1], not reach {loudest:g}: divide int16 by 32768")
    return samples
