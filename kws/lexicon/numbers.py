"""Numbers as they are said, for phrases that are typed with digits."""

from __future__ import annotations

import re
import unicodedata

_SMALL = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen".split()
)
_TENS = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())
_PLAIN = re.compile(r"0|[1-9][0-9]?")
_JOINED = re.compile(r"\d[^\w\s]+\d")  # 3.14, 1,000, 24/7, 7:30


def in_words(number: str) -> tuple[str, ...]:
    """The words of a number: ``"42"`` -> ``("forty", "two")``. Empty for anything but a
    whole number below 100, since longer ones have several readings: 1984, 007.
    """
    if not _PLAIN.fullmatch(number):
        return ()
    tens, ones = divmod(int(number), 10)
    if tens < 2:
        return (_SMALL[int(number)],)
    return (_TENS[tens], _SMALL[ones]) if ones else (_TENS[tens],)


def is_joined(word: str) -> bool:
    """Whether a word has marks between digits that make one number of them: 3.14."""
    return _JOINED.search(unicodedata.normalize("NFKC", word)) is not None


def is_number(word: str) -> bool:
    """Whether a word is made of digits, and marks between them."""
    digits = [c for c in unicodedata.normalize("NFKC", word) if c.isalnum()]
    return bool(digits) and all(map(str.isdecimal, digits))


def digit_by_digit(number: str) -> str:
    """One reading of a number: ``"3.14"`` -> three point one four. Empty for a number
    with other marks than points.
    """
    if not all(c.isdecimal() or c == "." for c in number):
        return ""
    return " ".join("point" if c == "." else _SMALL[int(c)] for c in number)
