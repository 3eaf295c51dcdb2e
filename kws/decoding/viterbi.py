"""The Viterbi search for the best path of each spelling, as tables and one frame of the
recursion.

A spelling of U labels has 2 U - 1 states: its labels with an optional blank between
each two. The states of all spellings lie in one vector of length Q, followed by two
constant states: BEGIN ("a path may start here", LLR 0) and NEVER ("no path", LLR -inf).
A batch of B streams is the same search over tables that are repeated B times.

T frames, P spellings, Q states of all spellings, B streams.

A worked example: one spelling of two labels, A and B, over three frames. Its states are
A, blank, B. A path's LLR falls by what its token is less likely than the most likely
token of the frame (the greedy background), so a path along the most likely tokens keeps
0.

>>> import numpy as np
>>> blank, a, b = 0, 1, 2
>>> frames = np.log([[0.1, 0.8, 0.1],   # A
...                  [0.6, 0.2, 0.2],   # blank
...                  [0.1, 0.3, 0.6]])  # B
>>> graph = ViterbiGraph.of([[a, b]], blank, max_durations=[10], max_gap=5)
>>> graph.sources[:3]  # where a path in A, blank, B may come from: itself, the state before, the label before
array([[0, 8, 9],
       [1, 0, 4],
       [2, 6, 5]])

Rows 0 to 4 are A, blank, B, BEGIN and NEVER. Rows 5 to 9 are the same paths as a label
that is entered next sees them: the label before is finished, its peak added to DONE. So
A comes from A or BEGIN (8), the blank from itself or A, and B from B, the blank (6) or
straight from A (5). The cost of a token is its log-posterior minus that of the frame's
best; `arguments` holds it for each state, the log-posterior of its label, and the LLR
of a path that starts anew.

>>> places = inputs([[a, b]], blank)
>>> def arguments(frame):
...     pairs = np.stack([frame - frame.max(), frame], axis=1)
...     return np.concatenate([pairs.ravel(), [0.0, -np.inf]])[places]
>>> paths = graph.fresh()
>>> for frame in frames:
...     ends, paths = graph.search(arguments(frame)[None], paths)
...     print(*(f"LLR {state[LLR]:6.2f}, {state[AGE]:.0f} frames" for state in paths[0, :3]), sep=" | ")
LLR   0.00, 1 frames | LLR   -inf, 1 frames | LLR   -inf, 1 frames
LLR  -1.10, 2 frames | LLR   0.00, 2 frames | LLR  -1.10, 2 frames
LLR  -0.69, 1 frames | LLR  -1.79, 3 frames | LLR   0.00, 3 frames
>>> best = ends[0, 0]  # of the spelling's last state, B
>>> print(f"LLR {best[LLR]:.2f}, {best[AGE]:.0f} frames, peaks {best[DONE]:.2f} = log 0.8 + log 0.6")
LLR 0.00, 3 frames, peaks -0.73 = log 0.8 + log 0.6

The score is exp((LLR + peak weight * peaks) / labels): see scorer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Float64Array

Places = NDArray[np.intp]

# Columns of paths: what the best path of each state carries.
LLR = 0  # log-likelihood of the path minus that of the greedy background since the path began
AGE = 1  # frames that the path covers, the present one included
GAP = 2  # length in frames of the run of blanks that the path is in
DONE = 3  # sum over its finished labels of the label's best log-posterior
PEAK = 4  # the best log-posterior so far of the label that it is in (or was in last)
COLUMNS = 5

_STAY, _NEXT, _SKIP = 0, 1, 2  # columns of the table of predecessors; ties go to the first


class ViterbiGraph:
    """The tables of the search over some spellings; immutable.

    sources: (Q + 2, 3), for each state the three states that a path may come from
        (itself, the one before, the label before a blank), as rows of the flattened
        paths.
    ends: (P,), the last state of each spelling, as rows of the second half of the
        paths, where DONE is the sum over all labels.
    increments: (Q + 2, 5), what each frame adds to the columns of a path.
    max_ages, max_gaps: (Q + 2,), limits of a path in frames. They are arrays because a
        comparison with one number takes twice as long.
    """

    def __init__(
        self, sources: Places, ends: Places, increments: Float64Array, max_ages: Float64Array, max_gaps: Float64Array
    ) -> None:
        self.sources = sources
        self.ends = ends
        self.states = len(sources)
        self._flat_sources = sources.reshape(-1)
        self._rows = np.arange(0, sources.size, 3)
        self._increments = increments
        self._max_ages = max_ages
        self._max_gaps = max_gaps
        self._new_age = np.array(1.0)

    @classmethod
    def of(
        cls,
        spellings: Sequence[Sequence[int]],
        blank: int,
        max_durations: Sequence[int],
        max_gap: int,
        borders: Sequence[Sequence[int]] = (),
        max_pause: int = 0,
    ) -> ViterbiGraph:
        """The tables of spellings (token ids); the limits of a path are in frames, one
        duration for each spelling.

        borders: of each spelling after how many labels a gap may be as long as
        max_pause.
        """
        spelled = [_state_tokens(labels, blank) for labels in spellings]
        lengths = [len(tokens) for tokens in spelled]
        sources = _predecessors(spelled, blank)
        states = len(sources)
        increments = np.zeros((states, COLUMNS))
        increments[:-2, AGE] = 1.0
        increments[:-2, GAP] = [token == blank for tokens in spelled for token in tokens]
        max_ages = np.full(states, np.inf)
        max_ages[:-2] = np.repeat(np.asarray(max_durations, np.float64), np.array(lengths, np.intp))
        firsts = np.cumsum([0, *lengths])[:-1]
        max_ages[firsts] = np.minimum(max_ages[firsts], max_gap)
        max_gaps = np.full(states, float(max_gap))
        for first, own in zip(firsts, borders, strict=False):
            max_gaps[[first + 2 * border - 1 for border in own]] = max(max_gap, max_pause)
        ends = np.cumsum(lengths, dtype=np.intp) - 1 + states
        return cls(sources, ends, increments, max_ages, max_gaps)

    @property
    def longest_gap(self) -> int:
        """The longest run of blanks that a path may have inside, in frames."""
        return int(self._max_gaps.max())

    def fresh(self, *batch: int) -> Float64Array:
        """The paths of a fresh stream (2, Q + 2, 5), or of B of them (B, 2, Q + 2, 5):
        none anywhere.
        """
        paths = np.zeros((*batch, 2, self.states, COLUMNS))
        paths[..., LLR] = -np.inf
        paths[..., -2, LLR] = 0.0
        paths[..., 1, :, PEAK] = -np.inf
        return paths

    def search(self, arguments: Float64Array, paths: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Searches T frames on from `paths` (2, Q + 2, 5). Returns the paths of the
        last states in each frame (T, P, 5), and all paths after the last frame.

        arguments: (T, 3, Q + 2), for each state the cost of its token, its
        log-posterior (-inf for a blank), and the LLR of a path that takes the place of
        one beyond its limits (-inf where none can).
        """
        ends = np.empty((len(arguments), self.ends.size, COLUMNS))
        paths = paths.copy()
        before, after = _Paths.of(paths), _Paths.of(paths.copy())
        beyond = np.empty((2, self.states), bool)
        for (cost, peak, fresh), end in zip(arguments, ends, strict=True):
            self._advance(before, after, cost, peak, fresh, beyond, end)
            before, after = after, before
        return ends, before.all

    def search_many(self, arguments: Float64Array, paths: Float64Array) -> tuple[Float64Array, Float64Array]:
        """`search` for B streams at once: everything has a first axis B, and each
        stream's numbers are as if alone.
        """
        streams, frames, _, states = arguments.shape
        beside = arguments.transpose(1, 2, 0, 3).reshape(frames, 3, streams * states)
        graph = self if streams == 1 else self._repeated(streams)
        ends, after = graph.search(beside, paths.swapaxes(0, 1).reshape(2, streams * states, COLUMNS))
        return (
            ends.reshape(frames, streams, self.ends.size, COLUMNS).swapaxes(0, 1),
            after.reshape(2, streams, states, COLUMNS).swapaxes(0, 1),
        )

    def _repeated(self, streams: int) -> ViterbiGraph:
        """The tables of B streams side by side: each B times as long."""
        return ViterbiGraph(
            _side_by_side(self.sources, self.states, streams),
            _side_by_side(self.ends, self.states, streams),
            np.tile(self._increments, (streams, 1)),
            np.tile(self._max_ages, streams),
            np.tile(self._max_gaps, streams),
        )

    def _advance(
        self,
        old: _Paths,
        new: _Paths,
        cost: Float64Array,
        peak: Float64Array,
        fresh: Float64Array,
        beyond: NDArray[np.bool_],
        ends: Float64Array,
    ) -> None:
        """One frame of the search, from `old` into `new`, in few calls: their number
        decides the time.

        cost, peak, fresh: (Q + 2,), the arguments of `search`. beyond: (2, Q + 2), to
        work in. ends: (P, 5), out.
        """
        choice = old.llrs.take(self.sources).argmax(axis=1)
        choice += self._rows
        old.rows.take(self._flat_sources.take(choice), axis=0, out=new.own, mode="clip")
        np.add(new.own, self._increments, out=new.own)
        np.add(new.llr, cost, out=new.llr)
        np.maximum(new.peak, peak, out=new.peak)
        too_old, too_quiet = beyond
        np.greater(new.age, self._max_ages, out=too_old)
        np.greater(new.gap, self._max_gaps, out=too_quiet)
        np.logical_or(too_old, too_quiet, out=too_old)
        np.copyto(new.llr, fresh, where=too_old)
        np.copyto(new.age, self._new_age, where=too_old)
        np.copyto(new.entering, new.begun)
        np.add(new.done, new.peak, out=new.entering_done)
        new.rows.take(self.ends, axis=0, out=ends, mode="clip")


