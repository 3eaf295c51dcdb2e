"""The corpora by name: the declaration CORPUS of every module in this folder."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules

from kws.data import corpora
from kws.data.corpora.base import Corpus
from kws.errors import KwsError


def _declared() -> dict[str, Corpus]:
    names = sorted({found.name for found in iter_modules(corpora.__path__)} - {"base", "registry"})
    declared = (import_module(f"{corpora.__name__}.{name}").CORPUS for name in names)
    return {corpus.name: corpus for corpus in declared}


CORPORA = _declared()


def load(name: str) -> Corpus:
    """The corpus of that name; KwsError naming the nearest where there is none."""
    if name not in CORPORA:
        nearest = get_close_matches(name, CORPORA, n=1, cutoff=0.5)
        hint = f"the nearest is {nearest[0]}" if nearest else f"there are {', '.join(CORPORA)}"
        raise KwsError(f"there is no corpus {name!r}: {hint}")
    return CORPORA[name]
