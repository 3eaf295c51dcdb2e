"""Mixers of the user's own: `model.mixer=FILE.py:CLASS` takes a class from a file
outside of kws.

The class is a StreamingMixer or a SegmentMixer (base.py). A checkpoint holds the spec
and not the file: whoever loads it needs the file at the same place.
"""

import inspect
from functools import cache
from pathlib import Path

from kws.errors import KwsError
from kws.model.mixers.base import SegmentMixer, StreamingMixer
from kws.python_file import load_python_file

_MARK = ".py:"


def is_own(base: str) -> bool:
    """Whether a base is a FILE.py:CLASS."""
    return _MARK in base


def own_class(base: str) -> type[StreamingMixer] | type[SegmentMixer]:
    """The class at FILE.py:CLASS. Raises KwsError where there is no such file or class,
    or where the class is no mixer.
    """
    file, _, name = base.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise KwsError(f"the mixer {base} needs the file {file}, which is not there")
    stat = path.stat()
    return _load(base, path, name, (stat.st_size, stat.st_mtime_ns))


@cache
def _load(base: str, path: Path, name: str, version: tuple[int, int]) -> type[StreamingMixer] | type[SegmentMixer]:  # noqa: ARG001
    try:
        module = load_python_file(path)
    except Exception as error:
        raise KwsError(f"the mixer {base} cannot be loaded: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if found is None:
        raise KwsError(f"the mixer {base} is not there: {path} has no class {name}")
    if not (isinstance(found, type) and issubclass(found, StreamingMixer | SegmentMixer)):
        raise KwsError(f"{base} is no mixer: derive it from kws.model.mixers.StreamingMixer or SegmentMixer")
    if inspect.isabstract(found):
        raise KwsError(f"the mixer {base} lacks {', '.join(sorted(found.__abstractmethods__))}")
    return found
