"""The corpora by name: the declaration CORPUS of every module in this folder."""

from __future__ import annotations

from importlib import import_module

from kws.data import corpora
from kws.data.corpora.base import Corpus
from kws.errors import named

CORPORA: dict[str, Corpus] = {
    name: import_module(f"{corpora.__name__}.{name}").CORPUS for name in corpora.corpus_names()
}


def load(name: str) -> Corpus:
    """The corpus of that name; KwsError naming the nearest where there is none."""
    return named(name, CORPORA, "corpus")
