"""`kws compare`: train the models of a study side by side, and lay out the results."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.options import add_jobs_options, log_to_stderr
from kws.errors import going_on


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kws compare` to `parser`."""
    parser.description = "Train every model of a study with every seed, test it, and write the results as tables."
    parser.epilog = (
        "examples:\n"
        "  kws compare mixers data=FOLDER -o runs/mixers --jobs 2\n"
        "  kws compare mixers data=FOLDER -o runs/mixers --groups streaming xsa\n"
        "  kws compare mine.py data=FOLDER -o runs/mine --dask tcp://HOST:8786\n"
        "A comparison that was broken off goes on when the same command is given again."
    )
    parser.add_argument("study", help="a study that ships (mixers), or a .py file with a constant STUDY")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="fields of its recipe to change")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where runs and tables go")
    parser.add_argument("--groups", nargs="+", default=[], metavar="GROUP", help="only these of its groups")
    add_jobs_options(parser, default=1, jobs="trainings at a time on this machine", dask="train instead")


def run(args: argparse.Namespace) -> int:
    """Run the trainings that are missing, and print where the tables lie."""
    with going_on("the same command goes on with the runs that were finished"):
        from kws.train.process.waiting import wait_asleep

        wait_asleep()
        from kws.lab.comparison import compare, open_study  # torch takes seconds

        study = open_study(args.study, args.changes, args.groups, args.output)
        tables = compare(study, args.output, args.jobs, args.dask, log_to_stderr)
    if tables is not None:  # in the first of several processes of a training
        print(f"{tables}: {len(study.cells)} models; each run lies in {args.output.absolute() / 'cells'}")
    return 0
