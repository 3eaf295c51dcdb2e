"""`kws score`: false rejects and false accepts of a model, or of another engine, in events, at every threshold."""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from kws.audio import Samples
from kws.cli.options import add_keyword_option
from kws.errors import KwsError
from kws.evaluate.count.compare import compare, read_report
from kws.evaluate.count.metrics import hours
from kws.evaluate.replay.conditions import ROOM, Rules, excerpt, parse_condition, sound_files, with_sound
from kws.evaluate.replay.many import replay_all
from kws.evaluate.replay.recording import CLEAN, Recording
from kws.evaluate.replay.sources import sources_of, under_conditions
from kws.evaluate.replay.systems import ENGINES, SystemSpec, open_system
from kws.evaluate.report.build import SCHEMA, Scoring
from kws.evaluate.report.events_csv import write_events
from kws.evaluate.report.page.document import write_page
from kws.evaluate.report.page.figures import write_figures
from kws.evaluate.report.text import as_text, comparison_text
from kws.lexicon import says
from kws.runtime.shipped import DEFAULT_MODEL
from kws.units import samples, seconds

RATES = (0.05, 0.1, 0.5, 1.0)  # FA/h at which false rejects are told
NOISES = ("20 dB", "10 dB", "5 dB", "0 dB")
_LONGEST_PAUSE_S = 600.0
_POSSIBLE_RATES = (1e-6, 1e6)  # what a century could show, and more than there are frames
_ROUNDED_S = 0.1  # by which a label may end after its recording

_EXAMPLES = """examples:
  kws score --positives wake_words/manifest.csv@dev --negatives mini_librispeech@dev -o report
  kws score model.onnx --positives P.csv --negatives N.csv RADIO_FOLDER --noise noise@dev -o report
  kws score phones --keyword jarvis --positives P.csv --negatives N.csv --confusables near_misses.csv
  kws score new.onnx --positives P.csv --negatives N.csv --against report -o report-of-new
  kws score openwakeword --keyword alexa --positives P.csv --negatives N.csv
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws score`."""
    parser.description = (
        "Replay recordings through a model's stream, or another engine's, and count, for every threshold, the keywords "
        "missed and the false accepts per hour. A keyword's negatives are all recordings in which it is not said."
    )
    parser.epilog = _EXAMPLES
    add_audio_arguments(parser)
    add_keyword_option(parser)
    parser.add_argument(
        "--confusables", nargs="+", default=[], metavar="SOURCE", help="near misses, counted apart, not in the hours"
    )
    parser.add_argument("--noise", metavar="SOURCE", help="noise to mix the positives with: folder or MANIFEST[@SPLIT]")
    parser.add_argument("--rooms", metavar="SOURCE", help="room responses to hear the positives in (`kws data rooms`)")
    parser.add_argument(
        "--conditions",
        nargs="+",
        metavar="CONDITION",
        help=f"clean is always among them (default: {', '.join(NOISES)} with --noise, {ROOM} with --rooms)",
    )
    parser.add_argument("--seed", type=_whole(0), default=0, help="of what noise meets what recording (default: 0)")
    parser.add_argument(
        "--fa-per-hour", type=_rate, nargs="+", default=list(RATES), metavar="RATE", help="rates to tell misses at"
    )
    parser.add_argument("--against", type=Path, metavar="DIR", help="an earlier report to compare with, clip by clip")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="for report.json, events.csv, report.html and figures; goes on there",
    )


def add_audio_arguments(parser: argparse.ArgumentParser) -> None:
    """What `score` and `calibrate` share."""
    parser.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        help=f"an .onnx file or a shipped model ({DEFAULT_MODEL}); of score also {', '.join(ENGINES)} or FILE.py:CLASS",
    )
    parser.add_argument(
        "--positives",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="manifests, or MANIFEST@SPLIT; a row whose text is a keyword is a positive",
    )
    parser.add_argument(
        "--negatives",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="manifests, MANIFEST@SPLIT or folders of other audio",
    )
    parser.add_argument("--silence", type=_pause, default=1.0, help="seconds around each clip (default: 1)")
    parser.add_argument("--jobs", type=_whole(1), metavar="N", help="processes (default: a core each)")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="replay on the workers of this Dask scheduler (tcp://HOST:8786)"
    )


def _whole(least: int) -> Callable[[str], int]:
    """What reads a whole number of at least `least`."""

    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return int(text)

    return number


