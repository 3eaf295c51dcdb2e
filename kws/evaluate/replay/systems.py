"""Systems that can be scored: a model of kws, or any other engine behind an adapter of
a few lines.

T frames, K keywords. An `Engine` is the adapter that a user writes. A `System` is what
replay needs: `KwsSystem` for a model of kws, `EngineSystem` for any adapter.
"""

import importlib
import math
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kws.arrays import Float64Array, IntArray, Samples
from kws.errors import KwsError
from kws.evaluate.replay.engines import ENGINES
from kws.evaluate.replay.recording import FLOOR
from kws.python_file import load_python_file
from kws.runtime.detector import Detector
from kws.runtime.keywords import only_these, open_detector
from kws.runtime.shipped import find
from kws.runtime.stream import StreamResult
from kws.units import SAMPLE_RATE

REFRACTORY_S = 1.0  # of engines that have none of their own: what the models of kws have
LONGEST_S = 2.0  # for which a held score is one event, as for the models of kws
_PARTS = ("keywords", "thresholds", "version", "size_bytes", "chunk_samples", "process", "reset")  # of an `Engine`


class Engine(Protocol):
    """The adapter of an engine. Its class is called with the list of keywords that the
    user asked for (maybe empty).

    keywords: names, as in the texts of manifests. thresholds: the engine's own, one per
    keyword. version: of the engine. size_bytes: of the files of these keywords' models.
    chunk_samples: the samples that `process` takes.
    """

    keywords: Sequence[str]
    thresholds: Sequence[float]
    version: str
    size_bytes: int
    chunk_samples: int

    def process(self, chunk: npt.NDArray[np.int16]) -> Sequence[float] | float:
        """The scores in [0, 1] of the keywords after the next chunk. An engine that
        only fires gives True or False.
        """

    def reset(self) -> None:
        """Forget everything that was heard."""


class FrameScores(NamedTuple):
    """The scores (T, K) of completed frames, and their ages (T, K): how many frames
    each score's path covers.
    """

    scores: Float64Array
    ages: IntArray


class SystemStream(Protocol):
    """One stream of a system."""

    def process(self, samples: Samples, last: bool = False) -> FrameScores | StreamResult:
        """Hears the next samples (S,) float32 at 16 kHz, of any number; `last`
        completes the last chunk.
        """


@dataclass(frozen=True)
class SystemInfo:
    """The facts about a system that a report states. commit, parameters: None where
    they are not known. bytes: of its model files.
    """

    name: str
    engine: str
    version: str
    commit: str | None
    parameters: int | None
    bytes: int


class System(Protocol):
    """A system that can be replayed and scored. thresholds: its own. A score is known
    at the end of its chunk.
    """

    name: str
    keywords: tuple[str, ...]
    thresholds: tuple[float, ...]
    frame_samples: int
    chunk_samples: int
    refractory_frames: int

    def stream(self) -> SystemStream:
        """A fresh stream. It must have ended before the next one begins."""

    def about(self) -> SystemInfo:
        """The facts about the system for a report."""


@dataclass(frozen=True)
class SystemSpec:
    """The description by which another process opens the same system.

    model: an .onnx file, a shipped model, one of ENGINES, or an adapter of the user's,
    FILE.py:CLASS or MODULE:CLASS. gate: whether a model of kws sleeps while it is
    quiet. after_pause: whether it hears phrases after a pause alone. only: of a model's
    own keywords those that it hears; empty for all.
    """

    model: str
    keywords: tuple[str, ...] = ()
    gate: bool = False
    after_pause: bool = False
    only: tuple[str, ...] = ()

    @property
    def is_engine(self) -> bool:
        """Whether the system is an engine behind an adapter."""
        return self.model in ENGINES or (":" in self.model and self.model.rpartition(":")[2].isidentifier())

    @property
    def file(self) -> Path | None:
        """The file of a model or of FILE.py:CLASS, else None. Raises KwsError for a
        model without a file.
        """
        if self.is_engine:
            place = self.model.rpartition(":")[0]
            return Path(place) if place.endswith(".py") else None
        return find(self.model)


def open_system(spec: SystemSpec) -> System:
    """The system of `spec`. A process opens it once and keeps it as long as its file
    does not change.

    Raises KwsError for a system that cannot be opened.
    """
    if spec.model.endswith(".py"):
        raise KwsError(f"{spec.model} is no model: of an adapter, name the class as well, {spec.model}:CLASS")
    file = spec.file
    stat = file.stat() if file and file.is_file() else None
    return _open(spec, (stat.st_size, stat.st_mtime_ns) if stat else None)


@lru_cache(maxsize=1)
def _open(spec: SystemSpec, version: tuple[int, int] | None) -> System:  # noqa: ARG001 - for the cache alone
    if spec.is_engine:
        make = _adapter(ENGINES.get(spec.model, spec.model))
        with _blamed(spec.model, "its constructor"):
            return EngineSystem(spec.model, make(list(spec.keywords)))
    detector = open_detector(spec.model, list(spec.keywords))
    if spec.only:
        (detector,) = only_these([detector], spec.only, spec.keywords)
    return KwsSystem(detector.said_after_pause() if spec.after_pause else detector, gate=spec.gate)


