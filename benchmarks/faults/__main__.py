"""The table of faults: what was done to kws, how often, and what was lost. 0 lost is
what every row must say.

    python benchmarks/faults [--short] [--only ROW ...] [--size N]

--short: few cases of each row, in which nothing is trained: a few minutes. Without it
the sizes are those of FULL below. --only: some rows. Needs the extras `score`, `serve`
and, for the stops of training, `train`. A table in Markdown, a line as each row ends;
each loss is named after it, and makes the exit code 1. The table that was measured:
RESULTS.md beside this file.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import files
import load
import stops
from row import HEAD, Row, Setting

from kws.runtime.shipped import DEFAULT_MODEL, find

ROWS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "sounds": files.sounds,
    "models": files.models,
    "manifests": files.manifests,
    "clients": load.clients,
    "laws": load.laws,
    "crowd": load.crowd,
    "endless": load.endless,
    "stops": stops.stops,
}
FULL = {
    "sounds": 100_000,
    "models": 500,
    "manifests": 1_000,
    "clients": 100,
    "laws": 10_000,
    "crowd": 1_000,
    "endless": 240.0,  # hours
    "stops": 3,
}
SHORT = {
    "sounds": 300,
    "models": 40,
    "manifests": 100,
    "clients": 20,
    "laws": 10,
    "crowd": 60,
    "endless": 0.1,
    "stops": 1,
}
UNTRAINED = tuple(job for job in stops.JOBS if "train" not in (job.words[0], *(words[0] for words in job.before)))


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/faults", description="Load, faults and bad input.")
    parser.add_argument("--short", action="store_true", help="few cases of each row")
    parser.add_argument(
        "--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=f"of {', '.join(ROWS)}"
    )
    parser.add_argument("--size", type=float, help="cases of each row that is chosen (hours of `endless`)")
    args = parser.parse_args(words)
    print(HEAD)
    lost = []
    for name in args.only:
        size = (SHORT if args.short else FULL)[name] if args.size is None else args.size
        tried = ROWS[name]
        if name == "stops" and args.short:
            tried = partial(stops.stops, jobs=UNTRAINED)
        with tempfile.TemporaryDirectory() as folder:
            for row in tried(Setting(size, Path(folder), find(DEFAULT_MODEL))):
                print(row, flush=True)
                lost += [f"{row.fault}: {sentence}" for sentence in row.lost]
    for sentence in lost:
        print(sentence, file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
