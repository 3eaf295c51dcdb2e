"""Normalises texts for comparison: case, punctuation, marks and quotation do not
count.
"""

import re
import unicodedata
from functools import lru_cache

APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bc\u00b4\u0060", "'"))
_UNDERSCORES_INSIDE = re.compile(r"(?<=[^\s_])_+(?=[^\s_])")


def normalise(text: str) -> str:
    """Words as transcripts and names of keywords have them: ``"Turn on the
    View-Glass!"`` is turn on the view glass.

    Unicode NFKC, lower case, one space between words; letters, their marks, digits,
    apostrophes and the underscores around classes such as ``_unknown_`` stay, and
    whatever else can be seen divides words, ``smart_mirror`` too. Normalising again
    changes nothing.
    """
    if not text.isascii():
        visible = "".join(c for c in text.translate(APOSTROPHES) if unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).lower())
    words = " ".join(map(_divided, text.translate(APOSTROPHES).lower().split())).split()
    return " ".join(word for word in words if any(map(str.isalnum, word)))


def _divided(word: str) -> str:
    """A word with spaces for its punctuation."""
    if word.isalnum():
        return word
    divided = "".join(c if c in "'_" or unicodedata.category(c)[0] in "LMN" else " " for c in word)
    return _UNDERSCORES_INSIDE.sub(" ", divided)


def phrase_name(phrase: str) -> str:
    """The name a phrase is reported under: its words, normalised, without the phones
    that may follow ``=``.
    """
    return normalise(phrase.partition("=")[0])


def without_accents(word: str) -> str:
    """A text without accents: ``"café"`` -> ``"cafe"``."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in letters if not unicodedata.category(c).startswith("M"))


def contains(text: str, phrase: str) -> bool:
    """Whether the words of `phrase` stand in `text` in that order, side by side, maybe
    with a possessive 's.

    Case and punctuation do not count: "turn on the computer." and "the computer's off"
    contain "Computer", "computers" does not.
    """
    asked = _compared(phrase)
    pattern = "".join(f" {word}(?:'s)?" for word in asked) + " "  # of letters, marks, digits: nothing to escape
    return bool(asked) and re.search(pattern, f" {' '.join(_compared(text))} ") is not None


def says(text: str, phrase: str) -> bool:
    """Whether `text` is `phrase` and nothing else, but for case and punctuation."""
    return _compared(text) == _compared(phrase)


@lru_cache(maxsize=4096)  # matching compares each text with every keyword, again and again
def _compared(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared: apostrophes around them are quotation
    marks, or a plural's.
    """
    return tuple(word.strip("'") for word in normalise(text).casefold().split())
