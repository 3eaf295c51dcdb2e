"""Streaming keyword scores from CTC log-posteriors.

Every spelling of every keyword is a chain of its labels with optional blanks between them. A free-start
Viterbi search keeps one best path per state of all chains at once; a path pays, each frame, the difference
between its token's log-posterior and the best token's (the greedy background), so that scores are
log-likelihood ratios, bounded and free of drift. A keyword ends on its last label only: ending on the blank
after it would keep the score up until speech resumes.

T frames, V tokens, K keywords, P spellings, S states of all chains (2 U - 1 for a spelling of U labels) and
two that never change, "a path may begin" and "no path".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kws.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Columns of ScorerState.paths: what the best path of each state carries.
_LLR = 0  # log-likelihood of the path minus that of the greedy background since the path began
_AGE = 1  # frames that the path covers, the present one included
_GAP = 2  # length in frames of the run of blanks that the path is in
_DONE = 3  # sum over its finished labels of the label's best log-posterior
_PEAK = 4  # the best log-posterior so far of the label that it is in (or was in last)
_COLUMNS = 5

_STAY, _NEXT, _SKIP = 0, 1, 2  # columns of the table of predecessors; ties go to the first


class ScorerState(NamedTuple):
    """All that a stream's scorer remembers; its size never changes.

    paths: (2, S + 2, 5). First the best path of each state as it is; then the same path as it looks to the
    label that it enters next: its own label finished, its run of blanks over.
    """

    paths: FloatArray


class Path(NamedTuple):
    """The best path of a keyword, traced back over the frames that it covers (see `KeywordScorer.trace`).

    spelling: its index among all spellings. places (age,): 2 u in label u of the spelling, 2 u - 1 in the blank before
    it. llr (age,): of the path up to and with each frame. peaks (age,): the best log-posterior so far of the label that
    it is in or was in last; the first label's may be older than the path, which then began anew in a held sound.
    """

    spelling: int
    places: IntArray
    llr: FloatArray
    peaks: FloatArray


class KeywordScorer:
    """Scores keywords in a stream of log-posteriors; immutable, so one serves any number of streams.

    spellings: token ids of each spelling. owner: for each spelling the index of its keyword; every keyword
    from 0 up has at least one. blank: the id of the CTC blank. peak_weight: weight of the mean over labels of
    the label's best log-posterior, which separates paths that equal the background (LLR 0).
    max_duration_frames: longest path. max_gap_frames: longest run of blanks inside a path (they cost nothing
    where blank is the best token, so that a limit is needed), and longest stay in its first label: then the
    path begins anew, lest a hiss before the keyword use up its duration.
    """

    def __init__(
        self,
        spellings: Sequence[Sequence[int]],
        owner: Sequence[int],
        *,
        blank: int = 0,
        peak_weight: float = 1.0,
        max_duration_frames: int,
        max_gap_frames: int,
    ) -> None:
        self._owners = _spellings_of_keywords(spellings, owner, blank)
        self._one_each = self._owners.tolist() == [[k] for k in range(len(spellings))]
        self._peak_weight = peak_weight
        self._max_gap = max_gap_frames
        self._lengths = np.array([len(labels) for labels in spellings], np.float64)
        self._last_token = max((max(labels) for labels in spellings), default=blank)
        chains = [_chain(labels, blank) for labels in spellings]
        self._states = sum(map(len, chains)) + 2
        self._inputs = _inputs(chains, blank)
        self._sources = _predecessors(chains, blank)
        self._flat_sources = self._sources.reshape(-1)
        self._rows = np.arange(self._states) * 3
        # The last states, in the second half of paths: there _DONE is the sum over all labels.
        self._ends = np.cumsum([len(chain) for chain in chains], dtype=np.intp) - 1 + self._states
        self._increments = np.zeros((self._states, _COLUMNS))
        self._increments[:-2, _AGE] = 1.0
        self._increments[:-2, _GAP] = [token == blank for chain in chains for token in chain]
        firsts = np.cumsum([0, *(len(chain) for chain in chains)])[:-1]
        self._max_ages = np.full(self._states, float(max_duration_frames))
        self._max_ages[firsts] = min(max_duration_frames, max_gap_frames)

    @property
    def keywords(self) -> int:
        """The number of keywords, K."""
        return len(self._owners)

    def init_state(self) -> ScorerState:
        """The state of a fresh stream: no path anywhere."""
        paths = np.zeros((2, self._states, _COLUMNS))
        paths[:, :, _LLR] = -np.inf
        paths[:, -2, _LLR] = 0.0
        paths[1, :, _PEAK] = -np.inf
        return ScorerState(paths)

    def step(self, log_posteriors: ArrayLike, state: ScorerState) -> tuple[FloatArray, IntArray, ScorerState]:
        """Score one frame: `score` for log-posteriors of shape (V,); scores and ages have shape (K,)."""
        scores, ages, state = self.score(np.asarray(log_posteriors)[None], state)
        return scores[0], ages[0], state

    def score(
        self, log_posteriors: ArrayLike, state: ScorerState | None = None
    ) -> tuple[FloatArray, IntArray, ScorerState]:
        """Score the frames of a chunk, following `state` (None: a fresh stream).

        log_posteriors: (T, V), finite. Returns scores (T, K), each exp(LLR / U + peak_weight * mean of the
        labels' best log-posteriors) of the best path that ends in that frame, in [0, 1], 0 where none does;
        ages (T, K), the number of frames that path covers, the frame itself included; and the new state.
        Raises InputError for anything that is not a finite matrix wide enough for the spellings.
        """
        posteriors = np.asarray(log_posteriors, np.float64)
        if posteriors.ndim != 2 or posteriors.shape[1] <= self._last_token:
            raise InputError(f"log-posteriors of shape {posteriors.shape} are not (frames, tokens)")
        if not math.isfinite(np.add.reduce(posteriors, axis=None)):
            raise InputError("the log-posteriors are not finite numbers")
        frames, tokens = posteriors.shape
        table = np.zeros((frames, tokens + 1, 2))  # costs and log-posteriors; the last row is 0 and -inf
        best = np.maximum.reduce(posteriors, axis=1, keepdims=True)
        np.subtract(posteriors, best, out=table[:, :-1, 0])
        table[:, :-1, 1] = posteriors
        table[:, -1, 1] = -np.inf
        inputs = table.reshape(frames, 2 * tokens + 2).take(self._inputs, axis=1)
        ends = np.empty((frames, self._ends.size, _COLUMNS))
        paths = (self.init_state() if state is None else state).paths.copy()
        spare = paths.copy()
        for (cost, peak, fresh), end in zip(inputs, ends, strict=True):
            self._advance(paths, spare, cost, peak, fresh, end)
            paths, spare = spare, paths
        return *self._keyword_scores(ends), ScorerState(paths)

    def trace(self, log_posteriors: ArrayLike, keyword: int, state: ScorerState | None = None) -> Path | None:
        """The path that gives `keyword` its score in the last of the frames (T, V), which follow `state`.

        None where no path ends in that frame. It needs the state that the stream had before the frames: which paths
        there were to choose from depends on older ones that reached a limit. Raises ValueError where the path began
        before the frames.
        """
        state = self.init_state() if state is None else state
        history = [state.paths]
        for row in np.asarray(log_posteriors):
            state = self.step(row, state)[2]
            history.append(state.paths)
        ends = state.paths.reshape(-1, _COLUMNS)[self._ends]
        own = self._owners[keyword]
        spelling = int(own[self._spelling_scores(ends[None])[0, own].argmax()])
        _, age, *_ = ends[spelling]
        if not np.isfinite(ends[spelling, _LLR]):
            return None
        if age >= len(history):
            raise ValueError(f"the path covers {age:.0f} frames, and {len(history) - 1} are given")
        states = [int(self._ends[spelling]) - self._states]
        for paths in reversed(history[len(history) - int(age) : -1]):
            sources = self._sources[states[-1]]
            choice = paths.reshape(-1, _COLUMNS)[sources, _LLR].argmax()
            states.append(int(sources[choice]) % self._states)
        states.reverse()
        rows = np.array([paths[0, s] for paths, s in zip(history[-len(states) :], states, strict=True)])
        first = states[-1] - 2 * (int(self._lengths[spelling]) - 1)
        return Path(spelling, np.array(states) - first, rows[:, _LLR], rows[:, _PEAK])

    def _advance(
        self,
        old: FloatArray,
        new: FloatArray,
        cost: FloatArray,
        peak: FloatArray,
        fresh: FloatArray,
        ends: FloatArray,
    ) -> None:
        """One frame of the search, from `old` into `new`: few calls, for their number is what costs time.

        cost, peak, fresh: (S + 2,), what a state's token costs, its log-posterior (-inf for a blank), and the
        LLR of a path that takes the place of one beyond its limits (-inf where none can). ends: (P, 5), out.
        """
        rows = old.reshape(-1, _COLUMNS)
        choice = rows[:, _LLR].take(self._sources).argmax(axis=1)
        choice += self._rows
        own, entering = new
        rows.take(self._flat_sources.take(choice), axis=0, out=own, mode="clip")
        own += self._increments
        llr, age, peaks = own[:, _LLR], own[:, _AGE], own[:, _PEAK]
        llr += cost
        np.maximum(peaks, peak, out=peaks)
        beyond = (age > self._max_ages) | (own[:, _GAP] > self._max_gap)
        np.copyto(llr, fresh, where=beyond)
        np.copyto(age, 1.0, where=beyond)
        entering[:, :_GAP] = own[:, :_GAP]
        np.add(own[:, _DONE], peaks, out=entering[:, _DONE])
        new.reshape(-1, _COLUMNS).take(self._ends, axis=0, out=ends, mode="clip")

    def _keyword_scores(self, ends: FloatArray) -> tuple[FloatArray, IntArray]:
        """From the paths of the last states (T, P, 5) to the scores and ages (T, K) of keywords."""
        scores = self._spelling_scores(ends)
        ages = ends[..., _AGE].astype(np.int64)
        if self._one_each:
            return scores, ages
        candidates = scores[:, self._owners]  # (T, K, spellings of a keyword)
        choice = candidates.argmax(axis=2)[..., None]
        scores = np.take_along_axis(candidates, choice, axis=2)[..., 0]
        return scores, np.take_along_axis(ages[:, self._owners], choice, axis=2)[..., 0]

    def _spelling_scores(self, ends: FloatArray) -> FloatArray:
        """The scores (T, P) of spellings."""
        logs = ends[..., _DONE] * self._peak_weight
        logs += ends[..., _LLR]
        logs /= self._lengths
        return np.exp(np.minimum(logs, 0.0, out=logs), out=logs)  # a float32 log-softmax may exceed 0


def best_path(log_posteriors: NDArray[Any], blank: int = 0) -> list[tuple[int, int]]:
    """The background: the best token of each frame, (T, V), repetitions and blanks taken out.

    Returns (token, the frame in which it begins) in order of time.
    """
    best = log_posteriors.argmax(axis=1)
    starts = np.flatnonzero(np.diff(best, prepend=blank))
    return [(int(best[start]), int(start)) for start in starts if best[start] != blank]


def _chain(labels: Sequence[int], blank: int) -> list[int]:
    """The tokens of a spelling's states: its labels with blanks between."""
    return [token for label in labels for token in (blank, label)][1:]


def _inputs(chains: Sequence[Sequence[int]], blank: int) -> NDArray[np.intp]:
    """(3, S + 2): places in a frame's flattened table of the arguments cost, peak and fresh of `_advance`."""
    zero, nothing = -2, -1
    places = [
        (2 * token, nothing if token == blank else 2 * token + 1, nothing if state else 2 * token)
        for chain in chains
        for state, token in enumerate(chain)
    ]
    return np.array([*places, *[(zero, nothing, nothing)] * 2], np.intp).T.copy()


def _predecessors(chains: Sequence[Sequence[int]], blank: int) -> NDArray[np.intp]:
    """(S + 2, 3): rows of the flattened paths that may precede each state by staying, next and skipping."""
    states = sum(map(len, chains)) + 2
    begin, never = states - 2, states - 1
    table: list[list[int]] = []
    for chain in chains:
        first = len(table)
        for state, token in enumerate(chain, first):
            is_label = token != blank
            # A blank must stand between equal labels, or CTC would merge them into one.
            skips = is_label and state - first >= 2 and token != chain[state - first - 2]
            before = begin if state == first else state - 1
            entering = states if is_label else 0
            table.append([state, before + entering, (state - 2 if skips else never) + entering])
    return np.array([*table, [begin] * 3, [never] * 3], np.intp)


def _spellings_of_keywords(spellings: Sequence[Sequence[int]], owner: Sequence[int], blank: int) -> NDArray[np.intp]:
    """(K, most spellings of a keyword): indices of each keyword's spellings, the first repeated to fill."""
    if len(spellings) != len(owner):
        raise ValueError(f"{len(spellings)} spellings have {len(owner)} owners")
    if any(len(labels) == 0 or blank in labels or min(labels) < 0 for labels in spellings):
        raise ValueError("a spelling is one or more token ids, none of them the blank")
    keywords = 1 + max(owner, default=-1)
    groups = [[number for number, k in enumerate(owner) if k == keyword] for keyword in range(keywords)]
    if not all(groups):
        raise ValueError("every keyword from 0 up needs a spelling")
    most = max(map(len, groups), default=1)
    filled = [group + group[:1] * (most - len(group)) for group in groups]
    return np.array(filled, np.intp).reshape(keywords, most)
