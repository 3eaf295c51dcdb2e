"""`kws serve`: wake words for Home Assistant and whatever else speaks the Wyoming protocol."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from typing import NamedTuple

from kws.errors import KwsError
from kws.lexicon import phrase_name
from kws.runtime.detect import add_keyword_argument, open_detector
from kws.runtime.detector import Detector
from kws.runtime.session import DEFAULT_MODEL

_EXAMPLES = """examples:
  kws serve
  kws serve --uri tcp://0.0.0.0:10400 --threshold computer=0.6
  kws serve phones --keyword "good morning=G UH D M AO R N IH NG"
  kws serve --uri stdio://

Home Assistant: Settings, Devices & services, Add integration, Wyoming Protocol; then this machine's name and the port.
The protocol has no password: open the port to machines that you trust, and to no others.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kws serve`."""
    parser.description = (
        "Hear keywords for other programs, by the Wyoming protocol, until SIGTERM or Ctrl-C. Sound is neither kept\n"
        "nor sent on. What happens is said on standard error."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help=f"models, by path or name ({DEFAULT_MODEL}); --keyword adds to the first",
    )
    parser.add_argument(
        "--uri",
        default="tcp://127.0.0.1:10400",
        help="tcp://HOST:PORT (%(default)s: this machine only; tcp://0.0.0.0:10400: everybody), or stdio://",
    )
    add_keyword_argument(parser)
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        type=_threshold,
        metavar="[KEYWORD=]X",
        help="the threshold in (0, 1] of one keyword, or of all (may be repeated)",
    )


class _Threshold(NamedTuple):
    keyword: str | None  # None: every keyword
    value: float


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; 0 after SIGTERM and at the end of the input."""
    from kws.demo.service.offer import Offer
    from kws.demo.service.server import serve

    def log(line: str) -> None:
        print(f"kws: {line}", file=sys.stderr, flush=True)

    models = args.models or [DEFAULT_MODEL]
    detectors = [open_detector(model, [] if number else args.keyword) for number, model in enumerate(models)]
    offer = Offer(_with_thresholds(detectors, args.threshold))
    log(f"hears {', '.join(sorted(offer.names))}")
    if asyncio.run(serve(args.uri, offer, log)):
        raise KeyboardInterrupt
    return 0


def _threshold(text: str) -> _Threshold:
    keyword, _, number = text.rpartition("=")
    value = float(number)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{number} is not in (0, 1]")
    return _Threshold(phrase_name(keyword) if keyword else None, value)


def _with_thresholds(detectors: list[Detector], thresholds: list[_Threshold]) -> list[Detector]:
    """The detectors with thresholds changed one after the other."""
    for threshold in thresholds:
        names = [keyword.name for detector in detectors for keyword in detector.keywords]
        if threshold.keyword is not None and threshold.keyword not in names:
            raise KwsError(f"--threshold is for '{threshold.keyword}', and the keywords are {', '.join(names)}")
        detectors = [
            Detector(
                detector.model,
                [
                    replace(keyword, threshold=threshold.value, calibration=None)
                    if threshold.keyword in (None, keyword.name)
                    else keyword
                    for keyword in detector.keywords
                ],
            )
            for detector in detectors
        ]
    return detectors
