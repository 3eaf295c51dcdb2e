"""Records the sound around events, so that `kws detect` hears the same events in it.

A file begins a while before an event, on a border of the model's chunks. It has the
device's own rate, and is bit for bit the sound that the stream was given. It goes on
while events follow, for longer than the time before an event: so each event is in one
file.
"""

import math
import re
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kws import units
from kws.arrays import Samples
from kws.errors import require
from kws.events import Detection

BEFORE_S = 8.0  # more than a model looks back and a keyword lasts
AFTER_S = 10.0  # longer by a word, so that no part of the last file's last word begins the next file
_HEADER_BYTES = 100  # a file that is not longer holds no sound
_PAGE_BYTES = 1 << 16  # more than fits into what a file has been given already
_LONGEST_S = 3600.0  # a .wav file cannot exceed 4 GB


class Recorder:
    """Writes .wav files (mono, float32) around events into a folder, and keeps only
    some seconds in memory.

    tell: is told in one line when the folder can no longer be written; listening goes
    on without.
    """

    def __init__(self, folder: Path, tell: Callable[[str], object] = lambda line: None) -> None:
        self._soundfile = require("soundfile", extra="listen")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._tell = tell
        self._failed = False
        self._file: Any = None
        self.begin(units.SAMPLE_RATE, 1)

    def begin(self, rate: int, chunk_samples: int) -> None:
        """Begins with a device that was opened at `rate` Hz, for a model whose chunks
        have chunk_samples at 16 kHz.
        """
        self.end()
        self._rate = rate
        whole = units.SAMPLE_RATE // math.gcd(chunk_samples * rate, units.SAMPLE_RATE)
        self._step = whole * chunk_samples * rate // units.SAMPLE_RATE  # samples in which whole chunks lie
        self._ring: deque[Samples] = deque()
        self._held = 0  # samples in the ring
        self._count = 0  # samples since the opening

    def hear(self, samples: Samples) -> None:
        """The next samples (S,) of the device."""
        self._ring.append(samples)
        self._held += samples.size
        self._count += samples.size
        keep = round(BEFORE_S * self._rate) + self._step
        while self._held - self._ring[0].size >= keep:
            self._held -= self._ring.popleft().size
        if self._file is not None:
            self._write(samples)
            if self._count >= self._until:
                self.end()

    def keep(self, event: Detection) -> tuple[Path, float] | None:
        """The file that has this event of the stream, and its end there in seconds;
        None if nothing can be written.
        """
        if self._file is None and not self._failed:
            first = max(0, self._count - round(BEFORE_S * self._rate)) // self._step * self._step
            self._start(event.keyword, first)
        if self._file is None:
            return None
        self._until = min(self._count + round(AFTER_S * self._rate), self._first + round(_LONGEST_S * self._rate))
        return self._path, units.seconds(event.end - self._first * units.SAMPLE_RATE // self._rate)

    def end(self) -> None:
        """Complete the open file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _start(self, keyword: str, first: int) -> None:
        """Open a file whose first sample is number `first` of the device."""
        name = (
            f"{datetime.now().astimezone():%Y-%m-%dT%H-%M-%S}_{re.sub(r'[^a-z0-9]+', '-', keyword.lower()).strip('-')}"
        )
        numbers = (name if n == 1 else f"{name}_{n}" for n in range(1, 2**31))
        self._path = next(path for path in (self.folder / f"{name}.wav" for name in numbers) if not path.exists())
        self._first = first
        try:
            self._file = self._soundfile.SoundFile(self._path, "w", self._rate, 1, "FLOAT", format="WAV")
        except (OSError, self._soundfile.LibsndfileError) as error:
            self._give_up(error)
            return
        self._write(np.concatenate(self._ring)[first - self._count :])

    def _write(self, samples: Samples) -> None:
        try:
            self._file.write(samples)
        except (OSError, self._soundfile.LibsndfileError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._failed = True
        self._tell(f"nothing more is recorded: {self._path} cannot be written ({_reason(self._path, error)})")
        try:
            self.end()
        except (OSError, self._soundfile.LibsndfileError):
            self._file = None
        if self._path.exists() and self._path.stat().st_size <= _HEADER_BYTES:
            self._path.unlink()


def _reason(path: Path, error: Exception) -> str:
    """The reason why a file cannot be written. libsndfile says "System error" of a disk
    that is full; the system says more when it is asked to write on.
    """
    try:
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                for _ in range(2):  # the first may take what room there is, and not fail
                    file.write(bytes(_PAGE_BYTES))
            finally:
                file.truncate(size)
    except OSError as told:
        return told.strerror or str(told)
    return str(error)
