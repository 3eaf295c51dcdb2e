"""Errors that a user meets, each with one sentence."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType


class KwsError(Exception):
    """A user's mistake or a missing thing; `str()` is one sentence: what is wrong and
    what to do.
    """


class InputError(KwsError, ValueError):
    """Samples or log-posteriors of a kind that cannot be used (dtype, shape, rate,
    NaN).
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM as an exception, so that code which cleans up after Ctrl-C does so after
    SIGTERM, too.
    """


@contextmanager
def going_on(sentence: str) -> Iterator[None]:
    """Adds to an interruption without a message a sentence on how the work goes on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)(str(stop) or sentence) from stop


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or raise a KwsError that names the pip command which
    brings it.

    module: the name to import, such as "soundfile"; extra: the extra in pyproject.toml
    that brings it.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise KwsError(f"{package} cannot be loaded: {error}") from error
        raise KwsError(f"{package} is needed here: {install(extra)}") from error
    except (ImportError, OSError) as error:  # a shared library such as PortAudio is missing
        raise KwsError(f"{package} is installed but cannot be loaded: {error}") from error


def install(extra: str) -> str:
    """The command that brings the packages of an extra; kws is on no package index, so
    it names a clone.
    """
    return f"pip install '.[{extra}]' in the folder of kws"


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that says a name is unknown: the nearest of the known
    names, or all of them.
    """
    from difflib import get_close_matches  # needed after a mistake alone

    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"the nearest is {close[0]!r}" if close else f"there are {', '.join(names) or 'none'}"
