"""A cache of replayed test items in one SQLite file: an interrupted run goes on, and
nothing is replayed twice.

Each row is one replayed item. Its key is a digest of everything that determines the
scores: the system, the audio, the noise and the rules. A row that nobody asked for in
the last ten runs is dropped, so that the file does not grow forever.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np

from kws import __version__
from kws.errors import KwsError
from kws.evaluate.replay.conditions import COLD, Rules
from kws.evaluate.replay.files import FileIdentity
from kws.evaluate.replay.recording import CLEAN, FLOOR, Replayed, TestItem
from kws.evaluate.replay.systems import KwsSystem, System, SystemSpec

_SCHEMA = 2  # of the file and of what a recording is: higher whenever replay comes to give other numbers
_RUNS_KEPT = 10
_BUSY_S = 5.0  # to wait while another process writes
_TABLE = """
CREATE TABLE IF NOT EXISTS recordings (
    key TEXT PRIMARY KEY, run INTEGER NOT NULL, samples INTEGER NOT NULL, keywords INTEGER NOT NULL,
    frames BLOB NOT NULL, scores BLOB NOT NULL, ages BLOB NOT NULL
) WITHOUT ROWID
"""


def digest(*parts: object) -> str:
    """A short digest of values that their `repr` describes completely."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def system_digest(spec: SystemSpec, system: System) -> str:
    """The digest of everything that determines a system's scores: of a model the file's
    bytes and the spellings, of an engine the facts that it gives of itself.

    It is the same on every machine, wherever the model file lies.
    """
    if isinstance(system, KwsSystem):
        content = hashlib.blake2b(system.detector.model.path.read_bytes()).hexdigest()
        spelled = [(keyword.name, keyword.spellings, *keyword.borders) for keyword in system.detector.keywords]
        options = [name for name in ("gate", "after_pause") if getattr(spec, name)]
        return digest(content, spelled, *options)
    about = {name: value for name, value in asdict(system.about()).items() if name not in ("name", "engine")}
    adapter = spec.file.read_bytes() if spec.file else spec.model
    return digest(sorted(about.items()), system.keywords, spec.keywords, system.chunk_samples, adapter)


def key(system: str, source: TestItem, rules: Rules, files: Sequence[FileIdentity]) -> str:
    """The key of one result in the store: of `source` and its `files`, replayed through
    the system with the digest `system`.
    """
    begins = source.labels if source.condition == COLD else ()  # its first word is where the sound begins
    mixing = None if source.condition == CLEAN else (source.condition, rules.seed, source.name, begins)
    return digest(_SCHEMA, __version__, FLOOR, system, rules.silence_s, files, mixing, tuple(rules.pickup))


class Store:
    """The store in the SQLite file `path`, which is made when it does not exist; a
    context. Only one process may write it at a time.

    Raises KwsError, from any method, for a file that is damaged, in use or not
    writable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._sentences():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=_BUSY_S)
            self._file.execute(_TABLE)
            (newest,) = self._file.execute("SELECT coalesce(max(run), 0) FROM recordings").fetchone()
        self._run = int(newest) + 1

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._sentences(), self._file:
            self._file.execute("DELETE FROM recordings WHERE run <= ?", (self._run - _RUNS_KEPT,))
        self._file.close()

    def read(self, wanted: str, source: TestItem) -> Replayed | None:
        """The recording of `source` under the key `wanted`; None where the store has
        none.
        """
        with self._sentences():
            row = self._file.execute(
                "SELECT samples, keywords, frames, scores, ages FROM recordings WHERE key = ?", (wanted,)
            ).fetchone()
        if row is None:
            return None
        samples, keywords, *content = row
        with self._sentences():
            frames, scores, ages = (np.frombuffer(*one) for one in zip(content, ("<i8", "<f8", "<i8"), strict=True))
            shape = len(frames), keywords
            return Replayed(source, samples, frames, scores.reshape(shape), ages.reshape(shape))

    def touch(self, keys: Iterable[str]) -> None:
        """Marks rows as asked for in this run."""
        with self._sentences(), self._file:
            self._file.executemany("UPDATE recordings SET run = ? WHERE key = ?", ((self._run, key) for key in keys))

    def write(self, recordings: Sequence[tuple[str, Replayed]]) -> None:
        """Keeps recordings under their keys; they are on disk when this returns."""
        rows = [
            (
                key,
                self._run,
                found.samples,
                found.scores.shape[1],
                found.frames.astype("<i8").tobytes(),
                found.scores.astype("<f8").tobytes(),
                found.ages.astype("<i8").tobytes(),
            )
            for key, found in recordings
        ]
        with self._sentences(), self._file:
            self._file.executemany("INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, read-only, a full disk
            raise KwsError(f"{self._path} cannot be used: {error}") from error
        except (sqlite3.DatabaseError, TypeError, ValueError) as error:  # the latter for what a row holds
            raise KwsError(f"{self._path} is damaged ({error}): delete it, and everything is replayed") from error
