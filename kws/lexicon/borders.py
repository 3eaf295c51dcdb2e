"""The borders of spellings, at which words end: speakers pause between words, and not
inside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

Borders = tuple[int, ...]  # after how many labels of a spelling each word but the last ends
Spelled = dict[tuple[str, ...], Borders]  # spellings with their borders; without any where they are not known

WORD_END = "-"  # between the words of phones as text


def with_borders(spellings: Iterable[Sequence[str]]) -> Spelled:
    """The spellings with their borders; those without known borders get none."""
    if isinstance(spellings, Mapping):
        return {tuple(spelling): tuple(ends) for spelling, ends in spellings.items()}
    return {tuple(spelling): () for spelling in spellings}


def joined(variants: Iterable[Sequence[Sequence[str]]]) -> Spelled:
    """Spellings, each given by those of its words, as they are said in one; of two that
    differ in their borders alone the first.

    >>> joined([(("V", "Y", "UW"), ("G", "L", "AE", "S"))])
    {('V', 'Y', 'UW', 'G', 'L', 'AE', 'S'): (3,)}
    """
    found: Spelled = {}
    for words in variants:
        ends, count = [], 0
        for word in words:
            count += len(word)
            ends.append(count)
        found.setdefault(tuple(label for word in words for label in word), tuple(ends[:-1]))
    return found


def written(spelling: Sequence[str], borders: Sequence[int] = ()) -> str:
    """A spelling as text, as it can be typed.

    >>> written("V Y UW G L AE S".split(), [3])
    'V Y UW - G L AE S'
    """
    ends = [0, *borders, len(spelling)]
    words = [" ".join(spelling[start:end]) for start, end in pairwise(ends)]
    return f" {WORD_END} ".join(words)
