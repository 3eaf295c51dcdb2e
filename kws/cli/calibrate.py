"""`kws calibrate`: sets thresholds for a rate of false accepts, and writes them into a
model file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.options import add_model_argument, log_to_stderr, not_negative
from kws.cli.score import add_audio_options
from kws.errors import KwsError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Set each keyword's threshold to the lowest with at most the given false accepts per hour on development "
        "audio, and write it into the model file. Positives only show what that costs. Where the audio is too little "
        "to show that rate it says so, and where it tells nothing the threshold is the model's default."
    )
    parser.epilog = (
        "examples:\n"
        "  kws calibrate model.onnx --fa-per-hour 0.5 --negatives an4@dev my_radio\n"
        "  kws calibrate wake-words --fa-per-hour 0.5 --negatives my_radio -o mine.onnx"
    )
    add_model_argument(parser)
    add_audio_options(parser)
    parser.add_argument(
        "--fa-per-hour", type=not_negative, required=True, help="false accepts per hour, of each keyword"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the .onnx file to write (default: the model's own)"
    )


def run(args: argparse.Namespace) -> int:
    """Calibrates, prints what the thresholds cost, and writes the model file."""
    from kws.evaluate.count.thresholds import destination, notes, operating_points, store
    from kws.evaluate.replay.conditions import Rules
    from kws.evaluate.replay.named import replay_named
    from kws.evaluate.replay.systems import KwsSystem, SystemSpec, open_system
    from kws.evaluate.report.points import operating_point, pooled
    from kws.evaluate.report.text import counts_table

    if not args.negatives:
        raise KwsError("thresholds rest on false accepts: give --negatives, hours of audio without the keywords")
    spec = SystemSpec(args.model)
    system = open_system(spec)
    if not isinstance(system, KwsSystem):
        raise KwsError(f"{args.model} is not a model of kws: only its thresholds can be written")
    model, target = system.detector.model.path, args.fa_per_hour
    output = destination(model, args.output)
    recordings = replay_named(
        spec,
        args.positives,
        args.negatives,
        rules=Rules(args.silence),
        jobs=args.jobs,
        dask=args.dask,
        skipped=[],
        log=log_to_stderr,
    )
    rates = operating_points(system, recordings, target)
    if said := [rate.keyword for rate in rates if not rate.hours]:
        raise KwsError(f"every recording says {', '.join(said)}: give --negatives that do not")
    if deaf := [rate.keyword for rate in rates if rate.positives and rate.misses == rate.positives]:
        raise KwsError(
            f"no threshold that this audio allows hears {', '.join(deaf)} at {target:g} FA/h: nothing was written"
        )
    data = ", ".join(Path(source).name for source in [*args.positives, *args.negatives])
    store(model, system.detector.info, rates, target, data, output)
    rows = [(rate.keyword, operating_point(rate, target)) for rate in rates]
    print(*counts_table([*rows, ("all", pooled(rates, target))] if len(rows) > 1 else rows), sep="\n")
    print(*notes(rates, target, system.detector.info.scoring.default_threshold), f"written: {output}", sep="\n")
    return 0