class _Paths(NamedTuple):
    """Views of the paths (2, Q + 2, 5), made once for many frames.

    rows, llrs: of both halves, flat. own: the first half; llr, age, gap, done, peak:
    its columns; begun: its columns before GAP. entering, entering_done: the columns of
    the second half that a frame changes.
    """

    all: Float64Array
    rows: Float64Array
    llrs: Float64Array
    own: Float64Array
    llr: Float64Array
    age: Float64Array
    gap: Float64Array
    done: Float64Array
    peak: Float64Array
    begun: Float64Array
    entering: Float64Array
    entering_done: Float64Array

    @classmethod
    def of(cls, paths: Float64Array) -> _Paths:
        """The views of contiguous paths."""
        rows = paths.reshape(-1, COLUMNS)
        own, entering = paths
        columns = own[:, LLR], own[:, AGE], own[:, GAP], own[:, DONE], own[:, PEAK]
        return cls(paths, rows, rows[:, LLR], own, *columns, own[:, :GAP], entering[:, :GAP], entering[:, DONE])


def inputs(spellings: Sequence[Sequence[int]], blank: int) -> Places:
    """(3, Q + 2): places in a frame's flattened table of the arguments of
    `ViterbiGraph.search`.

    The table has a row of each token's cost and log-posterior, and a last row of 0 and
    -inf.
    """
    zero, nothing = -2, -1
    places = [
        (2 * token, nothing if token == blank else 2 * token + 1, nothing if state else 2 * token)
        for labels in spellings
        for state, token in enumerate(_state_tokens(labels, blank))
    ]
    return np.array([*places, *[(zero, nothing, nothing)] * 2], np.intp).T.copy()


