"""What a training keeps for itself in files and reads back. A power cut or a full disk
may leave such a file empty or cut: it is then made again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kws.log import Log, silent

Content = TypeVar("Content")


def read_kept(path: Path, read: Callable[[Path], Content], log: Log = silent) -> Content | None:
    """What `read` finds in a file; None where there is no file, and where it is
    damaged, which `log` is told. An OSError about the file's place is raised.
    """
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # numpy and zipfile raise many kinds for files that are none
        if isinstance(error, OSError) and error.filename is not None:
            raise
        tell_damaged(path, log)
        return None


def tell_damaged(path: Path, log: Log) -> None:
    """Log that a file is damaged, and is made again."""
    log(f"{path} is damaged, as a power cut leaves files: it is made again")
