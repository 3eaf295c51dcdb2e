"""Spellings: from a phrase in words to its phones.

Tokens of the shipped models are the 39 ARPAbet phones of the CMU Pronouncing Dictionary
without stress marks (http://www.speech.cs.cmu.edu/cgi-bin/cmudict), so any phrase that
the dictionary knows can be listened for.
"""

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

from kws.errors import KwsError, install
from kws.lexicon.borders import WORD_END, Spelled, joined
from kws.lexicon.numbers import digit_by_digit, in_words, is_joined, is_number
from kws.lexicon.text import normalise, phrase_name, without_accents

PHONES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
)
BLANK = "<blank>"
TOKENS = (BLANK, *PHONES)
_KNOWN = frozenset(PHONES)
UNKNOWN, SILENCE = "_unknown_", "_silence_"  # classes of clips beside those of single words

Spelling = tuple[str, ...]

_STRESS = re.compile(r"\d")
_VARIANT = re.compile(r"\(\d+\)$")
_MOST_PHONES = 100  # 20 s
_MAX_SPELLINGS = 8  # a phrase of many ambiguous words would otherwise multiply without end


class Lookup(NamedTuple):
    """A word of a phrase, and the entries of the dictionary that are said for it: the
    word itself, the word without accents, or a number in words; empty where the
    dictionary lacks it.
    """

    word: str
    entries: tuple[str, ...]


class Lexicon:
    """Words and their pronunciations, most usual first."""

    def __init__(self, words: Mapping[str, tuple[Spelling, ...]]) -> None:
        self._words = dict(words)
        self.most_words = max((len(entry.split()) for entry in self._words), default=1)  # of one entry

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> "Lexicon":
        """Reads the CMUdict format: ``word PH ON1 ES`` and ``word(2) PH ON ES`` for
        further variants.
        """
        words: dict[str, list[Spelling]] = {}
        for line in lines:
            word, *phones = line.partition("#")[0].split() or [""]
            if not phones or word.startswith(";;;"):
                continue
            spelling = tuple(map(_without_stress, phones))
            variants = words.setdefault((_VARIANT.sub("", word) if word.endswith(")") else word).lower(), [])
            if spelling not in variants and _KNOWN.issuperset(spelling):
                variants.append(spelling)
        return cls({word: tuple(variants) for word, variants in words.items() if variants})

    def __contains__(self, word: str) -> bool:
        return word.lower() in self._words

    def __len__(self) -> int:
        return len(self._words)

    def entries(self) -> Iterator[tuple[str, tuple[Spelling, ...]]]:
        """Every word with its pronunciations."""
        return iter(self._words.items())

    def extended(self, spellings: Iterable[tuple[str, str]]) -> "Lexicon":
        """The same lexicon with further (word, phones) pairs behind what it has:
        ``("snowboy", "S N OW B OY")``.
        """
        words = dict(self._words)
        for word, phones in spellings:
            words[word.lower()] = (*words.get(word.lower(), ()), parse_phones(phones))
        return Lexicon(words)

    def taught(self, phrases: Iterable[str]) -> "Lexicon":
        """The same lexicon in which phrases that come with phones (see `spell`) are
        entries, spelled by those alone.
        """
        given = {phrase_name(phrase): tuple(self.spell(phrase)) for phrase in phrases if "=" in phrase}
        return Lexicon(self._words | given) if given else self

    def missing(self, phrase: str) -> list[str]:
        """The words of `phrase` that have no entry, each once, in order."""
        return list(dict.fromkeys(found.word for found in self.look_up(phrase) if not found.entries))

    def look_up(self, phrase: str) -> list[Lookup]:
        """The words of `phrase` as the dictionary has them: as they are written
        ("x-ray"), or normalised.
        """
        found: list[Lookup] = []
        for word in phrase.lower().split():
            if word in self._words:
                found.append(Lookup(word, (word,)))
            elif is_joined(word):
                found.append(Lookup(word, ()))
            else:
                found += [Lookup(part, self._entries(part)) for part in normalise(word).split()]
        return found

    def _entries(self, word: str) -> tuple[str, ...]:
        options = ((word,), (without_accents(word),), in_words(word))
        return next((entries for entries in options if entries and self._words.keys() >= set(entries)), ())

    def spell(self, phrase: str) -> list[Spelling]:
        """All spellings of `phrase`, as `spell_words` gives them, without the
        borders.
        """
        return list(self.spell_words(phrase))

    def spell_words(self, phrase: str) -> Spelled:
        """All spellings of `phrase` (at most 8), most usual first, and where their
        words end.

        ``"view glass=V Y UW - G L AE S"`` gives the phones directly, with ``-`` between
        words, or without where no pause is to be heard, and ``|`` between several
        spellings. Raises KwsError that names every word without an entry.
        """
        words, given, phones = phrase.partition("=")
        name = phrase_name(words)
        if not name:
            raise KwsError(_nameless(phrase))
        if given:
            return _parse_variants(name, phones)
        if name in self._words:
            return dict.fromkeys(self._words[name][:_MAX_SPELLINGS], ())
        found = self.look_up(words)
        if not all(word.entries for word in found):
            raise KwsError(_missing(words.strip(), self.missing(words)))
        variants = product(*(self._words[entry] for word in found for entry in word.entries))
        return joined(islice(variants, _MAX_SPELLINGS))


