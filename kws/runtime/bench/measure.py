"""Measures the CPU time, latency, memory and start-up of a model on this machine, on
one thread.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.arrays import Float32Array
from kws.errors import KwsError
from kws.runtime.bench.board import Board, read_board
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel

_SECONDS = 20  # of sound per pass
_PASSES = 9
_STARTS = 5

_VERIFICATIONS = 50

# A device's process: it loads the model and hears ten seconds, and imports nothing else.
_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from kws.runtime.detector import Detector
from kws.runtime.bench.peak import peak_mb
stream = Detector.load(sys.argv[2]).stream()
stream.push(np.zeros(16000, np.int16))
print("ready", flush=True)
for _ in range(9):
    stream.push(np.zeros(16000, np.int16))
print(peak_mb())
"""


@dataclass(frozen=True)
class CallCost:
    """The cost of a graph on one thread: CPU microseconds per second of audio, and wall
    microseconds of single calls.
    """

    cpu_us_per_audio_s: float
    p50_us: float
    p99_us: float


def time_graphs(models: Mapping[str, OnnxModel], rounds: int) -> dict[str, CallCost]:
    """Times graphs side by side, without a scorer: in each round every model hears 20 s
    of noise in turn.

    So slow moments of the machine meet all models alike. The CPU time is the median of
    the rounds.
    """
    sounds = {name: _noise(model.info.chunk_samples) for name, model in models.items()}
    for name, model in models.items():
        _time_graph(model, sounds[name])  # the first calls allocate
    passes = [{name: _time_graph(model, sounds[name]) for name, model in models.items()} for _ in range(rounds)]
    costs = {}
    for name, sound in sounds.items():
        cpu_s = statistics.median(turn[name][0] for turn in passes) / units.seconds(sound.size)
        calls = Spread.of(np.concatenate([turn[name][1] for turn in passes]))
        costs[name] = CallCost(1e6 * cpu_s, calls.p50, calls.p99)
    return costs


@dataclass(frozen=True)
class Spread:
    """Percentiles of wall times, in microseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float] | NDArray[np.float64]) -> Spread:
        """The percentiles of seconds."""
        return cls(*(float(value) for value in np.percentile(seconds, [50, 95, 99]) * 1e6))


@dataclass(frozen=True)
class Figures:
    """The cost of a model on one thread. audio_s: sound in all passes. verifier_us: of
    a candidate; None for a model of one pass. start_s: from a new process to its first
    scores. push_us: of pushes of one chunk; most of them only keep it, until the model
    hears several in one call. peak_mb: of that process.
    """

    model: str
    parameters: int
    file_mb: float
    machine: Board
    audio_s: float
    chunk_ms: float
    cpu_s_per_audio_s: float
    times_real_time: float
    model_us: Spread
    scorer_us: Spread
    push_us: Spread
    start_s: float
    peak_mb: float
    verifier_us: Spread | None = None


def measure(detector: Detector) -> Figures:
    """The figures of one model: CPU seconds of the process, wall time of single calls
    and of a start.
    """
    info = detector.info
    sound = _noise(info.chunk_samples)
    audio_s = units.seconds(sound.size)
    _time_push(detector, sound)  # the first calls allocate
    passes = [_time_push(detector, sound) for _ in range(_PASSES)]
    cpu = statistics.median(seconds for seconds, _ in passes) / audio_s
    model_s, scorer_s = _time_parts(detector, sound)
    start_s, peak_mb = _time_start(detector.model.path)
    return Figures(
        model=info.name,
        parameters=info.parameters,
        file_mb=round(detector.model.path.stat().st_size / 1e6, 3),
        machine=read_board(),
        audio_s=audio_s * _PASSES,
        chunk_ms=1000 * units.seconds(info.chunk_samples),
        cpu_s_per_audio_s=cpu,
        times_real_time=1 / cpu,
        model_us=Spread.of(model_s),
        scorer_us=Spread.of(scorer_s),
        push_us=Spread.of(np.concatenate([times for _, times in passes])),
        start_s=start_s,
        peak_mb=peak_mb,
        verifier_us=None if info.verifier is None else Spread.of(_time_verifier(detector.model)),
    )


def _noise(chunk_samples: int) -> Float32Array:
    """About 20 s of noise, (chunks, chunk_samples)."""
    chunks = units.samples(_SECONDS) // chunk_samples
    return np.random.default_rng(0).normal(0, 0.05, (chunks, chunk_samples)).astype(np.float32)


def _time_push(detector: Detector, sound: Float32Array) -> tuple[float, NDArray[np.float64]]:
    """CPU seconds of a pass, and wall seconds of each push of a chunk."""
    return _time_calls(detector.stream().push, sound)


def _time_graph(model: OnnxModel, sound: Float32Array) -> tuple[float, NDArray[np.float64]]:
    """CPU seconds of a pass, and wall seconds of each run of the graph on a chunk."""
    states = model.init_states()

    def hear(chunk: Float32Array) -> None:
        nonlocal states
        states = model.run(chunk[None], states).states

    return _time_calls(hear, sound)


def _time_calls(hear: Callable[[Float32Array], object], sound: Float32Array) -> tuple[float, NDArray[np.float64]]:
    """CPU seconds of a pass over the chunks, and wall seconds of each call."""
    times = np.empty(len(sound))
    cpu = time.process_time()
    for number, chunk in enumerate(sound):
        begin = time.perf_counter()
        hear(chunk)
        times[number] = time.perf_counter() - begin
    return time.process_time() - cpu, times


def _time_parts(detector: Detector, sound: Float32Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wall seconds of the graph, and of the scorer with the trigger, for each chunk."""
    states = detector.model.init_states()
    heard, watched = detector.scorer.init_state(), detector.trigger.init_state()
    times = np.empty((len(sound), 2))
    frame = 0
    for number, chunk in enumerate(sound):
        begin = time.perf_counter()
        posteriors, states, _ = detector.model.run(chunk[None], states)
        middle = time.perf_counter()
        scores, ages, heard = detector.scorer.score(posteriors[0], heard)
        _, watched = detector.trigger.run(scores, ages, frame, watched)
        times[number] = middle - begin, time.perf_counter() - middle
        frame += len(scores)
    return times[:, 0], times[:, 1]


def _time_verifier(model: OnnxModel) -> NDArray[np.float64]:
    """Wall seconds of calls of the verifier, each of which is one candidate's."""
    verifier = model.info.verifier
    assert verifier is not None
    rng = np.random.default_rng(0)
    features = rng.normal(-5, 3, (_VERIFICATIONS, verifier.segment_frames, verifier.mels)).astype(np.float32)
    model.verify(features[0])  # the first call allocates
    return _time_calls(model.verify, features)[1]


def _time_start(model: Path) -> tuple[float, float]:
    """Seconds from starting a process to its first scores (median), and its peak memory
    in MB.
    """
    package_home = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", _PROCESS, str(package_home), str(model)]
    seconds, peaks = [], []
    for _ in range(_STARTS):
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            ready = process.stdout.readline()
            seconds.append(time.perf_counter() - begin)
            peak = process.stdout.readline()
        if process.returncode or not ready or not peak.strip():
            raise KwsError("the process that measures start-up and memory failed")
        peaks.append(float(peak))
    return statistics.median(seconds), max(peaks)
