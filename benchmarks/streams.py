"""Finds how many microphones one thread hears in real time, each with a `Stream` of its
own or all in one `Streams`.

    python benchmarks/streams.py [--model wake-words] [--streams 1 10 100 1000] [--chunks 4000] [--limit-ms 100]

N microphones begin at random moments of two seconds and complete a chunk (80 ms) each
at their own time from then on. A clock that is counted, not read, runs until the next
chunk is complete, and on by the CPU time that hearing took: every chunk is really
heard, with the states of N streams in memory, but what else the machine does does not
count. A stream is heard when an event is possible in its chunks, several at once; the
delay is from the chunk that makes it possible to the events. Three ways of hearing:

- alone: `Stream.push` for each chunk as it completes;
- together: `Streams.step` whenever a stream is due: of however many have become so
  while the last were heard, so that batches grow by themselves as the load does, and a
  stream that is due alone does not wait;
- every 20 ms: `Streams.run` at fixed times; dearer in delay and cheaper in CPU where
  there are few streams.

A table first; then the most microphones for which the 99th percentile of delays stays
below the limit. Where hearing needs more time than there is, delays grow without end
and are not printed.

What was tried, and what it gave: docs/decisions.md, "Many streams in one run".
"""

import argparse
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.runtime.detector import Detector
from kws.runtime.streams import MOST_AT_ONCE

TICK_S = 0.02
BEGIN_S = 2.0
SHORTEST_S = 4.0  # of a run: some chunks of every microphone
LONGEST_S = 20.0
CLOSE = 1.04  # the search ends when its two bounds are this near


class Hearing(Protocol):
    """A way of hearing N microphones."""

    def complete(self, microphone: int, chunk: NDArray[np.float32]) -> bool:
        """Take the chunk that one microphone has completed; returns whether the
        microphone is due from now on.
        """

    def hear(self) -> list[int] | None:
        """Hear some of those that are due; returns the microphones that no longer are,
        or None when none was.
        """


class Alone:
    """Each microphone has a `Stream`."""

    def __init__(self, detector: Detector, microphones: int) -> None:
        self._streams = [detector.stream() for _ in range(microphones)]
        self._waiting: deque[tuple[int, NDArray[np.float32]]] = deque()

    def complete(self, microphone: int, chunk: NDArray[np.float32]) -> bool:
        """Puts the microphone into the queue."""
        self._waiting.append((microphone, chunk))
        return True

    def hear(self) -> list[int] | None:
        """Pushes one chunk."""
        if not self._waiting:
            return None
        microphone, chunk = self._waiting.popleft()
        self._streams[microphone].push(chunk)
        return [microphone]


class Together:
    """All are handles of one `Streams`."""

    def __init__(self, detector: Detector, microphones: int) -> None:
        self._streams = detector.streams()
        self._members = [self._streams.join() for _ in range(microphones)]
        self._order: deque[int] = deque()  # as in Streams: those that are due, longest waiting first

    def complete(self, microphone: int, chunk: NDArray[np.float32]) -> bool:
        """Gives the chunk to its handle."""
        handle = self._members[microphone]
        was_due = handle.is_due
        handle.push(chunk)
        if handle.is_due and not was_due:
            self._order.append(microphone)
        return handle.is_due and not was_due

    def hear(self) -> list[int] | None:
        """Makes one step."""
        heard = [self._order.popleft() for _ in range(min(len(self._order), MOST_AT_ONCE))]
        if not heard:
            return None
        self._streams.step()
        self._order.extend(microphone for microphone in heard if self._members[microphone].is_due)
        return [microphone for microphone in heard if not self._members[microphone].is_due]


@dataclass(frozen=True)
class Outcome:
    """cpu_s: per second of one microphone. rows: streams per run of the graph, or
    pushes. p99_s: of delays; inf: fell behind.
    """

    cpu_s: float
    rows: float
    p99_s: float


