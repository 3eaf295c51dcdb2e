"""Streaming keyword scores from CTC log-posteriors.

A spelling's states are its labels, with an optional blank between each two. A
free-start Viterbi search keeps one best path for each state of all spellings at once.
In each frame a path pays the difference between the best token's log-posterior (the
greedy background) and its own token's, so that scores are log-likelihood ratios,
bounded and free of drift. A keyword ends on its last label only: ending on the blank
after it would keep the score up until speech resumes.

T frames, V tokens, K keywords, P spellings, Q states of all spellings (see viterbi.py),
B streams scored at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kws.arrays import Float64Array, IntArray
from kws.decoding import viterbi
from kws.decoding.viterbi import AGE, COLUMNS, DONE, LLR, PEAK, ViterbiGraph
from kws.errors import InputError

FRAMES_PER_LABEL = 5  # of a long spelling's path: frames are 40 ms, and slow speech takes 200 ms a phone
_LONG_FRAMES = 60  # what the path of a long spelling may cover at least
PAUSE_FRAMES = 30  # between two words: 1.2 s, a pause of a second and the blanks around it


def longest_path(labels: int, usual_frames: int) -> int:
    """How many frames the path of a spelling of `labels` labels may cover, without the
    pauses between words.

    usual_frames: the limit that a model gives its keywords. A spelling that fits keeps
    exactly that limit, so that the scores of short phrases do not depend on this
    function; a longer spelling gets more with each label.
    """
    needed = FRAMES_PER_LABEL * labels
    return usual_frames if needed <= usual_frames else max(needed, _LONG_FRAMES)


class ScorerState(NamedTuple):
    """The state of a stream's scorer; its size never changes.

    paths: (2, Q + 2, 5), or (B, 2, Q + 2, 5) of B streams; columns as in viterbi.py.
    paths[0] holds the best path of each state. paths[1] holds the same paths as the
    label that is entered next sees them: the peak of the present label is added to
    DONE, and GAP is 0.
    """

    paths: Float64Array


class Path(NamedTuple):
    """The best path of a keyword, traced back over the frames that it covers (see
    `KeywordScorer.trace`).

    spelling: its index among all spellings. places (age,): 2 u in label u of the
    spelling, 2 u - 1 in the blank before it. llr (age,): of the path up to and with
    each frame. peaks (age,): the best log-posterior so far of the label that it is in
    or was in last; the first label's may be older than the path, which then began anew
    in a held sound.
    """

    spelling: int
    places: IntArray
    llr: Float64Array
    peaks: Float64Array


class KeywordScorer:
    """Scores keywords in a stream of log-posteriors; immutable, so one serves any
    number of streams.

    spellings: token ids of each spelling. owner: for each spelling the index of its
    keyword; every keyword from 0 up has at least one. blank: the id of the CTC blank.
    peak_weight: weight of the mean over labels of the label's best log-posterior, which
    separates paths that equal the background (LLR 0). max_duration_frames: longest
    path, one for all spellings or one for each. max_gap_frames: longest run of blanks
    inside a path (they cost nothing where blank is the best token, so that a limit is
    needed), and longest stay in its first label: then the path begins anew, lest a hiss
    before the keyword use up its duration. borders: of each spelling after how many
    labels a word ends; there a run of blanks may last max_pause_frames, if that is
    more.
    """

    def __init__(
        self,
        spellings: Sequence[Sequence[int]],
        owner: Sequence[int],
        *,
        blank: int = 0,
        peak_weight: float = 1.0,
        max_duration_frames: int | Sequence[int],
        max_gap_frames: int,
        borders: Sequence[Sequence[int]] = (),
        max_pause_frames: int = 0,
    ) -> None:
        self._owners = _spellings_of_keywords(spellings, owner, blank)
        self._firsts = np.arange(0, self._owners.size, self._owners.shape[1])
        self._one_each = self._owners.tolist() == [[k] for k in range(len(spellings))]
        self._peak_weight = peak_weight
        self._lengths = np.array([len(labels) for labels in spellings], np.float64)
        self._last_token = max((max(labels) for labels in spellings), default=blank)
        self._inputs = viterbi.inputs(spellings, blank)
        durations = (
            [max_duration_frames] * len(spellings) if isinstance(max_duration_frames, int) else max_duration_frames
        )
        self._graph = ViterbiGraph.of(spellings, blank, durations, max_gap_frames, borders, max_pause_frames)

    @property
    def keywords(self) -> int:
        """The number of keywords, K."""
        return len(self._owners)

    @property
    def longest_gap(self) -> int:
        """The longest run of blanks that a path may have inside, in frames."""
        return self._graph.longest_gap

    def init_state(self, *batch: int) -> ScorerState:
        """The state of a fresh stream, or of B of them: no path anywhere."""
        return ScorerState(self._graph.fresh(*batch))

    def step(self, log_posteriors: ArrayLike, state: ScorerState) -> tuple[Float64Array, IntArray, ScorerState]:
        """Score one frame: `score` for log-posteriors of shape (V,); scores and ages
        have shape (K,).
        """
        scores, ages, state = self.score(np.asarray(log_posteriors)[None], state)
        return scores[0], ages[0], state

    def score(
        self, log_posteriors: ArrayLike, state: ScorerState | None = None
    ) -> tuple[Float64Array, IntArray, ScorerState]:
        """Score the frames of a chunk of one stream, or of B streams, following `state`
        (None: fresh).

        log_posteriors: (T, V) or (B, T, V), finite. Returns scores, ages and the new
        state. A score, of shape (T, K) or (B, T, K), is exp(LLR / U + peak_weight *
        mean of the labels' best log-posteriors) of the best path that ends in the
        frame: in [0, 1], 0 where no path ends. An age, of the same shape, is the number
        of frames that the path covers, the frame itself included.

        A stream gets the same scores alone and among others. Raises InputError for
        log-posteriors that are not finite, have another shape, have fewer tokens than
        the spellings need, or are of another number of streams than the state.
        """
        posteriors = np.asarray(log_posteriors, np.float64)
        if not 2 <= posteriors.ndim <= 3 or posteriors.shape[-1] <= self._last_token:
            raise InputError(f"log-posteriors of shape {posteriors.shape} are not (frames, tokens)")
        if not math.isfinite(np.add.reduce(posteriors, axis=None)):
            raise InputError("the log-posteriors are not finite numbers")
        *batch, frames, tokens = posteriors.shape
        paths = (self.init_state(*batch) if state is None else state).paths
        if paths.shape[:-3] != (*batch,):
            raise InputError(f"log-posteriors of shape {posteriors.shape} cannot follow paths of shape {paths.shape}")
        arguments = self._arguments(posteriors.reshape(-1, tokens))
        if batch:
            ends, paths = self._graph.search_many(arguments.reshape(*batch, frames, *arguments.shape[1:]), paths)
        else:
            ends, paths = self._graph.search(arguments, paths)
        return *self._keyword_scores(ends), ScorerState(paths)

    def trace(self, log_posteriors: ArrayLike, keyword: int, state: ScorerState | None = None) -> Path | None:
        """The path that gives `keyword` its score in the last of the frames (T, V),
        which follow `state`; None where no path ends in that frame.

        It needs the state that the stream had before the frames, because older paths
        that reached a limit decide which paths there were to choose from. Raises
        ValueError where the path began before the frames.
        """
        state = self.init_state() if state is None else state
        history = [state.paths]
        for row in np.asarray(log_posteriors):
            state = self.step(row, state)[2]
            history.append(state.paths)
        ends = state.paths.reshape(-1, COLUMNS)[self._graph.ends]
        own = self._owners[keyword]
        spelling = int(own[self._spelling_scores(ends[None])[0, own].argmax()])
        _, age, *_ = ends[spelling]
        if not np.isfinite(ends[spelling, LLR]):
            return None
        if age >= len(history):
            raise ValueError(f"the path covers {age:.0f} frames, and {len(history) - 1} are given")
        count = self._graph.states
        states = [int(self._graph.ends[spelling]) - count]
        for paths in reversed(history[len(history) - int(age) : -1]):
            sources = self._graph.sources[states[-1]]
            choice = paths.reshape(-1, COLUMNS)[sources, LLR].argmax()
            states.append(int(sources[choice]) % count)
        states.reverse()
        rows = np.array([paths[0, s] for paths, s in zip(history[-len(states) :], states, strict=True)])
        first = states[-1] - 2 * (int(self._lengths[spelling]) - 1)
        return Path(spelling, np.array(states) - first, rows[:, LLR], rows[:, PEAK])

    def _arguments(self, posteriors: Float64Array) -> Float64Array:
        """The arguments (rows, 3, Q + 2) of `ViterbiGraph.search` for log-posteriors
        (rows, V).
        """
        rows, tokens = posteriors.shape
        table = np.zeros((rows, tokens + 1, 2))
        best = np.maximum.reduce(posteriors, axis=1, keepdims=True)
        np.subtract(posteriors, best, out=table[:, :-1, 0])
        table[:, :-1, 1] = posteriors
        table[:, -1, 1] = -np.inf
        return table.reshape(rows, 2 * tokens + 2).take(self._inputs, axis=1)

    def _keyword_scores(self, ends: Float64Array) -> tuple[Float64Array, IntArray]:
        """The scores and ages (..., K) of keywords, from the paths of the last states
        (..., P, 5).
        """
        scores = self._spelling_scores(ends)
        ages = ends[..., AGE].astype(np.int64)
        if self._one_each:
            return scores, ages
        front, spellings = scores.shape[:-1], scores.shape[-1]
        flat = scores.reshape(-1, spellings)
        best = flat.take(self._owners, axis=1).argmax(axis=2)  # of (rows, K, spellings of a keyword)
        places = self._owners.reshape(-1).take(best + self._firsts)  # (rows, K)
        places += spellings * np.arange(len(places))[:, None]
        shape = (*front, len(self._owners))
        return scores.reshape(-1).take(places).reshape(shape), ages.reshape(-1).take(places).reshape(shape)

    def _spelling_scores(self, ends: Float64Array) -> Float64Array:
        """The scores (..., P) of spellings."""
        logs = ends[..., DONE] * self._peak_weight
        logs += ends[..., LLR]
        logs /= self._lengths
        return np.exp(np.minimum(logs, 0.0, out=logs), out=logs)  # a float32 log-softmax may exceed 0


def best_path(log_posteriors: NDArray[Any], blank: int = 0) -> list[tuple[int, int]]:
    """The background: the best token of each frame, (T, V), repetitions and blanks
    taken out.

    Returns (token, the frame in which it begins) in order of time.
    """
    best = log_posteriors.argmax(axis=1)
    starts = np.flatnonzero(np.diff(best, prepend=blank))
    return [(int(best[start]), int(start)) for start in starts if best[start] != blank]


def _spellings_of_keywords(spellings: Sequence[Sequence[int]], owner: Sequence[int], blank: int) -> NDArray[np.intp]:
    """(K, most spellings of a keyword): indices of each keyword's spellings, the first
    repeated to fill.
    """
    if len(spellings) != len(owner):
        raise ValueError(f"{len(spellings)} spellings have {len(owner)} owners")
    if any(len(labels) == 0 or blank in labels or min(labels) < 0 for labels in spellings):
        raise ValueError("a spelling is one or more token ids, none of them the blank")
    keywords = 1 + max(owner, default=-1)
    groups: list[list[int]] = [[] for _ in range(keywords)]
    for number, keyword in enumerate(owner):
        groups[keyword].append(number)
    if not all(groups):
        raise ValueError("every keyword from 0 up needs a spelling")
    most = max(map(len, groups), default=1)
    filled = [group + group[:1] * (most - len(group)) for group in groups]
    return np.array(filled, np.intp).reshape(keywords, most)
