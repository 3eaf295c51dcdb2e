"""Sound that a user names: files and pipes.

A pipe cannot be read twice, and most formats state at their end, or at their begin,
what is in their middle. So sound in a container is kept in a temporary file first, and
heard once the pipe has ended. Raw samples need no container: they are heard as they
come.
"""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from kws import audio
from kws.arrays import Samples
from kws.audio.pickup import AS_IT_IS, Mixdown, Pickup
from kws.errors import InputError, KwsError
from kws.units import SAMPLE_RATE

STDIN = "-"

_PIECE_BYTES = 65_536
_RAW_BYTES = 2  # of a raw sample: 16 bits, little-endian, one channel


def blocks(name: str, block_samples: int, raw_rate: int | None = None, pickup: Pickup = AS_IT_IS) -> Iterator[Samples]:
    """Mono float32 samples at 16 kHz of what `name` names, block by block.

    name: a file, a named pipe, or "-" for standard input. block_samples: of a block;
    raw samples come as they arrive. raw_rate: None where the sound says itself what it
    is; a rate in Hz for raw 16-bit little-endian mono samples. pickup: channel and
    gain.

    Raises KwsError, after what could be read, where the sound is missing, damaged or
    ends inside a sample.
    """
    if raw_rate is not None:
        with _opened(name) as source:
            yield from _raw(name, source, raw_rate, pickup)
    elif name == STDIN or _is_pipe(name):
        with tempfile.TemporaryDirectory(prefix="kws-") as folder:
            kept = Path(folder) / "sound"
            with _opened(name) as source:
                _keep(name, source, kept)
            try:
                yield from audio.blocks(kept, block_samples, pickup=pickup)
            except KwsError as error:
                raise KwsError(str(error).replace(str(kept), name)) from error
    else:
        yield from audio.blocks(name, block_samples, pickup=pickup)


def is_live(name: str, raw_rate: int | None) -> bool:
    """Whether `blocks` gives sound as it comes: raw samples from what is no file."""
    return raw_rate is not None and not stat.S_ISREG(_mode("/dev/stdin" if name == STDIN else name))


def _is_pipe(name: str) -> bool:
    mode = _mode(name)
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _mode(name: str) -> int:
    try:
        return Path(name).stat().st_mode
    except OSError:  # said when it is opened
        return 0


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == STDIN:
        if sys.stdin is None:
            raise KwsError("- is standard input, and that is closed")
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise KwsError(f"{name} does not exist") from error
    except OSError as error:
        raise KwsError(f"{name} cannot be read: {error.strerror}") from error


def _keep(name: str, source: IO[bytes], kept: Path) -> None:
    try:
        with kept.open("wb") as file:
            shutil.copyfileobj(source, file)
    except OSError as error:
        folder = tempfile.gettempdir()
        raise KwsError(f"{name} is kept in {folder} until it ends, which failed: {error.strerror}") from error


def _raw(name: str, source: IO[bytes], rate: int, pickup: Pickup) -> Iterator[Samples]:
    try:
        pickup.check(1)
    except InputError as error:
        raise KwsError(f"{name} {error}") from error
    mixdown = Mixdown(pickup)
    resampler = None if rate == SAMPLE_RATE else audio.Resampler(rate)
    rest, count = b"", 0
    while data := source.read1(_PIECE_BYTES):  # type: ignore[attr-defined] # of a BufferedReader: what is there by now
        data = rest + data
        whole = len(data) - len(data) % _RAW_BYTES
        rest, count = data[whole:], count + whole
        samples = mixdown.push(audio.from_pcm(data[:whole], _RAW_BYTES)[:, np.newaxis])
        yield samples if resampler is None else resampler.push(samples)
    if resampler is not None:
        yield resampler.push(np.empty(0, np.float32), last=True)
    if not count:
        raise KwsError(f"{name} has no samples")
    if rest:
        raise KwsError(f"{name} ends inside a sample: is it 16-bit mono?")
