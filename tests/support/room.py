"""A disk that is full, for code that writes files."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: a write fails as on a full disk, but with "File too large"."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[None]:
    """A disk of its own at a new folder, of so many bytes; where none can be mounted, no file may grow beyond them."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        with nullcontext() if mounted else room_for(size):
            yield
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
