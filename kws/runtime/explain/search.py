"""Searches a stream for the frames in which a keyword fired, and those in which it came
nearest to firing. Its memory does not grow with the stream.

T frames of a block, K keywords, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.arrays import Float64Array, IntArray, Samples
from kws.decoding.scorer import ScorerState
from kws.runtime.detector import Detector
from kws.runtime.stream import StreamResult

LENIENCE = 3  # times the limits of duration and gap: what a word that is said too slowly is searched with

_AROUND_SAMPLES = units.samples(1.0)  # shown before and after a path


class Attempt(NamedTuple):
    """A path of a keyword (its index), in the frame in which it fired or had its
    highest score. age: as in decoding/scorer.py.
    """

    keyword: int
    frame: int
    score: float
    age: int

    @property
    def start(self) -> int:
        """The first frame of the path."""
        return self.frame + 1 - self.age

    def overlaps(self, other: Attempt) -> bool:
        """Whether both are paths of one keyword and share a frame, so that they are one
        utterance.
        """
        return self.keyword == other.keyword and self.start <= other.frame and other.start <= self.frame


@dataclass(frozen=True)
class Excerpt:
    """The stretch of a stream around an attempt.

    first_frame: its first frame since the stream began. samples (S,): its sound.
    log_posteriors (T, V), scores and ages (T, K). strict, lenient: what the two scorers
    remembered before it.
    """

    first_frame: int
    samples: Samples
    log_posteriors: NDArray[np.float32]
    scores: Float64Array
    ages: IntArray
    strict: ScorerState
    lenient: ScorerState


class Verdict(NamedTuple):
    """The verifier's decision on a candidate, in a model of two passes: its score, the
    keyword's threshold, and the peak, were the candidate an event.
    """

    score: float
    threshold: float
    peak: float

    @property
    def accepted(self) -> bool:
        """Whether the score reaches the threshold."""
        return self.score >= self.threshold


class Found(NamedTuple):
    """The attempts that `Search` has settled. fires: events. misses: the best attempts
    of the model's own search, events among them. slow: attempts that would reach the
    threshold if the limits were LENIENCE times as long.
    """

    fires: list[Attempt]
    misses: list[Attempt]
    slow: list[Attempt]


def limit(detector: Detector, keyword: int) -> float:
    """The score that an attempt must reach: the floor of a first pass, or the keyword's
    threshold in a model of one pass.
    """
    verifier = detector.info.verifier
    return detector.keywords[keyword].threshold if verifier is None else verifier.floor


class Search:
    """A stream of a detector that keeps its last seconds, so that the sound around an
    attempt can be explained.

    In a model of two passes the attempts are those of the first pass, because their
    paths can be traced; their scores are held against its floor, and `verdict` has the
    verifier's decisions. events: all events so far.
    """

    def __init__(self, detector: Detector) -> None:
        scoring = detector.info.scoring
        spelled = [keyword.spelled for keyword in detector.keywords]
        self._stream = detector.stream()
        self._numbers = {keyword.name: number for number, keyword in enumerate(detector.keywords)}
        self._final_thresholds = [keyword.threshold for keyword in detector.keywords]
        self._thresholds = np.array([limit(detector, number) for number in range(len(detector.keywords))])
        # with longer limits some path always reaches a first pass's low floor: only a clear one is a word said slowly
        self._slow_from = np.maximum(self._thresholds, scoring.default_threshold if detector.second_pass else 0.0)
        self._verifies = detector.second_pass is not None
        self._hold = 0 if detector.info.verifier is None else detector.info.verifier.hold_frames
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self._frame_samples = detector.info.frame_samples
        self._scorers = (detector.scorer, scoring.scorer(detector.info.tokens, spelled, LENIENCE))
        self._states = (self._scorers[0].init_state(), self._scorers[1].init_state())
        self._refractory = max(1, scoring.refractory_frames)
        self._around = max(-(-_AROUND_SAMPLES // self._frame_samples), self._refractory)
        longest = max((scoring.longest_frames(*one) for own in spelled for one in own.items()), default=0)
        self._longest = max(LENIENCE * longest, 2 * self._around)
        self._settled = (max(longest, self._around), self._longest)
        self._peaks = (_Peaks(len(spelled)), _Peaks(len(spelled)))
        self.events: list[Attempt] = []
        self._unsettled: list[Attempt] = []
        self._blocks: list[tuple[StreamResult, ScorerState, ScorerState]] = []
        self._sound: Samples = np.empty(0, np.float32)
        self._sound_start = 0
        self.frames = 0

    def process(self, samples: Samples, last: bool = False) -> Found:
        """Hear the next samples (S,) at 16 kHz, of any number. Returns the attempts
        that later sound cannot change any more; after `last`, all that are left.
        """
        self._forget()
        result = self._stream.process(samples, last)
        self._sound = np.concatenate([self._sound, samples])
        self.frames += len(result.scores)
        own_scores, own_ages, strict = self._scorers[0].score(result.log_posteriors, self._states[0])
        detections = result.detections
        if self._verifies:
            self._note_verdicts(result)
            result = result._replace(scores=own_scores, ages=own_ages)
        if len(result.scores):
            self._blocks.append((result, *self._states))
        scores, ages, loose = self._scorers[1].score(result.log_posteriors, self._states[1])
        self._states = (strict, loose)
        self._peaks[0].push(result.first_frame, result.scores, result.ages)
        only_slow = (scores >= self._slow_from) & (result.scores < self._thresholds)
        self._peaks[1].push(result.first_frame, np.where(only_slow, scores, 0.0), ages)
        for event in detections:
            keyword, frame = self._numbers[event.keyword], event.end // self._frame_samples - 1 - self._hold
            age = frame + 1 - event.start // self._frame_samples
            score = self._score_at(frame, keyword) if self._verifies else event.score
            self._unsettled.append(Attempt(keyword, frame, score, age))
        self.events += self._unsettled[len(self._unsettled) - len(detections) :]
        return self._take(last)

    def verdict(self, attempt: Attempt) -> Verdict | None:
        """The verifier's decision on an attempt; None where it was not asked, or where
        the model has no verifier.
        """
        verdict = self._verdicts.get((attempt.keyword, attempt.frame))
        if verdict is None:
            return None
        near = range(attempt.frame, attempt.frame + self._refractory)
        later = (v.score for (keyword, at), v in self._verdicts.items() if keyword == attempt.keyword and at in near)
        return verdict._replace(peak=max(later))

    def _note_verdicts(self, result: StreamResult) -> None:
        for row, keyword in np.argwhere(result.scores > 0).tolist():
            peak = result.first_frame + row - self._hold
            score = float(result.scores[row, keyword])
            self._verdicts[keyword, peak] = Verdict(score, self._final_thresholds[keyword], score)
        oldest = self.frames - 2 * self._longest - 2 * self._around
        self._verdicts = {at: verdict for at, verdict in self._verdicts.items() if at[1] >= oldest}

    def _score_at(self, frame: int, keyword: int) -> float:
        """The first pass's score in a frame that is still remembered."""
        for result, _, _ in reversed(self._blocks):
            if result.first_frame <= frame:
                return float(result.scores[frame - result.first_frame, keyword])
        raise AssertionError("a block that an event began in is remembered")

    def excerpt(self, attempt: Attempt) -> Excerpt:
        """The sound around an attempt of the last call of `process`: later blocks push
        it out of memory.
        """
        begin = max(0, min(attempt.start - self._around, attempt.frame - 2 * self._around))
        end = attempt.frame + 1 + self._around
        blocks = [b for b in self._blocks if b[0].first_frame + len(b[0].scores) > begin and b[0].first_frame < end]
        results, strict, loose = [block[0] for block in blocks], blocks[0][1], blocks[0][2]
        first = results[0].first_frame
        rows = slice(0, end - first)
        start = first * self._frame_samples - self._sound_start
        return Excerpt(
            first,
            self._sound[start : start + (end - first) * self._frame_samples],
            np.concatenate([result.log_posteriors for result in results])[rows],
            np.concatenate([result.scores for result in results])[rows],
            np.concatenate([result.ages for result in results])[rows],
            strict,
            loose,
        )

    def _take(self, last: bool) -> Found:
        """The attempts that are settled: no later attempt can overlap them, and the
        sound after them has been heard.
        """
        border = self.frames + 1 if last else self.frames - self._around - self._hold
        fires = [fire for fire in self._unsettled if fire.frame < border]
        self._unsettled = self._unsettled[len(fires) :]
        borders = [self.frames + 1 if last else self.frames - settled for settled in self._settled]
        return Found(fires, *(peaks.take(border) for peaks, border in zip(self._peaks, borders, strict=True)))

    def _forget(self) -> None:
        """Drop the blocks that no excerpt of an unsettled attempt can need."""
        oldest = self.frames - 2 * self._longest - 2 * self._around
        while len(self._blocks) > 1 and self._blocks[1][0].first_frame <= oldest:
            del self._blocks[0]
        first = self._blocks[0][0].first_frame * self._frame_samples if self._blocks else 0
        self._sound = self._sound[max(0, first - self._sound_start) :]
        self._sound_start = max(self._sound_start, first)


class _Peaks:
    """For each keyword the frames with the highest scores: of frames whose paths
    overlap, the best one.
    """

    def __init__(self, keywords: int) -> None:
        self._open: list[list[Attempt]] = [[] for _ in range(keywords)]

    def push(self, first_frame: int, scores: Float64Array, ages: IntArray) -> None:
        for row, keyword in np.argwhere(scores > 0).tolist():
            now = Attempt(keyword, first_frame + row, float(scores[row, keyword]), int(ages[row, keyword]))
            peaks = self._open[keyword]
            if not peaks or now.start > peaks[-1].frame:
                peaks.append(now)
            elif now.score > peaks[-1].score:
                peaks[-1] = now

    def take(self, border: int) -> list[Attempt]:
        """The peaks before a frame, which are then forgotten here."""
        taken = [peak for peaks in self._open for peak in peaks if peak.frame < border]
        self._open = [[peak for peak in peaks if peak.frame >= border] for peaks in self._open]
        return sorted(taken, key=lambda peak: peak.frame)
