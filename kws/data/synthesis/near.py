"""Words of the dictionary that sound almost like a phrase, and words that are written
almost like one that the dictionary lacks.

They are whole words, or two common ones in a row, that people say by chance. What a
phrase is trained against comes from `confusables`, which also makes sounds that are no
words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kws.data.synthesis.edits import to_prefixes
from kws.lexicon import Lexicon, Spelling
from kws.lexicon.text import contains

_MOST_EDITS = 2
_SHARE = 3  # a third of a phrase's phones may differ: two of three would be any word
_SPELLINGS = 3  # of a phrase, the most usual


class Near(NamedTuple):
    """A word, or a pair of words, that sounds like a phrase. edits: the phones by which
    it differs; with 0 it sounds the same.
    """

    edits: int
    text: str


def sounding_like(
    names: Collection[str], spellings: Sequence[Spelling], lexicon: Lexicon, common: Mapping[str, int], count: int
) -> list[Near]:
    """At most `count` words, or pairs of common ones, within two phones of a phrase
    (one or none of a short one), the nearest and the most common first.

    names: the words of the phrase, as it is named and as the dictionary has them; what
    contains those is the phrase. common: how often each common word is said.
    """
    best: dict[str, Near] = {}
    for spelling in spellings[:_SPELLINGS]:
        most = min(_MOST_EDITS, len(spelling) // _SHARE)
        for near in (*_words(spelling, lexicon, most), *_pairs(spelling, lexicon, common, most)):
            if near.text not in best or near < best[near.text]:
                best[near.text] = near
    said = {text: min(common.get(word, 0) for word in text.split()) for text in best}
    ranked = sorted(best.values(), key=lambda near: (near.edits, -said[near.text], near.text))
    return [near for near, _ in zip(_others(ranked, names), range(count), strict=False)]


def written_like(word: str, lexicon: Lexicon, common: Mapping[str, int], count: int) -> list[str]:
    """At most `count` words of the dictionary with nearly the letters of `word`, the
    nearest first; none that differ by half or more.
    """
    most = (len(word) - 1) // 2
    texts = [text for text, _ in lexicon.entries() if text.isalpha() and abs(len(text) - len(word)) <= most]
    edits = to_prefixes(texts, word)[:, -1].tolist()
    close = [(n, text[0] != word[0], -common.get(text, 0), text) for n, text in zip(edits, texts, strict=True)]
    return [text for n, _, _, text in sorted(close)[:count] if n <= most]


def _words(spelling: Spelling, lexicon: Lexicon, most: int) -> Iterator[Near]:
    """Single words within `most` phones of a spelling."""
    entries = [
        (word, variant)
        for word, variants in lexicon.entries()
        if word.isalpha()
        for variant in variants
        if abs(len(variant) - len(spelling)) <= most
    ]
    edits = to_prefixes([variant for _, variant in entries], spelling)[:, -1].tolist()
    yield from (Near(n, word) for n, (word, _) in zip(edits, entries, strict=True) if n <= most)


def _pairs(spelling: Spelling, lexicon: Lexicon, common: Iterable[str], most: int) -> Iterator[Near]:
    """Pairs of common words: for every place to cut the phrase, a first word that
    sounds like the part before the cut, and a second that sounds like the part after
    it.
    """
    words = [word for word in common if word in lexicon]
    said = [lexicon.spell(word)[0] for word in words]
    firsts = to_prefixes(said, spelling)
    seconds = to_prefixes([one[::-1] for one in said], spelling[::-1])[:, ::-1]
    for cut in range(1, len(spelling)):
        before, behind = _up_to(firsts[:, cut].tolist(), most), _up_to(seconds[:, cut].tolist(), most)
        for n, first in before:
            yield from (Near(n + m, f"{words[first]} {words[second]}") for m, second in behind if n + m <= most)


def _up_to(edits: Sequence[int], most: int) -> list[tuple[int, int]]:
    """(edits, number) of those within `most`."""
    return [(n, number) for number, n in enumerate(edits) if n <= most]


def _others(ranked: Iterable[Near], names: Collection[str]) -> Iterator[Near]:
    """The candidates that do not contain the phrase itself."""
    return (near for near in ranked if not any(contains(near.text, name) for name in names))
