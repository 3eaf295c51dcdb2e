"""Edit distances (V. I. Levenshtein, Binary codes capable of correcting deletions,
insertions, and reversals, 1966) from one sequence to many at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kws.arrays import IntArray


def to_prefixes(sequences: Sequence[Sequence[str]], wanted: Sequence[str]) -> IntArray:
    """The edit distances between W sequences and each prefix of `wanted`, which has N
    symbols: (W, N + 1). A distance counts the symbols to change, leave out or insert.
    The last column is the distance to the whole.
    """
    codes = {symbol: code for code, symbol in enumerate(dict.fromkeys(wanted), 1)}
    target, steps = np.array([codes[symbol] for symbol in wanted], np.int64), np.arange(len(wanted) + 1)
    found = np.empty((len(sequences), len(wanted) + 1), np.int64)
    by_length: dict[int, list[int]] = {}
    for number, sequence in enumerate(sequences):
        by_length.setdefault(len(sequence), []).append(number)
    for length, numbers in by_length.items():
        coded = np.array([[codes.get(symbol, 0) for symbol in sequences[number]] for number in numbers])
        costs = np.tile(steps, (len(numbers), 1))
        for place in range(length):
            costs = _further(costs, coded[:, place, None] != target, steps)
        found[numbers] = costs
    return found


def _further(costs: IntArray, differs: IntArray, steps: IntArray) -> IntArray:
    """The distances (W, N + 1) with one symbol more of each sequence."""
    without = costs + 1
    without[:, 1:] = np.minimum(without[:, 1:], costs[:, :-1] + differs)
    return np.minimum.accumulate(without - steps, axis=1) + steps  # symbols put in between, however many
