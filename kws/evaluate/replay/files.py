"""The sound of files that are replayed under several conditions."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from kws import audio
from kws.arrays import Samples
from kws.audio.pickup import Pickup
from kws.data import augment
from kws.errors import KwsError

FileIdentity = tuple[str, int, int]

STEP = 160 * augment.LEVEL_FRAME  # samples that are made at a time: 4 s
_SHORT_S = 60.0  # a file of this length is held while it is heard under one condition after the other


def file_identity(path: Path) -> FileIdentity:
    """The identity of a file's content: path, size and time of change. Raises
    KwsError.
    """
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        raise KwsError(f"{path} does not exist") from error
    except OSError as error:
        raise KwsError(f"{path} cannot be read: {error.strerror}") from error
    return str(path.absolute()), stat.st_size, stat.st_mtime_ns


def sound_of(path: Path, channel: int | None = None) -> Iterator[Samples]:
    """A file's samples, block by block: one channel (from 1), or the mean of all."""
    if 0 < audio.length_s(path) <= _SHORT_S:
        return iter(_decoded(file_identity(path), channel))
    return audio.blocks(path, STEP, pickup=Pickup(channel))


@lru_cache(maxsize=1)
def _decoded(identity: FileIdentity, channel: int | None) -> list[Samples]:
    return list(audio.blocks(identity[0], STEP, pickup=Pickup(channel)))
