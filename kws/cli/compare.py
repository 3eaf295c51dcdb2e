"""`kws compare`: train and test every model of a study with every seed, and write tables of the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws compare`."""
    parser.description = "Train every model of a study with every seed, test it, and write what came of it as tables."
    parser.epilog = (
        "examples:\n"
        "  kws compare mixers data=FOLDER -o runs/mixers --jobs 2\n"
        "  kws compare mixers data=FOLDER -o runs/mixers --groups streaming xsa\n"
        "  kws compare my_study.py data=FOLDER steps=6000 model.width=128 -o runs/larger --dask tcp://HOST:8786\n"
        "A comparison that was broken off goes on when the same command is given again."
    )
    parser.add_argument("study", help="a study that ships (mixers), or a .py file with a constant STUDY")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="fields of its recipe to change")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where runs and tables go")
    parser.add_argument("--groups", nargs="+", default=[], metavar="GROUP", help="only these of its groups")
    # Not add_jobs_options: here too small a number is told with exit code 1, as ever.
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time on this machine (default: 1)")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that does the trainings instead")


def run(args: argparse.Namespace) -> int:
    """Run what is missing of the comparison, and say where its tables lie."""
    from kws.errors import KwsError

    if args.jobs < 1:
        raise KwsError(f"--jobs {args.jobs}: at least one training must run at a time")
    from kws.lab.comparison import compare, open_study  # torch takes seconds

    study = open_study(args.study, args.changes, args.groups, args.output)
    told = compare(study, args.output, args.jobs, args.dask, say)
    if told is not None:
        print(told)
    return 0


def say(line: str) -> None:
    """Print a progress line to stderr."""
    print(line, file=sys.stderr, flush=True)
