"""The options that choose keywords, and the detectors that they mean: the same in every
verb that hears.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from kws.cli.options import add_after_pause_option, add_keyword_option, rate_per_hour

if TYPE_CHECKING:
    from kws.log import Log
    from kws.runtime.detector import Detector
    from kws.runtime.keywords import Threshold

FA_PER_HOUR = 0.5  # of a phrase that is typed


def add_keyword_options(parser: argparse.ArgumentParser) -> None:
    """--keyword, --only and --threshold, each of which may be repeated, --after-pause
    and --fa-per-hour; `open_detectors` reads them.
    """
    add_keyword_option(parser)
    add_after_pause_option(parser)
    add_own_keyword_options(parser)
    parser.add_argument(
        "--fa-per-hour",
        type=rate_per_hour,
        default=FA_PER_HOUR,
        metavar="RATE",
        help="false accepts per hour of each --keyword, for which its threshold is set (%(default)s) where the model "
        "has stored speech and no --threshold is given",
    )


def add_own_keyword_options(parser: argparse.ArgumentParser) -> None:
    """--only WORD and --threshold [WORD=]X, each of which may be repeated; stored as
    the lists `only` and `threshold`.
    """
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORD",
        help="of the model's own keywords hear this one alone (may be repeated)",
    )
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        type=_threshold,
        metavar="[WORD=]X",
        help="the threshold in (0, 1] of one keyword, or of all (may be repeated)",
    )


def open_detectors(args: argparse.Namespace, models: Sequence[str], say: Log, *, known: bool = False) -> list[Detector]:
    """The detectors of the models, with the options of `add_keyword_options`; --keyword
    adds to the first.

    models: without any, the shipped model that serves best (`unnamed_model`). say: gets
    the notes on added phrases. known: --keyword may name a keyword of the model's own.
    Raises KwsError for a model, a phrase or a word that cannot be used.
    """
    from kws.runtime.keywords import notes, only_these, open_detector, with_thresholds

    models = models or [unnamed_model(args, known=known)]
    detectors = [
        open_detector(model, [] if number else args.keyword, known=known) for number, model in enumerate(models)
    ]
    for note in notes(detectors[0], args.keyword):
        say(note)
    detectors[0] = calibrate(detectors[0], args.threshold, args.fa_per_hour, say)
    if args.only:
        detectors = only_these(detectors, args.only, args.keyword)
    detectors = with_thresholds(detectors, args.threshold)
    return [detector.said_after_pause() for detector in detectors] if args.after_pause else detectors


def unnamed_model(args: argparse.Namespace, *, known: bool = False) -> str:
    """The model where the user names none: `phones` for --keyword, or `wake-words` if
    --only or --threshold names one of its words.
    """
    from kws.lexicon.text import phrase_name
    from kws.runtime.keywords import model_for

    words = {*map(phrase_name, args.only), *(one.keyword for one in args.threshold if one.keyword is not None)}
    return model_for(args.keyword, words, known=known)


def calibrate(detector: Detector, thresholds: Collection[Threshold], fa_per_hour: float, say: Log) -> Detector:
    """The detector with thresholds for its added phrases, as `calibrate_added` finds
    them, and how long that took.
    """
    from time import perf_counter

    from kws.runtime.keywords import calibrate_added

    began = perf_counter()
    detector, said = calibrate_added(detector, thresholds, fa_per_hour)
    for line in said:
        say(line)
    if any(keyword.calibration for keyword in detector.keywords if keyword not in detector.info.keywords):
        say(f"thresholds set in {perf_counter() - began:.1f} s")
    return detector


def _threshold(text: str) -> Threshold:
    from kws.lexicon.text import phrase_name
    from kws.runtime.keywords import Threshold

    keyword, border, number = text.rpartition("=")
    if "=" in keyword or (border and not phrase_name(keyword)):
        raise argparse.ArgumentTypeError(f"'{text}' is neither WORD=X nor X, such as computer=0.4 or 0.4")
    with suppress(ValueError):  # no number
        if 0 < float(number) <= 1:
            return Threshold(phrase_name(keyword) if keyword else None, float(number))
    raise argparse.ArgumentTypeError(f"'{number}' is not a number in (0, 1]")
