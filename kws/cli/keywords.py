"""The options that say what to hear, and the detectors that they mean: the same in every
verb that hears.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from kws.cli.options import add_keyword_option

if TYPE_CHECKING:
    from kws.log import Log
    from kws.runtime.detector import Detector
    from kws.runtime.keywords import Threshold


def add_keyword_options(parser: argparse.ArgumentParser) -> None:
    """--keyword, --only and --threshold, each of which may be repeated; `open_detectors`
    reads them.
    """
    add_keyword_option(parser)
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

    say: gets what should be known of added phrases. known: --keyword may name a keyword
    of the model's own. Raises KwsError for a model, a phrase or a word that cannot be
    used.
    """
    from kws.runtime.keywords import notes, only_these, open_detector, with_thresholds

    detectors = [
        open_detector(model, [] if number else args.keyword, known=known) for number, model in enumerate(models)
    ]
    for note in notes(detectors[0], args.keyword):
        say(note)
    if args.only:
        detectors = only_these(detectors, args.only, args.keyword)
    return with_thresholds(detectors, args.threshold)


def _threshold(text: str) -> Threshold:
    from kws.lexicon import phrase_name
    from kws.runtime.keywords import Threshold

    keyword, _, number = text.rpartition("=")
    with suppress(ValueError):  # no number
        if 0 < float(number) <= 1:
            return Threshold(phrase_name(keyword) if keyword else None, float(number))
    raise argparse.ArgumentTypeError(f"'{number}' is not a number in (0, 1]")
