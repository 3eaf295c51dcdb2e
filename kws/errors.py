"""Errors that a user meets, each with one sentence."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TypeVar

Known = TypeVar("Known")

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # why a write fails without any fault of ours


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
    names = list(known)
    close = close_to(name, names)
    return f"the nearest is {close!r}" if close else f"there are {', '.join(names) or 'none'}"


def close_to(name: str, known: Iterable[str], likeness: float = 0.5) -> str | None:
    """The known name that is most like this one, and at least so much like it as
    `likeness` (of difflib, 0 to 1); None where there is none.
    """
    from difflib import get_close_matches  # needed after a mistake alone

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=likeness)), None)


def named(name: str, known: Mapping[str, Known], kind: str, advice: str = "") -> Known:
    """What a name means; KwsError with the nearest of the known names, or all of them.

    kind: of the things that have names, such as "recipe". advice: what may be given in
    place of a name, as an imperative.
    """
    if name in known:
        return known[name]
    raise KwsError(f"there is no {kind} {name!r}: {advice + ', ' if advice else ''}{nearest(name, known)}")