def _parse_variants(name: str, phones: str) -> Spelled:
    """The spellings that are given for a phrase, with ``|`` between them."""
    try:
        return joined([_parse_words(variant) for variant in phones.split("|")])
    except KwsError as error:
        raise KwsError(f"'{name}': {error}") from error


def _parse_words(phones: str) -> list[Spelling]:
    """The spellings of the words of a phrase, with ``-`` between them."""
    words: list[list[str]] = [[]]
    for phone in phones.split():
        if phone == WORD_END:
            words.append([])
        else:
            words[-1].append(phone)
    return [parse_phones(" ".join(word)) for word in words]


def _nameless(phrase: str) -> str:
    """The sentence on a phrase that has no word."""
    if phrase.isspace() or not phrase:
        return "an empty phrase cannot be spelled: give at least one word"
    if "=" in phrase:
        return f"'{phrase}' has an empty phrase before its '=': give at least one word there"
    return f"'{phrase}' is an empty phrase, since only letters and digits can be heard: give at least one word"


def _missing(phrase: str, words: list[str]) -> str:
    """A sentence on what to do about words that the dictionary lacks."""
    if all(map(is_number, words)):
        example = f', as in "{said}"' if (said := digit_by_digit(words[0])) else ""
        return f"{', '.join(words)} can be said in several ways: write it in words{example}"
    sentence = f"the dictionary has no spelling for: {', '.join(words)}; give phones yourself, "
    proposed = f' (kws spell "{phrase}" proposes some)' if any(map(_is_english, words)) else ""
    return f'{sentence}as in "{phrase}=HH EY K AH M"{proposed}'


def _is_english(word: str) -> bool:
    """Whether all letters of a word occur in the dictionary."""
    return word.isascii() and word.replace("'", "").isalpha()


@lru_cache(maxsize=1024)  # a dictionary has a million phones, of a hundred kinds
def _without_stress(phone: str) -> str:
    """A phone without its stress mark: ``"EY1"`` -> ``"EY"``."""
    return _STRESS.sub("", phone)


def parse_phones(text: str) -> Spelling:
    """``"HH EY1"`` -> ``("HH", "EY")``; raises KwsError for anything that is not an
    ARPAbet phone.
    """
    phones = tuple(map(_without_stress, text.upper().split()))
    unknown = [phone for phone in phones if phone not in _KNOWN]
    if unknown or not phones:
        wrong = f"not ARPAbet phones: {', '.join(unknown)}" if unknown else "no phones given"
        raise KwsError(f"{wrong}; the phones are {' '.join(PHONES)}")
    return phones


def spell(phrase: str) -> list[Spelling]:
    """All spellings of a phrase in the phones of the shipped models (at most 8), most
    usual first.

    phrase: words of the CMU dictionary, or words with their phones: "hey zorgo=HH EY Z
    AO R G OW". Raises KwsError for a word that has no entry, and without phones where
    the dictionary is not installed (the extra `lexicon`).
    """
    return list(next(iter(spell_all([phrase]).values())))


def spell_all(phrases: Iterable[str]) -> dict[str, Spelled]:
    """The spellings of several phrases with their borders, by name; a phrase that is
    given twice has the spellings of both. The dictionary is read once, and not at all
    if all have phones.
    """
    phrases = list(phrases)
    return spell_with(Lexicon({}) if all("=" in phrase for phrase in phrases) else load_cmudict(), phrases)


def spell_with(lexicon: Lexicon, phrases: Iterable[str]) -> dict[str, Spelled]:
    """`spell_all` with a dictionary that is read already."""
    spelled: dict[str, Spelled] = {}
    for phrase in phrases:
        name = phrase_name(phrase)
        spelled[name] = spelled.get(name, {}) | lexicon.spell_words(phrase)
        if (count := max(map(len, spelled[name]))) > _MOST_PHONES:
            raise KwsError(
                f"'{name[:40]}...' has {count} phones, and {_MOST_PHONES} are the most that a phrase may have: choose "
                "a shorter one"
            )
    return spelled


def load_cmudict() -> Lexicon:
    """The CMU dictionary that lies in the pocketsphinx wheel (BSD); the package itself
    is not imported.
    """
    spec = importlib.util.find_spec("pocketsphinx")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "model" / "en-us" / "cmudict-en-us.dict"
        if path.is_file():
            with path.open(encoding="utf-8") as lines:
                return Lexicon.from_lines(lines)
    raise KwsError(f"spelling a phrase needs the package pocketsphinx for its dictionary: {install('lexicon')}")
