"""`kws serve`: wake words for Home Assistant and whatever else speaks the Wyoming
protocol.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from kws.cli import options
from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.metadata import Keyword
    from kws.runtime.detector import Detector

_EXAMPLES = """examples:
  kws serve
  kws serve --uri tcp://0.0.0.0:10400 --threshold computer=0.6
  kws serve phones --keyword "good morning=G UH D M AO R N IH NG"
  kws serve --uri stdio://

Home Assistant: Settings, Devices & services, Add integration, Wyoming Protocol; then this machine's name and the port.
The protocol has no password: open the port to machines that you trust, and to no others.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Hear keywords for other programs, by the Wyoming protocol, until SIGTERM or Ctrl-C. Sound is neither kept\n"
        "nor sent on. What happens is said on standard error."
    )
    parser.epilog = _EXAMPLES
    options.add_models_argument(parser, f"{options.DEFAULT_MODEL}; --keyword adds to the first")
    parser.add_argument(
        "--uri",
        default="tcp://127.0.0.1:10400",
        help="tcp://HOST:PORT (%(default)s: this machine only; tcp://0.0.0.0:10400: everybody), or stdio://",
    )
    options.add_keyword_option(parser)
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

    def of(self, keyword: Keyword) -> Keyword:
        """The keyword with this threshold, if it is the one that is meant."""
        return replace(keyword, threshold=self.value, calibration=None) if self.concerns(keyword) else keyword

    def concerns(self, keyword: Keyword) -> bool:
        return self.keyword in (None, keyword.name)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; 0 after SIGTERM and at the end of the input."""
    import asyncio

    from kws.runtime.keywords import open_detector
    from kws.wyoming.catalog import Catalog
    from kws.wyoming.server import serve

    def log(line: str) -> None:
        with suppress(OSError):  # whoever read it may have gone
            print(f"kws: {line}", file=sys.stderr, flush=True)

    models = args.models or [options.DEFAULT_MODEL]
    detectors = [open_detector(model, [] if number else args.keyword) for number, model in enumerate(models)]
    catalog = Catalog(_with_thresholds(detectors, args.threshold))
    log(f"hears {', '.join(sorted(catalog.names))}")
    if asyncio.run(serve(args.uri, catalog, log)):
        raise KeyboardInterrupt
    return 0


def _threshold(text: str) -> _Threshold:
    from kws.lexicon import phrase_name

    keyword, _, number = text.rpartition("=")
    with suppress(ValueError):  # no number
        if 0 < float(number) <= 1:
            return _Threshold(phrase_name(keyword) if keyword else None, float(number))
    raise argparse.ArgumentTypeError(f"'{number}' is not a number in (0, 1]")


def _with_thresholds(detectors: list[Detector], thresholds: list[_Threshold]) -> list[Detector]:
    """The detectors with thresholds changed one after the other."""
    from kws.runtime.detector import Detector

    for threshold in thresholds:
        keywords = [keyword for detector in detectors for keyword in detector.keywords]
        if not any(map(threshold.concerns, keywords)):
            names = ", ".join(keyword.name for keyword in keywords)
            raise KwsError(f"--threshold is for '{threshold.keyword}', and the keywords are {names}")
        detectors = [Detector(detector.model, list(map(threshold.of, detector.keywords))) for detector in detectors]
    return detectors
