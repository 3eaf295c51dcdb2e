"""`kws calibrate`: thresholds for a rate of false accepts, written into the model file with their provenance."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kws.bundle import Calibration, Manifest, embed
from kws.errors import KwsError, require
from kws.evaluate.conditions import Rules
from kws.evaluate.matching import Counting
from kws.evaluate.metrics import KeywordRates, rates_at
from kws.evaluate.report import point_json, pooled_json
from kws.evaluate.score import add_audio_arguments, listen, not_negative
from kws.evaluate.summary import counts_table
from kws.evaluate.systems import KwsSystem, SystemSpec, open_system


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws calibrate`."""
    parser.description = (
        "Set each keyword's threshold to the lowest with at most the given false accepts per hour on development "
        "audio, and write it into the model file. Positives only show what that costs."
    )
    parser.epilog = (
        "example:\n  kws calibrate model.onnx --fa-per-hour 0.5 --negatives mini_librispeech@dev my_radio_recordings"
    )
    add_audio_arguments(parser)
    parser.add_argument(
        "--fa-per-hour", type=not_negative, required=True, help="false accepts per hour, of each keyword"
    )


def run(args: argparse.Namespace) -> int:
    """Calibrates and rewrites the model file in place."""
    spec = SystemSpec(args.model)
    system = open_system(spec)
    if not isinstance(system, KwsSystem):
        raise KwsError(f"{args.model} is not a model of kws: only its thresholds can be written")
    recordings, _ = listen(spec, args, Rules(args.silence), [])
    rates = rates_at(recordings, system.keywords, args.fa_per_hour, Counting.of(system))
    if deaf := [rate.keyword for rate in rates if rate.positives and rate.misses == rate.positives]:
        raise KwsError(f"no threshold hears {', '.join(deaf)} at {args.fa_per_hour} FA/h: nothing was written")
    data = ", ".join(Path(source).name for source in [*args.positives, *args.negatives])
    store(system.detector.model.path, system.detector.manifest, rates, args.fa_per_hour, data)
    rows = [(rate.keyword, point_json(rate, args.fa_per_hour)) for rate in rates]
    print(*counts_table([*rows, ("all", pooled_json(rates, args.fa_per_hour))] if len(rows) > 1 else rows), sep="\n")
    return 0


def store(path: Path, manifest: Manifest, rates: Sequence[KeywordRates], fa_per_hour: float, data: str) -> None:
    """Writes thresholds, and what they rest on, into the model file `path` that holds `manifest`."""
    onnx = require("onnx", extra="score")
    keywords = tuple(
        dataclasses.replace(
            keyword,
            threshold=rate.threshold,
            calibration=Calibration(fa_per_hour, rate.false_accepts, rate.hours, data),
        )
        for keyword, rate in zip(manifest.keywords, rates, strict=True)
    )
    proto = onnx.load(path)
    embed(proto, dataclasses.replace(manifest, keywords=keywords))
    partial = path.with_suffix(".partial")
    onnx.save(proto, partial)
    partial.replace(path)
