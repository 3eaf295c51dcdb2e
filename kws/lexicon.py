"""Spellings: from a phrase in words to its phones.

Tokens of the shipped models are the 39 ARPAbet phones of the CMU Pronouncing Dictionary without stress marks
(http://www.speech.cs.cmu.edu/cgi-bin/cmudict), so any phrase that the dictionary knows can be listened for.
"""

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product
from pathlib import Path

from kws.errors import KwsError

PHONES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
)
BLANK = "<blank>"
TOKENS = (BLANK, *PHONES)

Spelling = tuple[str, ...]

_STRESS = re.compile(r"\d")
_VARIANT = re.compile(r"\(\d+\)$")
_MAX_SPELLINGS = 8  # a phrase of many ambiguous words would otherwise multiply without end


class Lexicon:
    """Words and their pronunciations, most usual first."""

    def __init__(self, words: Mapping[str, tuple[Spelling, ...]]) -> None:
        self._words = dict(words)
        self.most_words = max((len(entry.split()) for entry in self._words), default=1)  # of one entry

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> "Lexicon":
        """Reads the CMUdict format: ``word PH ON1 ES`` and ``word(2) PH ON ES`` for further variants."""
        words: dict[str, list[Spelling]] = {}
        for line in lines:
            word, *phones = line.split("#")[0].split() or [""]
            if not phones or word.startswith(";;;"):
                continue
            spelling = tuple(_STRESS.sub("", phone) for phone in phones)
            variants = words.setdefault(_VARIANT.sub("", word).lower(), [])
            if spelling not in variants and all(phone in PHONES for phone in spelling):
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
        """The same lexicon with further (word, phones) pairs behind what it has: ``("snowboy", "S N OW B OY")``."""
        words = dict(self._words)
        for word, phones in spellings:
            words[word.lower()] = (*words.get(word.lower(), ()), parse_phones(phones))
        return Lexicon(words)

    def taught(self, phrases: Iterable[str]) -> "Lexicon":
        """The same lexicon in which phrases that come with phones (see `spell`) are entries, spelled by those alone."""
        given = {phrase_name(phrase): tuple(self.spell(phrase)) for phrase in phrases if "=" in phrase}
        return Lexicon(self._words | given) if given else self

    def missing(self, phrase: str) -> list[str]:
        """The words of `phrase` that have no entry, each once, in order."""
        return [word for word in dict.fromkeys(phrase.lower().split()) if word not in self._words]

    def spell(self, phrase: str) -> list[Spelling]:
        """All spellings of `phrase` (at most 8), most usual first.

        ``"view glass=V Y UW G L AE S"`` gives the phones directly, with ``|`` between several spellings. Raises
        KwsError that names every word without an entry.
        """
        words, given, phones = phrase.partition("=")
        if given:
            return list(dict.fromkeys(parse_phones(variant) for variant in phones.split("|")))
        if not words.split():
            raise KwsError("an empty phrase cannot be spelled: give at least one word")
        if (name := phrase_name(words)) in self._words:
            return list(self._words[name][:_MAX_SPELLINGS])
        missing = self.missing(words)
        if missing:
            raise KwsError(
                f"the dictionary has no spelling for: {', '.join(missing)}; give phones yourself, "
                f'as in "{words}=HH EY K AH M"'
            )
        variants = product(*(self._words[word] for word in words.lower().split()))
        joined = (tuple(phone for word in choice for phone in word) for choice in variants)
        return list(dict.fromkeys(islice(joined, _MAX_SPELLINGS)))


def parse_phones(text: str) -> Spelling:
    """``"HH EY1"`` -> ``("HH", "EY")``; raises KwsError for anything that is not an ARPAbet phone."""
    phones = tuple(_STRESS.sub("", phone) for phone in text.upper().split())
    unknown = [phone for phone in phones if phone not in PHONES]
    if unknown or not phones:
        wrong = f"not ARPAbet phones: {', '.join(unknown)}" if unknown else "no phones given"
        raise KwsError(f"{wrong}; the phones are {' '.join(PHONES)}")
    return phones


def phrase_name(phrase: str) -> str:
    """The name a phrase is reported under: its words without the phones that may follow ``=``."""
    return " ".join(phrase.partition("=")[0].lower().split())


def contains(text: str, phrase: str) -> bool:
    """Whether the whole words of `phrase` stand in `text` in that order, side by side."""
    return f" {phrase} " in f" {text} "


def load_cmudict() -> Lexicon:
    """The CMU dictionary that lies in the pocketsphinx wheel (BSD); the package itself is not imported."""
    spec = importlib.util.find_spec("pocketsphinx")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "model" / "en-us" / "cmudict-en-us.dict"
        if path.is_file():
            with path.open(encoding="utf-8") as lines:
                return Lexicon.from_lines(lines)
    raise KwsError("spelling a phrase needs the package pocketsphinx for its dictionary: pip install 'kws[lexicon]'")
