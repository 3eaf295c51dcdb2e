"""Hears phrases in stored speech: the peaks of their scores, and what was said there.

T frames, K keywords, B streams side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from kws.arrays import Float64Array, IntArray
from kws.decoding.packed import PackedPosteriors
from kws.decoding.scorer import KeywordScorer
from kws.metadata import ScorerConfig
from kws.runtime.speech.store import Recording, StoredSpeech

_STREAMS = 64  # recordings are laid end to end in so many streams: more take no less time for each
_BLOCK_FRAMES = 128
_WORD_FRAMES = 10  # of the longer ones, which may begin with a pause
FLOOR = 2e-3  # scores below are no peaks: no threshold is as low


class Peak(NamedTuple):
    """The highest score of a keyword within the refractory time before and after it.

    recording: its index. frame: of the recording. age: frames that its path covers, the
    frame itself included.
    """

    score: float
    recording: int
    frame: int
    age: int


def peaks(speech: StoredSpeech, scorer: KeywordScorer, scoring: ScorerConfig) -> list[list[Peak]]:
    """For each of K keywords its peaks above FLOOR in all recordings, the highest
    first. Each recording is heard as a stream of its own.

    scoring: the constants that `scorer` was made with.
    """
    layout = _layout([recording.frames for recording in speech.recordings], scorer.longest_gap + 1)
    scores, ages = _scores(speech.posteriors, scorer, layout)
    found: list[list[Peak]] = []
    for keyword in range(scorer.keywords):
        own = []
        for number, (stream, start, end) in enumerate(layout.places):
            heard, old = scores[stream, start:end, keyword], ages[stream, start:end, keyword]
            own += [
                Peak(float(heard[frame]), number, frame, int(old[frame]))
                for frame in _highest(heard, scoring.refractory_frames)
            ]
        found.append(sorted(own, reverse=True))
    return found


def said(recording: Recording, peak: Peak) -> str:
    """The words of a recording of which a peak's path covers half or more, or the one
    word that the path lies in; empty where the words are not known.
    """
    words = []
    for word, start, end in recording.spans:
        overlap = min(end, peak.frame + 1) - max(start, peak.frame + 1 - peak.age)
        if overlap > 0:
            words.append((word, 2 * overlap >= min(end - start, _WORD_FRAMES)))
    return " ".join(word for word, by_half in words if by_half or len(words) == 1)


class _Layout(NamedTuple):
    """The layout of recordings in streams. rows: (B, T), numbers of frames, -1 between
    recordings. places: for each recording its stream, its first frame there, and the
    frame after its last.
    """

    rows: IntArray
    places: list[tuple[int, int, int]]


def _layout(lengths: Sequence[int], gap: int) -> _Layout:
    """Recordings end to end in streams of about the same length: the longest first,
    each into the stream that is shortest by then. No path spans the gap between two.
    """
    streams = max(1, min(_STREAMS, len(lengths)))
    firsts = list(accumulate(lengths, initial=0))
    filled = [0] * streams
    places = [(0, 0, 0)] * len(lengths)
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        stream = filled.index(min(filled))
        start = filled[stream]
        places[number] = (stream, start, start + lengths[number])
        filled[stream] = start + lengths[number] + gap
    rows = np.full((streams, max(filled)), -1)
    for first, (stream, start, end) in zip(firsts, places, strict=False):
        rows[stream, start:end] = np.arange(first, first + end - start)
    return _Layout(rows, places)


def _scores(posteriors: PackedPosteriors, scorer: KeywordScorer, layout: _Layout) -> tuple[Float64Array, IntArray]:
    """Scores and ages (B, T, K) of all streams."""
    state, scores, ages = None, [], []
    for first in range(0, layout.rows.shape[1], _BLOCK_FRAMES):
        block = posteriors.frames(layout.rows[:, first : first + _BLOCK_FRAMES])
        some, old, state = scorer.score(block, state)
        scores.append(some)
        ages.append(old)
    return np.concatenate(scores, axis=1), np.concatenate(ages, axis=1)


def _highest(scores: Float64Array, refractory_frames: int) -> list[int]:
    """The frames (T,) of the peaks above FLOOR: the highest one, then the highest that
    is at least the refractory time away from it, and so on.
    """
    left, found = np.where(scores > FLOOR, scores, 0.0), []
    while len(left) and left[frame := int(left.argmax())] > 0:
        found.append(frame)
        left[max(0, frame + 1 - refractory_frames) : frame + max(1, refractory_frames)] = 0
    return found