def not_negative(text: str) -> float:
    """Reads a number that is neither negative nor infinite."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return value


def _pause(text: str) -> float:
    if not 0 <= float(text) <= _LONGEST_PAUSE_S:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to {_LONGEST_PAUSE_S:g}")
    return float(text)


def _rate(text: str) -> float:
    low, high = _POSSIBLE_RATES
    if not low <= float(text) <= high:
        raise argparse.ArgumentTypeError(f"{text} is no rate of false accepts per hour: those are {low:g} to {high:g}")
    return float(text)


def run(args: argparse.Namespace) -> int:
    """Scores, prints tables, writes the report. What cannot be compared is told when all of that is done."""
    against = read_report(args.against) if args.against else None
    spec = SystemSpec(args.model, tuple(args.keyword))
    unusable: list[str] = []
    rules, conditions = rules_of(args, unusable)
    recordings, skipped = listen(spec, args, rules, conditions)
    scoring = Scoring(open_system(spec), recordings, sorted(set(args.fa_per_hour)), rules)
    report = {**head(scoring, args, [*unusable, *skipped]), **scoring.as_json(), "comparison": None}
    refused = None
    if against:
        try:
            report["comparison"] = compare(report, against, args.seed)
        except KwsError as error:
            refused = error
    print(as_text(report))
    if report["comparison"]:
        print(f"\n{comparison_text(report['comparison'])}")
    if args.output:
        print(f"\nwritten: {', '.join(map(str, write(report, scoring, args.output)))}")
    if refused:
        raise refused
    return 0


def write(report: dict[str, Any], scoring: Scoring, folder: Path) -> list[Path]:
    """The report as JSON, its events as a table, as a page with the sound of what went wrong, and as figures; returns
    what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    json_path, table, page = folder / "report.json", folder / "events.csv", folder / "report.html"
    json_path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    write_events(scoring, table)
    sources = {(str(r.source.audio), r.source.condition): r.source for r in scoring.recordings}

    def sound(audio: str, condition: str, start_s: float, end_s: float) -> Samples:
        return excerpt(sources[audio, condition], scoring.rules, start_s, end_s)

    write_page(report, sound, page)
    return [json_path, table, page, *write_figures(report, folder)]


def rules_of(args: argparse.Namespace, unusable: list[str]) -> tuple[Rules, list[str]]:
    """How the recordings are heard, and under which conditions besides clean.

    `unusable` gets a line, which is printed too, for each noise or room that nothing can be mixed with.
    """
    noise = with_sound(sound_files(args.noise), unusable) if args.noise else ()
    rooms = with_sound(sound_files(args.rooms), unusable) if args.rooms else ()
    for line in unusable:
        print(f"skipped: {line}", file=sys.stderr)
    usual = [*(NOISES if noise else ()), *([ROOM] if rooms else [])]
    asked = [parse_condition(text) for text in args.conditions] if args.conditions else usual
    for condition in asked:
        if condition != CLEAN and not (rooms if condition == ROOM else noise):
            raise KwsError(f"the condition {condition} needs {'--rooms' if condition == ROOM else '--noise'}")
    return Rules(args.silence, args.seed, noise, rooms), list(dict.fromkeys(asked))


def listen(
    spec: SystemSpec, args: argparse.Namespace, rules: Rules, conditions: list[str]
) -> tuple[list[Recording], list[str]]:
    """The recordings that the arguments name, replayed, and a line for each that was skipped."""
    repeated: list[str] = []
    sources = sources_of(args.positives, args.negatives, getattr(args, "confusables", []), repeated)
    skipped: list[str] = []
    output, keywords = getattr(args, "output", None), open_system(spec).keywords
    said = {label.text for source in sources for label in source.labels}
    if args.positives and sources and not any(says(text, keyword) for text in said for keyword in keywords):
        raise KwsError("none of the recordings says a keyword of the model: check --positives and its text column")
    replayed = replay_all(
        spec,
        under_conditions(sources, conditions, keywords),
        rules,
        store=output / "replay.db" if output else None,
        jobs=args.jobs,
        dask=args.dask,
        skipped=skipped,
    )
    recordings = list(_labelled_inside(replayed, skipped))
    for line in repeated:
        print(line, file=sys.stderr)
    for line in skipped:
        print(f"skipped: {line}", file=sys.stderr)
    if not recordings:
        raise KwsError("there is no recording to hear: give --positives or --negatives, and check their splits")
    clean = [recording for recording in recordings if recording.source.condition == CLEAN]
    print(f"{len(clean)} recordings, {hours(clean):.2f} h, {len(sources) - len(clean)} skipped", file=sys.stderr)
    return recordings, skipped


def _labelled_inside(recordings: Iterable[Recording], skipped: list[str]) -> Iterator[Recording]:
    """The recordings whose labels lie in them; `skipped` gets a line for each other one."""
    for recording in recordings:
        latest = max(recording.source.labels, key=lambda label: label.end or 0, default=None)
        if latest is None or (latest.end or 0) <= recording.samples + samples(_ROUNDED_S):
            yield recording
        elif recording.source.condition == CLEAN:
            ends = f"ends at {seconds(latest.end or 0):.2f} s in its manifest"
            skipped.append(
                f"{recording.source.audio} has {seconds(recording.samples):.2f} s, and '{latest.text}' {ends}"
            )


def head(scoring: Scoring, args: argparse.Namespace, skipped: list[str]) -> dict[str, Any]:
    """What was scored, on what, and by which rules."""
    return {
        "schema": SCHEMA,
        "system": scoring.system.about(),
        "command": shlex.join(["kws", *sys.argv[1:]]),
        "data": {
            "positives": args.positives,
            "negatives": args.negatives,
            "confusables": args.confusables,
            "noise": args.noise,
            "rooms": args.rooms,
            **scoring.data(),
            "skipped": skipped,
        },
        "rules": scoring.rules_json(),
    }
