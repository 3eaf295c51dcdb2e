"""A disk that is full while Lightning trains: the sentence that the user gets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kws.errors import NO_ROOM, KwsError


@contextmanager
def told_of_a_full_disk(output: Path) -> Iterator[None]:
    """Runs `trainer.fit` inside, and raises what stopped it, not what Lightning or a
    logger stumbles over on its way out. An OSError that names no file gets the name of
    the folder that checkpoints and logs are written into.

    A thread that writes a log has no room to say more than its training says.
    """
    before = threading.excepthook
    threading.excepthook = lambda died: None if _no_room(died.exc_value) else before(died)
    try:
        yield
    except Exception as error:
        reason = _reason(error)
        if isinstance(reason, OSError) and reason.filename is None:
            reason.filename = str(output)
        raise reason from None
    finally:
        threading.excepthook = before


def _reason(error: BaseException) -> BaseException:
    """The first of an error and those that it followed upon that a sentence tells of;
    where there is none, the error.
    """
    followed: BaseException | None = error
    while followed is not None:
        if isinstance(followed, KwsError) or _no_room(followed):
            return followed
        followed = followed.__context__
    return error


def _no_room(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in NO_ROOM
