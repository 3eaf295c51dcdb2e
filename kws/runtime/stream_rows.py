"""The states of many streams in one array each, a row for each stream."""

import numpy as np
from numpy.typing import NDArray

from kws.runtime.session import States


class StreamRows:
    """Arrays with a row for each stream. When a stream leaves, its row serves the next
    stream.
    """

    def __init__(self, fresh: States) -> None:
        """fresh: the states of a new stream, each (1, ...)."""
        self._fresh = fresh
        self._arrays = [np.empty((0, *array.shape[1:]), array.dtype) for array in fresh]
        self._free: list[int] = []

    def add(self) -> int:
        """The number of a fresh row. Where no row is free, the arrays first double
        their number of rows.
        """
        if not self._free:
            size = len(self._arrays[0])
            more = max(size, 1)
            self._free = list(range(size + more - 1, size - 1, -1))
            pairs = zip(self._arrays, self._fresh, strict=True)
            self._arrays = [np.concatenate([array, *[fresh] * more]) for array, fresh in pairs]
        row = self._free.pop()
        self.renew(row)
        return row

    @property
    def used(self) -> int:
        """The number of rows that streams have."""
        return len(self._arrays[0]) - len(self._free)

    def renew(self, row: int) -> None:
        """Gives a row the values of a fresh stream."""
        self.put([row], self._fresh)

    def remove(self, row: int) -> None:
        """Frees a row for another stream."""
        self._free.append(row)

    def of(self, rows: list[int]) -> States:
        """The arrays of B rows, each (B, ...), to be read."""
        index = _index(rows)
        return tuple(array[index] for array in self._arrays)

    def put(self, rows: list[int], values: States) -> None:
        """New values (B, ...) of rows."""
        index = _index(rows)
        for array, new in zip(self._arrays, values, strict=True):
            array[index] = new


def _index(rows: list[int]) -> slice | NDArray[np.intp]:
    """An index of rows for numpy: of one row a slice, which copies nothing."""
    return np.array(rows) if len(rows) > 1 else slice(rows[0], rows[0] + 1)
