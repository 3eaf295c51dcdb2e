"""The script of an open-vocabulary model: short phrases of words that may never have
stood side by side, so that no phrase is likelier than another.

A model that was trained on read books alone hears a phrase that somebody calls to a
device less well (docs/decisions.md, "A larger phone model").
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.data.synthesis.scripts import Card, ScriptLine, script_line, shuffled
from kws.data.synthesis.tts import arpabet
from kws.errors import require
from kws.lexicon import Lexicon, Spelling
from kws.lexicon.text import contains

_EXCERPTS = 0.25  # of the phrases; the others are words at random
_FROM_THE_TEXT = 0.45  # of those words; the others are any that can be read
_LONGEST = 3  # of those runs, in words
_EXCERPT_WORDS = (2, 8)
_ENDINGS = (".", ".", "!", "!", "?")
_SAME = {"IH": "AH", "AO": "AA"}  # dictionaries differ in these


@dataclass(frozen=True)
class PhraseScript:
    """Runs of one to three words, out of a text or any of `words`, and excerpts of two
    to eight words of `texts`.

    never: phrases that no line holds, so that they can measure a model on words that it
    was not trained on.
    """

    texts: tuple[str, ...]
    words: tuple[str, ...]
    never: tuple[str, ...] = ()

    def deal(self, rng: np.random.Generator) -> list[Card]:
        """A card for every text."""
        return shuffled([("carrier", text) for text in self.texts], rng)

    def draw(self, card: Card, rng: np.random.Generator) -> ScriptLine:
        """A random phrase that holds none of `never`."""
        while True:
            said = self._phrase(card[1].split(), rng)
            if not any(contains(said, phrase) for phrase in self.never):
                return script_line("carrier", "", said + _ENDINGS[rng.integers(len(_ENDINGS))])

    def _phrase(self, text: Sequence[str], rng: np.random.Generator) -> str:
        if rng.random() < _EXCERPTS:
            least, most = _EXCERPT_WORDS
            count = min(len(text), int(rng.integers(least, most + 1)))
            start = int(rng.integers(len(text) - count + 1))
            return " ".join(text[start : start + count])
        count = int(rng.integers(_LONGEST)) + 1
        sources = [text if rng.random() < _FROM_THE_TEXT else self.words for _ in range(count)]
        return " ".join(source[int(rng.integers(len(source)))] for source in sources)


def readable_words(lexicon: Lexicon) -> tuple[str, ...]:
    """The words that the synthesiser's dictionary (hibari, American) reads as their
    first spelling in `lexicon`, apart from two pairs of vowels in which dictionaries
    differ.

    Raises KwsError where hibari is not installed.
    """
    package = require("hibari", extra="synthesis")
    path = Path(str(package.__file__)).parent / "assets" / "lexicon_us_gold.json.gz"
    read = {word: phones for word, phones in json.loads(gzip.decompress(path.read_bytes())).items() if word.islower()}
    spelled = {word: _compared(spellings[0]) for word, spellings in lexicon.entries() if word in read}
    return tuple(
        word
        for word, phones in read.items()
        if word in spelled and isinstance(phones, str) and _compared(arpabet(phones)) == spelled[word]
    )


def _compared(phones: Sequence[str]) -> Spelling:
    return tuple(_SAME.get(phone, phone) for phone in phones)
