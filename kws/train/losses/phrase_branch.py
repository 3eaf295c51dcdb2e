"""The loss of the phrase branch: whole phrases as tokens.

Beside the phones, a second head on the same hidden frames learns by CTC which phrases
are said, each a single label (Sigtia et al. 2020, "Multi-task learning for voice
trigger detection", arXiv 2001.09519: the trigger phrase or blank). It may also be heard
at inference: a keyword's spelling is then its one label.

Shapes: B rows, K phrases.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from kws.lexicon import Spelling


class PhraseFinder:
    """Finds phrases in rows of tokens: label k + 1 is phrase k, for 0 is CTC's blank.

    spellings: those of each phrase; of two phrases that are spelled alike the first is
    found.
    """

    def __init__(self, spellings: Sequence[Sequence[Spelling]], tokens: Sequence[str]) -> None:
        numbers = {token: number for number, token in enumerate(tokens)}
        labels: dict[tuple[int, ...], int] = {}
        for phrase, options in enumerate(spellings):
            for spelling in options:
                labels.setdefault(tuple(numbers[token] for token in spelling), phrase + 1)
        self._labels = labels
        self._lengths = sorted({len(spelling) for spelling in labels}, reverse=True)

    def __call__(self, targets: Tensor, target_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Targets of all rows in one with their lengths (B,) -> the same for the
        phrases that they hold, in order.

        Occurrences never overlap: rows are read from the left, and where several
        phrases begin the longest is taken.
        """
        found = [list(self._in_row(row)) for row in _rows(targets, target_lengths)]
        return torch.tensor([label for row in found for label in row], dtype=torch.int64), torch.tensor(
            [len(row) for row in found], dtype=torch.int64
        )

    def _in_row(self, row: tuple[int, ...]) -> Iterator[int]:
        at = 0
        while at < len(row):
            length = next((n for n in self._lengths if row[at : at + n] in self._labels), 0)
            if length:
                yield self._labels[row[at : at + length]]
            at += max(1, length)


def _rows(targets: Tensor, lengths: Tensor) -> list[tuple[int, ...]]:
    return [tuple(row.tolist()) for row in targets.split(lengths.tolist())]
