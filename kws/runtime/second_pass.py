"""The second pass: a verifier hears the last seconds around each candidate of the first
pass, and decides.

The verifier is a second graph in the same model file. It hears the log-mel energies
that the first pass hands on, so that no sound is kept, and runs only where the first
pass proposes something: a few times a minute of speech, never in silence.

The verifier was trained on phrases without a pause, and its segment does not reach over
a long one. So it hears only the begin and the end of a pause between two words.

F hops of 10 ms, M mel bands, T frames of 40 ms, K keywords, V tokens, W words
of the verifier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Float32Array, Float64Array, IntArray
from kws.decoding.candidates import Candidate, CandidateFinder
from kws.decoding.scorer import FRAMES_PER_LABEL, KeywordScorer
from kws.metadata import Keyword, ModelInfo, VerifierInfo
from kws.runtime.session import OnnxModel
from kws.units import SAMPLE_RATE

_LEAST = 1e-12
_PAUSE = 10  # blank frames: 400 ms; fluent speech has no such run inside a phrase
_KEPT = 2  # of a pause at either end


class SecondPass:
    """Verifies the candidates of a detector's keywords; immutable, shared by all
    streams.

    A keyword that the verifier was trained on is scored by its log-odds, any other
    phrase by its path through the verifier's phones.
    """

    def __init__(self, model: OnnxModel, keywords: Sequence[Keyword]) -> None:
        """model: a model of two passes."""
        assert model.info.verifier is not None
        self.model = model
        self.info: VerifierInfo = model.info.verifier
        self.finder = CandidateFinder(len(keywords), self.info.floor, self.info.hold_frames)
        places = {name: place for place, name in enumerate(self.info.words)}
        self._places = [places.get(keyword.name) for keyword in keywords]
        self.features_per_frame = 100 * model.info.frame_samples // SAMPLE_RATE
        self.has_pauses = [any(keyword.borders) for keyword in keywords]
        self.most_cut = model.info.scoring.pause_frames if any(self.has_pauses) else 0
        self._scorers = [
            _scorer(model.info, self.info, keyword) if keyword.name not in places else None for keyword in keywords
        ]

    def stream(self) -> SecondPassStream:
        """The second pass of a fresh stream."""
        return SecondPassStream(self)

    def score(self, features: Float32Array, candidate: Candidate) -> float:
        """The score, in [0, 1], of a candidate that ends with the last of the features
        (F, M).

        For a word of the verifier's own it is the logistic function of the verifier's
        log-odds plus the weighted logarithm of the first pass's score; for any other
        phrase the geometric mean of the scores of both passes.
        """
        log_odds, log_posteriors = self.model.verify(features)
        place, scorer = self._places[candidate.keyword], self._scorers[candidate.keyword]
        first = math.log(max(candidate.score, _LEAST))
        if place is not None:
            return _logistic(float(log_odds[place]) + self.info.first_pass_weight * first)
        assert scorer is not None
        second = float(scorer.score(log_posteriors)[0].max())
        return math.exp(0.5 * (first + math.log(max(second, _LEAST))))


class SecondPassStream:
    """The second pass of one stream: its last features and scores, of a size that never
    changes.

    Made by `SecondPass.stream`.
    """

    def __init__(self, second_pass: SecondPass) -> None:
        self._pass = second_pass
        info = second_pass.info
        self._per_frame = second_pass.features_per_frame
        self._keep = info.segment_frames // self._per_frame + second_pass.most_cut
        self._features = np.full((self._keep * self._per_frame, info.mels), info.silence, np.float32)
        self._blank = np.ones(self._keep, bool)
        self._state = second_pass.finder.init_state()

    def hear(
        self, features: Float32Array, log_posteriors: Float32Array, scores: Float64Array, ages: IntArray
    ) -> tuple[Float64Array, IntArray]:
        """Hears the next T frames of the stream; returns their final scores and ages
        (T, K), which are 0 except where a candidate is decided.

        features: (F, M), of the same sound as the first pass's log_posteriors (T, V),
        scores and ages (T, K).
        """
        features = np.concatenate([self._features, features])
        blank = np.concatenate([self._blank, log_posteriors.argmax(axis=1) == 0])
        self._features, self._blank = features[-len(self._features) :], blank[-self._keep :]
        found, self._state = self._pass.finder.run(scores, ages, self._state)
        final, final_ages = np.zeros_like(scores), np.zeros_like(ages)
        for candidate in found:
            end = self._keep + candidate.row + 1
            heard = np.arange(end - self._keep, end)[self._heard(blank[end - self._keep : end], candidate)]
            rows = np.add.outer(heard * self._per_frame, np.arange(self._per_frame)).reshape(-1)
            final[candidate.row, candidate.keyword] = self._pass.score(features[rows], candidate)
            final_ages[candidate.row, candidate.keyword] = candidate.age
        return final, final_ages

    def _heard(self, blank: NDArray[np.bool_], candidate: Candidate) -> IntArray:
        """The frames that the verifier hears, as many as its segment has: the last
        ones, without the middle of pauses.

        blank: whether each kept frame is blank; the candidate is decided in the last
        one.
        """
        size = len(blank) - self._pass.most_cut
        if not self._pass.has_pauses[candidate.keyword]:
            return np.arange(len(blank) - size, len(blank))
        first = max(0, len(blank) - candidate.age)
        cut = first + pauses(blank[first : len(blank) - self._pass.info.hold_frames])
        return np.delete(np.arange(len(blank)), cut[-self._pass.most_cut :])[-size:]

    def frames(self, first_pass: int) -> int:
        """The frame, counted from 1, in which the next event is possible. first_pass:
        the frame in which the next candidate is possible.
        """
        pending = self._pass.finder.frames_to_decide(self._state)
        new = first_pass + self._pass.info.hold_frames
        return new if pending is None else min(pending, new)


def pauses(blank: NDArray[np.bool_]) -> IntArray:
    """The frames of a path (T,) that are left out, in order: of each pause all but its
    begin and its end.

    A pause is a run of at least _PAUSE blank frames.
    """
    sides = np.flatnonzero(np.diff(np.concatenate([[False], blank, [False]]).astype(np.int8)))
    runs = [np.arange(begin + _KEPT, end - _KEPT) for begin, end in sides.reshape(-1, 2) if end - begin >= _PAUSE]
    return np.concatenate([np.empty(0, np.int64), *runs])


def labels_heard(info: ModelInfo, verifier: VerifierInfo) -> int:
    """How many labels of slow speech the segment of a verifier holds."""
    frames = verifier.segment_frames * SAMPLE_RATE // (100 * info.frame_samples)
    return max(1, frames // FRAMES_PER_LABEL)


def _scorer(info: ModelInfo, verifier: VerifierInfo, keyword: Keyword) -> KeywordScorer:
    """The scorer of a typed phrase's spellings. A phrase that is longer than the
    verifier's segment is scored by its end; the first pass has heard all of it.
    """
    heard = labels_heard(info, verifier)
    return info.scoring.scorer(info.tokens, [[spelling[-heard:] for spelling in keyword.spellings]])


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
