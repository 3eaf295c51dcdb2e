"""`kws score`: false rejects and false accepts of a model, or of another engine, in
events, at every threshold.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli.keywords import FA_PER_HOUR, add_own_keyword_options, calibrate, unnamed_model
from kws.cli.options import (
    add_after_pause_option,
    add_jobs_options,
    add_keyword_option,
    add_model_argument,
    add_pickup_options,
    add_source_option,
    log_to_stderr,
    pause_s,
    pickup,
    rate_per_hour,
    whole_number,
)
from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.evaluate.replay.systems import System, SystemSpec
    from kws.evaluate.report.model import Report

RATES = (0.05, 0.1, 0.5, 1.0)  # FA/h at which false rejects are told

_EXAMPLES = """examples:
  kws score --positives wake_words@dev --negatives an4@dev -o report
  kws score mine.onnx --positives P.csv --negatives N.csv RADIO --noise DIR
  kws score phones --keyword jarvis --positives P.csv --confusables LIKE_IT.csv
  kws score --only computer --threshold computer=0.4 --negatives N.csv
  kws score new.onnx --positives P.csv --negatives N.csv --against report -o new
  kws score openwakeword --keyword alexa --positives P.csv --negatives N.csv
"""


def configure(parser: argparse.ArgumentParser) -> None:
    from kws.evaluate.replay.engines import ENGINES

    parser.description = (
        "Replay recordings through a model's stream, or another engine's, and count, for every threshold, the keywords "
        "missed and the false accepts per hour. A keyword's negatives are all recordings in which it is not said."
    )
    parser.epilog = _EXAMPLES
    add_model_argument(parser, also=f", {', '.join(ENGINES)}, or an adapter FILE.py:CLASS", takes_phrases=True)
    add_audio_options(parser)
    add_keyword_option(parser)
    add_source_option(parser, "--confusables", "phrases that sound like a keyword; counted apart, not in the hours")
    add_after_pause_option(parser)
    add_own_keyword_options(parser)
    add_pickup_options(parser, "every recording")
    parser.add_argument(
        "--gate",
        action="store_true",
        help="let the model sleep while it is quiet, as `kws listen` and `kws serve` do",
    )
    parser.add_argument("--noise", metavar="SOURCE", help="noise to mix the positives with")
    parser.add_argument(
        "--rooms", metavar="SOURCE", help="room impulse responses for the positives (`kws data get rooms`)"
    )
    parser.add_argument(
        "--conditions",
        nargs="+",
        metavar="CONDITION",
        help="what positives are heard under besides clean: 10dB (noise), room, cold (the stream begins with the "
        "word), -45dBFS (quiet), 8kHz (telephone) (default: 20, 10, 5 and 0 dB with --noise, room with --rooms)",
    )
    parser._negative_number_matcher = re.compile(r"-\d")  # -45dBFS is a condition, not an option
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="of which noise meets which recording (default: 0)"
    )
    parser.add_argument(
        "--fa-per-hour",
        type=rate_per_hour,
        nargs="+",
        default=list(RATES),
        metavar="RATE",
        help="rates to tell misses at; a typed phrase's own threshold is for 0.5, or the lowest where that is not one",
    )
    parser.add_argument("--against", type=Path, metavar="DIR", help="an earlier report to compare with, clip by clip")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="for report.json, events.csv, report.html and figures; goes on there",
    )


def add_audio_options(parser: argparse.ArgumentParser) -> None:
    """--positives, --negatives, --silence, --jobs and --dask: the audio that `score`
    and `calibrate` replay, and the machines that do it.
    """
    add_source_option(
        parser, "--positives", "manifests, or MANIFEST@SPLIT; a row whose text is a keyword is a positive"
    )
    add_source_option(parser, "--negatives", "manifests, MANIFEST@SPLIT or folders of other audio")
    parser.add_argument("--silence", type=pause_s, default=1.0, help="seconds around each clip (default: 1)")
    add_jobs_options(parser)


def run(args: argparse.Namespace) -> int:
    """Scores, prints tables, writes the report. A comparison that is refused raises
    after all of that is done.
    """
    from kws.evaluate.replay.named import conditions_of, mixing_rules, replay_named
    from kws.evaluate.report.build import Evaluation, Named
    from kws.evaluate.report.compare import read_report
    from kws.evaluate.report.text import as_text, comparison_text
    from kws.evaluate.report.write import write_report

    against = read_report(args.against) if args.against else None
    spec, system = _opened(args)
    unusable: list[str] = []
    rules = mixing_rules(args.silence, args.seed, args.noise, args.rooms, unusable, pickup(args))
    for line in unusable:
        log_to_stderr(f"skipped: {line}")
    skipped: list[str] = []
    recordings = replay_named(
        spec,
        args.positives,
        args.negatives,
        args.confusables,
        rules=rules,
        conditions=conditions_of(rules, args.conditions),
        store=args.output / "replay.db" if args.output else None,
        jobs=args.jobs,
        dask=args.dask,
        skipped=skipped,
        log=log_to_stderr,
    )
    evaluation = Evaluation(system, recordings, sorted(set(args.fa_per_hour)), rules)
    named = Named(args.positives, args.negatives, args.confusables, args.noise, args.rooms)
    report = evaluation.report(shlex.join(["kws", *sys.argv[1:]]), named, [*unusable, *skipped])
    report, refused = _compared(report, against, args.seed)
    print(as_text(report))
    if report.comparison:
        print(f"\n{comparison_text(report.comparison)}")
    if args.output:
        print(f"\nwritten: {', '.join(map(str, write_report(report, evaluation, args.output)))}")
    if refused:
        raise refused
    return 0


def _opened(args: argparse.Namespace) -> tuple[SystemSpec, System]:
    """The system to score, with the keywords and thresholds that are asked for; typed
    phrases of a model of kws have their own.
    """
    from kws.evaluate.replay.recording import FLOOR
    from kws.evaluate.replay.systems import KwsSystem, SystemSpec, open_system
    from kws.runtime.keywords import notes, with_thresholds

    model = args.model or unnamed_model(args)
    spec = SystemSpec(model, tuple(args.keyword), args.gate, args.after_pause, tuple(args.only))
    for option in ("gate", "after_pause", "only", "threshold"):
        if spec.is_engine and getattr(args, option):
            name = f"--{option.replace('_', '-')}"
            raise KwsError(f"{name} is of models of kws, and {spec.model} is an engine of others")
    for threshold in args.threshold:
        if threshold.value < FLOOR:  # told before hours are replayed
            raise KwsError(f"--threshold {threshold.value:g}: thresholds below {FLOOR} cannot be counted")
    system = open_system(spec)
    if not isinstance(system, KwsSystem):
        return spec, system
    for note in notes(system.detector, args.keyword):
        log_to_stderr(note)
    rate = FA_PER_HOUR if FA_PER_HOUR in args.fa_per_hour else min(args.fa_per_hour)
    detector = calibrate(system.detector, args.threshold, rate, log_to_stderr)
    return spec, KwsSystem(*with_thresholds([detector], args.threshold))


def _compared(report: Report, against: Report | None, seed: int) -> tuple[Report, KwsError | None]:
    """The report with its comparison to another, or why that is refused."""
    from kws.evaluate.report.compare import compare

    if against is None:
        return report, None
    try:
        return dataclasses.replace(report, comparison=compare(report, against, seed)), None
    except KwsError as error:
        return report, error
