"""Turns transcripts into training targets.

A keyword must be spelled right, but a name in a long transcript need not: a clip of
forty words is worth more than the two phones that a guess gets wrong. So a word that
the dictionary lacks is put together from pieces that it has.
"""

from collections.abc import Iterator

from kws.lexicon import Lexicon, Spelling

_MIN_PIECE = 3  # letters of a dictionary word that may serve as a piece
_LETTER_COST = 2.0  # against 1 for a piece: letters only where no piece fits
_ENDINGS = {"'s": ("Z",), "s": ("Z",), "ed": ("D",), "ing": ("IH", "NG"), "'": ()}
_LETTERS: dict[str, Spelling] = {
    "a": ("AE",), "b": ("B",), "c": ("K",), "d": ("D",), "e": ("EH",), "f": ("F",), "g": ("G",), "h": ("HH",),
    "i": ("IH",), "j": ("JH",), "k": ("K",), "l": ("L",), "m": ("M",), "n": ("N",), "o": ("AA",), "p": ("P",),
    "q": ("K",), "r": ("R",), "s": ("S",), "t": ("T",), "u": ("AH",), "v": ("V",), "w": ("W",), "x": ("K", "S"),
    "y": ("IY",), "z": ("Z",),
}  # fmt: skip


def transcribe(text: str, lexicon: Lexicon) -> tuple[Spelling, int]:
    """The phones of a transcript, and how many of its words were guessed."""
    phones: list[str] = []
    guessed, at, words = 0, 0, text.split()
    while at < len(words):
        entry = next(_entries(words[at:], lexicon))
        if entry in lexicon:
            phones += lexicon.spell(entry)[0]
        else:
            phones += guess(entry, lexicon)
            guessed += 1
        at += len(entry.split())
    return tuple(phones), guessed


def _entries(words: list[str], lexicon: Lexicon) -> Iterator[str]:
    """The possible next entries: the longest phrase of the lexicon that the words begin
    with, or the first word.
    """
    longest = min(len(words), lexicon.most_words)
    phrases = (" ".join(words[:count]) for count in range(longest, 1, -1))
    yield from (phrase for phrase in phrases if phrase in lexicon)
    yield words[0]


def guess(word: str, lexicon: Lexicon) -> Spelling:
    """A word from the fewest dictionary words, endings and letters that it can be cut
    into.
    """
    best: list[tuple[float, Spelling]] = [(0.0, ())]
    for end in range(1, len(word) + 1):
        options = [
            (best[start][0] + cost, best[start][1] + phones) for start, cost, phones in _pieces(word, end, lexicon)
        ]
        best.append(min(options, key=lambda option: option[0]))
    return best[-1][1]


def _pieces(word: str, end: int, lexicon: Lexicon) -> list[tuple[int, float, Spelling]]:
    """(start, cost, phones) of every entry that word[start:end] may be."""
    pieces: list[tuple[int, float, Spelling]] = [(end - 1, _LETTER_COST, _LETTERS.get(word[end - 1], ()))]
    starts = (start for start in range(end - _MIN_PIECE + 1) if word[start:end] in lexicon)
    pieces += [(start, 1.0, lexicon.spell(word[start:end])[0]) for start in starts]
    if end == len(word):
        pieces += [(end - len(tail), 1.0, sound) for tail, sound in _ENDINGS.items() if word.endswith(tail)]
    return [piece for piece in pieces if piece[0] >= 0]
