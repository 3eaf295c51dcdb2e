"""Writing a file, or several, whole or not at all: nobody ever reads half of it,
whenever the process is stopped. And reading a file that something else has damaged.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Content = TypeVar("Content")


def partial_of(path: Path) -> Path:
    """Where `whole` writes what becomes `path`."""
    return path.with_name(f"{path.name}.partial")


@contextmanager
def whole(path: Path, shared: bool = False) -> Iterator[Path]:
    """The path to write to in place of `path`, a file or a folder that is not there
    yet, which takes its content when the block ends without an error.

    >>> with whole(folder / "model.onnx") as partial:
    ...     onnx.save(proto, partial)

    The partial file lies beside `path`, with `.partial` after its name; it is left
    there if the process is killed, and removed if the block raises. shared: other
    processes may be writing the same, so each has a partial file of its own.
    """
    partial = partial_of(path)
    if shared:
        partial = partial.with_name(f"{partial.name}-{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(partial)):  # a write's has no name
            error.filename = str(path)
        raise


@contextmanager
def together(folder: Path) -> Iterator[Path]:
    """A folder to write into in place of `folder`, which takes all its files, those in
    folders below it too, when the block ends without an error, and none otherwise. Both
    are made where they are not.

    It lies in `folder` under the name `.partial`; it is left there if the process is
    killed, and emptied by the next one.
    """
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in sorted(path for path in partial.rglob("*") if path.is_file()):
            place = folder / path.relative_to(partial)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    except OSError as error:
        written = Path(error.filename).absolute() if isinstance(error.filename, str) else partial.absolute()
        if written.is_relative_to(partial.absolute()):
            error.filename = str(folder / written.relative_to(partial.absolute()))
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str, shared: bool = False) -> None:
    """`Path.write_text` in UTF-8, whole or not at all. shared: as of `whole`."""
    with whole(path, shared) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """`Path.write_bytes`, whole or not at all."""
    with whole(path) as partial:
        partial.write_bytes(content)


def read_json(path: Path, kind: type[Content]) -> Content | None:
    """The content of a JSON file that kws wrote for itself; None where there is no
    file, and where it holds no `kind`. A full disk or a power cut may have emptied it:
    what it held is then made again, as if it had never been there.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, kind) else None