def _state_tokens(labels: Sequence[int], blank: int) -> list[int]:
    """The tokens of a spelling's states: its labels with blanks between."""
    return [token for label in labels for token in (blank, label)][1:]


def _predecessors(spelled: Sequence[Sequence[int]], blank: int) -> Places:
    """The predecessors of each state, (Q + 2, 3), as `ViterbiGraph.sources`."""
    states = sum(map(len, spelled)) + 2
    begin, never = states - 2, states - 1
    table: list[list[int]] = []
    for tokens in spelled:
        first = len(table)
        for state, token in enumerate(tokens, first):
            is_label = token != blank
            # A blank must stand between equal labels, or CTC would merge them into one.
            skips = is_label and state - first >= 2 and token != tokens[state - first - 2]
            before = begin if state == first else state - 1
            entering = states if is_label else 0
            table.append([state, before + entering, (state - 2 if skips else never) + entering])
    return np.array([*table, [begin] * 3, [never] * 3], np.intp)


def _side_by_side(places: Places, states: int, streams: int) -> Places:
    """Rows of the flattened paths (2, Q + 2) as those of (2, B, Q + 2), B times."""
    in_second_half = places // states
    firsts = np.arange(streams) * states
    moved: Places = np.add.outer(firsts, places + in_second_half * (states * (streams - 1)))
    return moved.reshape(-1, *places.shape[1:])