def simulate(hearing: Hearing, microphones: int, seconds: float, chunk: NDArray[np.float32], tick_s: float) -> Outcome:
    """`seconds` of all microphones, hearing at once (tick_s 0) or at multiples of
    tick_s.
    """
    period = units.seconds(chunk.size)
    begins = np.random.default_rng(0).uniform(0, BEGIN_S, microphones)  # or all would be due at once, again and again
    times = np.add.outer(np.arange(1, 1 + round(seconds / period)) * period, begins)
    arrivals = deque(sorted((float(when), number % microphones) for number, when in enumerate(times.flat)))
    waiting: list[deque[float]] = [deque() for _ in range(microphones)]
    clock = busy = 0.0
    runs, delays = 0, list[float]()
    heard: list[int] | None = None
    while arrivals or heard is not None:
        idle = heard is None
        if idle:
            clock = max(clock, arrivals[0][0])
            clock = clock if tick_s == 0 else tick_s * math.ceil(clock / tick_s)
        begin = time.process_time()
        while arrivals and arrivals[0][0] <= clock and (idle or tick_s == 0):
            when, microphone = arrivals.popleft()
            if hearing.complete(microphone, chunk):
                waiting[microphone].append(when)
        heard = hearing.hear()
        spent = time.process_time() - begin
        clock, busy = clock + spent, busy + spent
        runs += heard is not None
        delays += [clock - waiting[microphone].popleft() for microphone in heard or ()]
    fell_behind = busy > seconds
    p99 = np.inf if fell_behind else float(np.percentile(delays, 99))
    return Outcome(busy / (microphones * seconds), len(delays) / runs, p99)


def most(
    detector: Detector, way: type[Alone | Together], chunk: NDArray[np.float32], tick_s: float, limit_s: float
) -> int:
    """The most microphones with a p99 below the limit, within a few percent."""
    low, high = 1, 2
    while _p99(detector, way, high, chunk, tick_s) < limit_s:
        low, high = high, 2 * high
    while high > low * CLOSE + 1:
        middle = (low + high) // 2
        below = _p99(detector, way, middle, chunk, tick_s) < limit_s
        low, high = (middle, high) if below else (low, middle)
    return low


def _p99(
    detector: Detector, way: type[Alone | Together], number: int, chunk: NDArray[np.float32], tick_s: float
) -> float:
    return simulate(way(detector, number), number, SHORTEST_S, chunk, tick_s).p99_s


def _row(number: int, outcomes: Sequence[Outcome]) -> str:
    cells = []
    for outcome in outcomes:
        delay = f"{1000 * outcome.p99_s:.1f}" if np.isfinite(outcome.p99_s) else "behind"
        cells.append(f"{1000 * outcome.cpu_s:10.2f}{outcome.rows:7.1f}{delay:>9}")
    return f"{number:<10}" + "".join(cells)


def main() -> None:
    """Prints the table, and the most microphones of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="wake-words")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--chunks", type=int, default=4000, help="chunks to hear for a row of the table, at least")
    parser.add_argument("--limit-ms", type=float, default=100.0)
    args = parser.parse_args()
    detector = Detector.load(args.model)
    size = detector.info.chunk_samples
    chunk = np.random.default_rng(0).normal(0, 0.05, size).astype(np.float32)
    ways = {"alone": (Alone, 0.0), "together": (Together, 0.0), f"every {1000 * TICK_S:.0f} ms": (Together, TICK_S)}
    print(" " * 10 + "".join(f"{name:>26}" for name in ways))
    print(f"{'streams':<10}" + f"{'CPU ms/s':>10}{'rows':>7}{'p99 ms':>9}" * len(ways))
    for number in args.streams:
        seconds = float(np.clip(args.chunks * units.seconds(size) / number, SHORTEST_S, LONGEST_S))
        outcomes = [simulate(way(detector, number), number, seconds, chunk, tick) for way, tick in ways.values()]
        print(_row(number, outcomes), flush=True)
    for name, (way, tick) in ways.items():
        found = most(detector, way, chunk, tick, args.limit_ms / 1000)
        print(f"{name:<14}{found:>6} streams on one thread, p99 below {args.limit_ms:g} ms", flush=True)


if __name__ == "__main__":
    main()
