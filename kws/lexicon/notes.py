"""Notes for a person who asks for a phrase, before it is listened for."""

import unicodedata
from collections.abc import Iterable, Sequence

from kws.lexicon.text import APOSTROPHES, normalise, phrase_name

_FEW_PHONES = 4  # a phrase of fewer fires hundreds of times an hour
_MANY_PHONES = 41  # of 12 words, the longest phrases that were tried: see docs/your-phrase.md


def phrase_notes(phrase: str, spellings: Iterable[Sequence[str]]) -> list[str]:
    """Notes on `phrase`, a sentence each: characters that are not heard, too few
    phones, which fire by themselves, and too many, which may never fire.
    """
    name = phrase_name(phrase)
    notes = []
    if dropped := _dropped(phrase.partition("=")[0]):
        notes.append(f"{' '.join(dropped)} is left out of '{name}': only letters, digits and apostrophes can be heard")
    if (count := min(map(len, spellings), default=_FEW_PHONES)) < _FEW_PHONES:
        phones = "one phone, which is" if count == 1 else f"{count} phones, which are"
        notes.append(
            f"'{name}' has {phones} in much of all speech: expect many false events, "
            f"or choose a phrase of {_FEW_PHONES} phones or more"
        )
    if count > _MANY_PHONES:
        notes.append(
            f"'{name}' has {count} phones, and no phrase of more than {_MANY_PHONES} (about 12 words) was ever tried: "
            "choose a shorter one"
        )
    return notes


def _dropped(words: str) -> list[str]:
    """The characters of a phrase that its name lacks, each once; what joins words, such
    as a hyphen, is no loss.
    """
    seen = [c for c in dict.fromkeys(words.translate(APOSTROPHES)) if not c.isspace() and c not in "'_"]
    return [
        c
        for c in seen
        if not normalise(c) and unicodedata.category(c)[0] not in "MC" and unicodedata.category(c) != "Pd"
    ]
