"""Makes confusables of a phrase from the pronunciation lexicon: phrases that sound
almost like it.

A phrase is one or more units, each a word or a run of phones that is no word. A
confusable is a part of the phrase, or changes one of its units. The unit then becomes
another word whose phones begin or end the same, or a word or a sound that is one phone
away. None has the phones of the phrase in it, whichever of their spellings are taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product, zip_longest
from typing import Literal, get_args
from zlib import crc32

import numpy as np

from kws.errors import KwsError
from kws.lexicon import PHONES, Lexicon, Spelling
from kws.lexicon.text import phrase_name

VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
# Who says one for the other still says the same word: a confusable must differ by more.
SAME_TO_MANY = ("AA AO", "AH IH EH UH AA", "ER AH", "IY IH", "UW UH", "EH AE", "S Z", "T D", "TH T", "DH D", "V F")
_SHARED = 2  # phones that a word must have in common with the beginning or the end of another, at least
_PLAIN_LETTERS = (3, 8)  # of words that ordinary sentences are made of
_SENTENCE_WORDS = 6

Kind = Literal["head", "tail", "off", "part"]


@dataclass(frozen=True)
class Unit:
    """A word, or phones that are no word: `text` is then their `sound_name`."""

    text: str
    spellings: tuple[Spelling, ...]

    @property
    def is_word(self) -> bool:
        return self.text != sound_name(self.spellings[0])


@dataclass(frozen=True)
class Confusable:
    """A phrase that sounds almost like another one.

    kind: it begins or ends like the other, is one phone off, or is a part of it.
    """

    kind: Kind
    units: tuple[Unit, ...]

    @property
    def text(self) -> str:
        return " ".join(unit.text for unit in self.units)

    @property
    def spelling(self) -> Spelling:
        """Its most usual pronunciation."""
        return tuple(phone for unit in self.units for phone in unit.spellings[0])


def sound_name(spelling: Spelling) -> str:
    """The name of phones that are no word, as transcripts have it: ``("K", "AH")`` ->
    ``"k'ah"``.
    """
    return "'".join(spelling).lower()


def sound(spelling: Spelling) -> Unit:
    """Phones that are no word."""
    return Unit(sound_name(spelling), (spelling,))


def units_of(phrase: str, lexicon: Lexicon) -> tuple[Unit, ...]:
    """The units of a phrase: its words, or with ``name=PHONES`` one unit with those
    spellings.
    """
    name, spelled = phrase_name(phrase), lexicon.spell(phrase)
    if "=" in phrase:
        return (Unit(name, tuple(spelled)),)
    return tuple(Unit(word, tuple(lexicon.spell(word))) for word in name.split())


def confusables_of(phrase: str, lexicon: Lexicon, count: int) -> list[Confusable]:
    """At most `count` confusables, the nearest of each kind first, kinds by turns.
    Nothing here is random.
    """
    units = units_of(phrase, lexicon)
    if count < 1:
        raise KwsError(f"{count} confusables: ask for at least one")
    words = {word: spellings for word, spellings in lexicon.entries() if word.isalpha()}
    changed = [
        [
            Confusable(other.kind, (*units[:i], *other.units, *units[i + 1 :]))
            for kinds in zip_longest(*(of_word(unit, words, kind) for kind in ("off", "head", "tail")))
            for other in kinds
            if other is not None
        ]
        for i, unit in enumerate(units)
    ]
    by_turns = [other for turn in zip_longest(parts(units), *changed) for other in turn if other is not None]
    found: dict[str, Confusable] = {}
    left = dict.fromkeys(get_args(Kind), (count + 1) // 2)  # the sounds alone would be more than enough
    for other in by_turns:
        if left[other.kind] and other.text not in found and not holds(other.units, units):
            found[other.text] = other
            left[other.kind] -= 1
    return list(found.values())[:count]


def of_word(unit: Unit, words: dict[str, tuple[Spelling, ...]], kind: Kind) -> Iterator[Confusable]:
    """The confusables of one unit that are one phone off, or share its beginning or its
    end, nearest first.
    """
    own = unit.spellings[0]
    if kind == "off":
        one_off = set(one_phone_off(own))
        hits = sorted(word for word, spellings in words.items() if spellings[0] in one_off)
        real = (Confusable("off", (Unit(word, words[word]),)) for word in hits)
        made = (
            Confusable("off", (sound(option),)) for option in sorted(one_off, key=_scattered) if len(option) >= _SHARED
        )
        yield from (other for both in zip_longest(real, made) for other in both if other is not None)
        return
    step = 1 if kind == "head" else -1
    least = max(_SHARED, len(own) // 2)
    ranked = defaultdict(list)
    for word, spellings in words.items():
        if (shared := common(own[::step], spellings[0][::step])) >= least:
            ranked[shared].append((abs(len(spellings[0]) - len(own)), word))
    for shared in sorted(ranked, reverse=True):
        yield from (Confusable(kind, (Unit(word, words[word]),)) for _, word in sorted(ranked[shared]))


def parts(units: Sequence[Unit]) -> Iterator[Confusable]:
    """Proper parts: runs of the units, then the first and the last half and more of
    every unit's phones.
    """
    count = len(units)
    for length in range(count - 1, 0, -1):
        for start in range(count - length + 1):
            yield Confusable("part", tuple(units[start : start + length]))
    for unit in units:
        own = unit.spellings[0]
        for length in range(len(own) - 1, max(_SHARED, len(own) // 2) - 1, -1):
            yield Confusable("part", (sound(own[:length]),))
            yield Confusable("part", (sound(own[-length:]),))


def one_phone_off(spelling: Spelling) -> Iterator[Spelling]:
    """Every spelling at edit distance one: a phone changed for one of its class, left
    out, or put in between.
    """
    for i, phone in enumerate(spelling):
        yield from ((*spelling[:i], other, *spelling[i + 1 :]) for other in _like(phone))
        if len(spelling) > 1:
            yield (*spelling[:i], *spelling[i + 1 :])
    for i, (before, after) in enumerate(pairwise(spelling), 1):
        if (before in VOWELS) == (after in VOWELS):  # a vowel between consonants, a consonant between vowels
            inner = (phone for phone in PHONES if (phone in VOWELS) != (before in VOWELS))
            yield from ((*spelling[:i], phone, *spelling[i:]) for phone in inner)


def holds(units: Sequence[Unit], phrase: Sequence[Unit]) -> bool:
    """Whether the phones of `phrase` run inside those of `units`, in any of the
    spellings of both.
    """
    wanted = [" ".join(_joined(choice)) for choice in product(*(unit.spellings for unit in phrase))]
    texts = [" ".join(_joined(choice)) for choice in product(*(unit.spellings for unit in units))]
    return any(f" {w} " in f" {t} " for w in wanted for t in texts)


def sentences(phrase: str, lexicon: Lexicon, count: int, rng: np.random.Generator) -> list[str]:
    """Runs of two to six words drawn from the whole lexicon, without the phrase:
    stand-ins for ordinary speech.
    """
    units = units_of(phrase, lexicon)
    low, high = _PLAIN_LETTERS
    words = sorted(word for word, _ in lexicon.entries() if word.isascii() and word.isalpha())
    words = [word for word in words if low <= len(word) <= high]
    if not words:
        raise KwsError("the lexicon has no words to make sentences of")
    made: list[str] = []
    while len(made) < count:
        chosen = [words[i] for i in rng.integers(len(words), size=rng.integers(2, _SENTENCE_WORDS + 1))]
        if not holds([Unit(word, tuple(lexicon.spell(word)[:1])) for word in chosen], units):
            made.append(" ".join(chosen))
    return made


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """How many phones two spellings have in common from the beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _like(phone: str) -> list[str]:
    """The phones of the same class that nobody takes for this one."""
    same = {other for group in SAME_TO_MANY if phone in group.split() for other in group.split()} | {phone}
    return [other for other in PHONES if other not in same and (other in VOWELS) == (phone in VOWELS)]


def _joined(choice: Iterable[Spelling]) -> Iterator[str]:
    return (phone for spelling in choice for phone in spelling)


def _scattered(spelling: Spelling) -> int:
    """A fixed order in which neighbours have nothing in common, so that any first few
    are spread over all changes.
    """
    return crc32(" ".join(spelling).encode())