class KwsSystem:
    """A detector of kws as a system that can be scored."""

    def __init__(self, detector: Detector, *, gate: bool = False) -> None:
        info = detector.info
        self.detector = detector
        self._gate = gate
        self.name = info.name
        self.keywords = tuple(keyword.name for keyword in detector.keywords)
        self.thresholds = tuple(keyword.threshold for keyword in detector.keywords)
        self.frame_samples = info.frame_samples
        self.chunk_samples = info.chunk_samples
        self.refractory_frames = info.scoring.refractory_frames

    def stream(self) -> SystemStream:
        """A fresh stream of the detector."""
        return self.detector.stream(gate=self._gate)

    def about(self) -> SystemInfo:
        """The facts in the model info."""
        info = self.detector.info
        size = self.detector.model.path.stat().st_size
        return SystemInfo(self.name, "kws", info.kws_version, info.commit, info.parameters, size)


class EngineSystem:
    """An engine behind an adapter: a frame is a chunk. Raises KwsError for an adapter
    that does not keep its word.

    The age of a score is the time since the score was last down at FLOOR, LONGEST_S at
    most: engines that look back a second or more hold a score for longer than the
    refractory, and that is still one event, as it is for kws.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        if missing := [part for part in _PARTS if not hasattr(engine, part)]:
            raise KwsError(f"the adapter {name} lacks {', '.join(missing)}: see kws.evaluate.replay.systems.Engine")
        self.engine = engine
        self.name = name
        self.keywords = tuple(engine.keywords)
        self.thresholds = tuple(float(threshold) for threshold in engine.thresholds)
        self.frame_samples = self.chunk_samples = engine.chunk_samples
        self.refractory_frames = math.ceil(REFRACTORY_S * SAMPLE_RATE / engine.chunk_samples)
        if not len(self.keywords) == len(self.thresholds) > 0:
            raise KwsError(f"{name} has {len(self.keywords)} keywords and {len(self.thresholds)} thresholds")

    def stream(self) -> SystemStream:
        """The engine after a reset, as a stream."""
        with _blamed(self.name, "reset"):
            self.engine.reset()
        return _EngineStream(self)

    def about(self) -> SystemInfo:
        """The facts that the adapter gives of its engine."""
        return SystemInfo(self.name, self.name, self.engine.version, None, None, self.engine.size_bytes)


class _EngineStream:
    def __init__(self, system: EngineSystem) -> None:
        self._system = system
        self._rest = np.empty(0, np.int16)
        self._age = np.zeros(len(system.keywords), np.int64)
        self._oldest = round(LONGEST_S * SAMPLE_RATE / system.chunk_samples)

    def process(self, samples: Samples, last: bool = False) -> FrameScores:
        size = self._system.chunk_samples
        pcm = np.concatenate([self._rest, np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)])
        if last:
            pcm = np.concatenate([pcm, np.zeros(-len(pcm) % size, np.int16)])
        whole = len(pcm) // size
        self._rest = pcm[whole * size :]
        shape = (whole, len(self._system.keywords))
        scores, ages = np.empty(shape), np.empty(shape, np.int64)
        for row, chunk in enumerate(pcm[: whole * size].reshape(whole, size)):
            scores[row] = self._scores(chunk)
            self._age = np.where(scores[row] > FLOOR, np.minimum(self._age + 1, self._oldest), 0)
            ages[row] = np.maximum(self._age, 1)
        return FrameScores(scores, ages)

    def _scores(self, chunk: npt.NDArray[np.int16]) -> Float64Array:
        name, keywords = self._system.name, len(self._system.keywords)
        with _blamed(name, "process"):
            scores = np.atleast_1d(np.asarray(self._system.engine.process(chunk), np.float64))
        if scores.shape != (keywords,) or not ((scores >= 0) & (scores <= 1)).all():
            raise KwsError(f"the adapter {name} gave {scores.tolist()} for a chunk, not {keywords} scores in [0, 1]")
        return scores


@contextmanager
def _blamed(name: str, call: str) -> Iterator[None]:
    """Turns an exception in an adapter into a KwsError that names the adapter and the
    line that failed.
    """
    try:
        yield
    except KwsError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        raise KwsError(f"the adapter {name} failed in {call} ({what}, {last.filename} line {last.lineno})") from error


def _adapter(place: str) -> Any:
    """The class at MODULE:CLASS or FILE.py:CLASS."""
    where, _, name = place.rpartition(":")
    if where.endswith(".py") and not Path(where).is_file():
        raise KwsError(f"there is no adapter at {where}: give FILE.py:CLASS")
    with _blamed(place, "its import"):
        module = load_python_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    if not hasattr(module, name):
        raise KwsError(f"{where} has no class {name}")
    return getattr(module, name)
