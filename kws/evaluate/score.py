"""`kws score`: false rejects and false accepts of a model on recordings, in events, at every threshold."""

import argparse
import json
import sys
from pathlib import Path

from kws.data.manifest import rows_of
from kws.errors import KwsError
from kws.evaluate.metrics import Recording, at_rate, at_threshold, det, hours
from kws.evaluate.replay import replay
from kws.evaluate.report import rates_table, report_json
from kws.runtime.detect import add_keyword_argument, open_detector
from kws.runtime.detector import Detector
from kws.runtime.session import DEFAULT_MODEL


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws score`."""
    parser.description = (
        "Replay recordings through a model's stream and count, for every threshold, the keywords missed and the false "
        "accepts per hour. A keyword's negatives are all recordings in which it is not said."
    )
    parser.epilog = (
        "examples:\n"
        "  kws score --positives wake_words/manifest.csv@dev --negatives mini_librispeech@dev\n"
        "  kws score phones --keyword jarvis --positives P.csv --negatives N.csv\n"
        "  kws score model.onnx --positives P.csv --negatives N.csv FOLDER -o report"
    )
    add_audio_arguments(parser)
    add_keyword_argument(parser)
    parser.add_argument("--fa-per-hour", type=float, action="append", help="rates to print (default: 0.5 and 1)")
    parser.add_argument("-o", "--output", type=Path, help="folder for report.json with the whole DET curve")


def add_audio_arguments(parser: argparse.ArgumentParser) -> None:
    """What `score` and `calibrate` share."""
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, help=f"an .onnx file or a shipped model ({DEFAULT_MODEL})"
    )
    parser.add_argument(
        "--positives",
        nargs="+",
        default=[],
        help="manifests, or MANIFEST@SPLIT; a row whose text is a keyword is a positive",
    )
    parser.add_argument(
        "--negatives", nargs="+", default=[], help="manifests, MANIFEST@SPLIT or folders of other audio"
    )
    parser.add_argument("--silence", type=float, default=1.0, help="seconds of silence around each clip (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Scores, prints a table, writes the report."""
    detector = open_detector(args.model, args.keyword)
    recordings = listen(detector, args)
    if not any(recording.keyword for recording in recordings):
        raise KwsError("none of the recordings says a keyword of the model: check --positives and its text column")
    names = [keyword.name for keyword in detector.keywords]
    refractory = detector.manifest.scoring.refractory_frames
    curves = [list(det(recordings, names, index, refractory)) for index in range(len(names))]
    shipped = [at_threshold(curve, k.threshold) for curve, k in zip(curves, detector.keywords, strict=True)]
    print(f"at the model's own thresholds\n{rates_table(shipped)}")
    for rate in args.fa_per_hour or [0.5, 1.0]:
        print(f"\nat the lowest thresholds with at most {rate} FA/h each")
        print(rates_table([at_rate(curve, rate) for curve in curves]))
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        path = args.output / "report.json"
        path.write_text(json.dumps(report_json(detector.manifest, curves, args), indent=1), encoding="utf-8")
        print(f"\nwritten: {path}")
    return 0


def listen(detector: Detector, args: argparse.Namespace) -> list[Recording]:
    """The recordings that the arguments name, replayed."""
    rows = rows_of([*args.positives, *args.negatives])
    recordings: list[Recording] = []
    for recording in replay(detector, rows, args.silence, lambda line: print(line, file=sys.stderr)):
        recordings.append(recording)
        if sys.stderr.isatty():
            print(f"\r{len(recordings)}/{len(rows)} recordings", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if not recordings:
        raise KwsError("there is no recording to hear: give --positives or --negatives, and check their splits")
    print(
        f"{len(recordings)} recordings, {hours(recordings):.2f} h, {len(rows) - len(recordings)} skipped",
        file=sys.stderr,
    )
    return recordings
