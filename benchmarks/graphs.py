"""Compares the cost of the first passes of model files, by chunks in a call: of the
same model as two exporters write it, for example.

    python benchmarks/graphs.py OLD.onnx NEW.onnx [...] [--chunks 1 4 6 16] [--rounds 60]

One process, one thread. In each round every file hears a few calls in turn, so that the
machine's slow moments meet all alike; printed is the median of the rounds, in CPU
microseconds of a call and as a share of the first file's. `cold` reads 12 MB of other
numbers before each call, as other processes do between a device's calls. `opened` is
what it takes to open a file, and `nodes` what is in its graph.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx

from kws.runtime.session import OnnxModel

CALLS = 10
COLD_VALUES = 3_000_000


def main() -> None:
    """Prints a table of the files' costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="FILE.onnx")
    parser.add_argument("--chunks", nargs="+", type=int, default=[1, 4, 6, 16])
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    print(f"{'':16}" + "".join(f"{path.stem[:16]:>18}" for path in asked.models))
    print(f"{'nodes':16}" + "".join(f"{len(onnx.load(str(path)).graph.node):18}" for path in asked.models))
    opening = [lambda path=path: OnnxModel.load(path) for path in asked.models]
    print(row("opened", medians(opening, max(5, asked.rounds // 6), 1, cold=False)))
    models = [OnnxModel.load(path) for path in asked.models]
    for chunks in asked.chunks:
        calls = [call(model, chunks) for model in models]
        print(row(f"{chunks} chunks", medians(calls, asked.rounds, CALLS, cold=False)))
        print(row(f"{chunks} chunks, cold", medians(calls, asked.rounds, 1, cold=True)))


def call(model: OnnxModel, chunks: int) -> Callable[[], object]:
    """A call of the graph with so many chunks of noise."""
    noise = np.random.default_rng(0).normal(0, 0.05, (1, chunks * model.info.chunk_samples)).astype(np.float32)
    states = model.init_states()
    return lambda: model.run(noise, states)


def medians(calls: Sequence[Callable[[], object]], rounds: int, repeats: int, cold: bool) -> list[float]:
    """CPU microseconds of each call: the median of the rounds, in which all come in
    turn.
    """
    others, taken = np.ones(COLD_VALUES, np.float32), [[0.0] * rounds for _ in calls]
    for each in calls:
        each()
    for number in range(rounds):
        for each, times in zip(calls, taken, strict=True):
            if cold:
                others.sum()
            begin = time.process_time()
            for _ in range(repeats):
                each()
            times[number] = 1e6 * (time.process_time() - begin) / repeats
    return [statistics.median(times) for times in taken]


def row(name: str, microseconds: Sequence[float]) -> str:
    """A line of the table."""
    return f"{name:16}" + "".join(f"{us:10.0f} ({us / microseconds[0]:.3f})" for us in microseconds)


if __name__ == "__main__":
    main()
