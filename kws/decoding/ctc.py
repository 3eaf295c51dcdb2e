"""The CTC likelihood (Graves et al. 2006) that a whole clip says a spelling and nothing
else, for many spellings at once.

T frames, V tokens, P spellings, U labels of the longest.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kws.arrays import Float64Array

_NEVER = -1e30  # the logarithm of 0, as a number that sums stay finite with


class CtcLikelihood:
    """log P(spelling | clip) of P spellings; immutable. The empty spelling is
    silence.
    """

    def __init__(self, spellings: Sequence[Sequence[int]], blank: int = 0) -> None:
        """spellings: token ids of each spelling."""
        longest = max((len(spelling) for spelling in spellings), default=0)
        self.states = np.full((len(spellings), 2 * longest + 1), blank)
        for row, spelling in enumerate(spellings):
            self.states[row, 1 : 2 * len(spelling) : 2] = spelling
        self.last = np.array([2 * len(spelling) for spelling in spellings])
        # a label may follow the label before the blank before it, unless the two are the same
        self.skips = np.zeros(self.states.shape, bool)
        self.skips[:, 3::2] = self.states[:, 3::2] != self.states[:, 1:-2:2]

    def __call__(self, log_posteriors: npt.ArrayLike) -> Float64Array:
        """(T, V) log-posteriors, T >= 1 -> (P,) log-likelihoods, summed over all
        alignments with the T frames.
        """
        frames = np.asarray(log_posteriors, np.float64)
        paths = np.full(self.states.shape, _NEVER)
        paths[:, :2] = frames[0][self.states[:, :2]]
        for frame in frames[1:]:
            before = np.pad(paths, ((0, 0), (2, 0)), constant_values=_NEVER)
            skipped = np.where(self.skips, before[:, :-2], _NEVER)
            paths = np.logaddexp(np.logaddexp(paths, before[:, 1:-1]), skipped) + frame[self.states]
        rows = np.arange(len(paths))
        on_label = np.where(self.last > 0, paths[rows, self.last - 1], _NEVER)
        total: Float64Array = np.logaddexp(paths[rows, self.last], on_label)
        return total
