"""`kws serve`: wake words for Home Assistant and whatever else speaks the Wyoming
protocol.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kws import __version__
from kws.cli import options
from kws.cli.keywords import add_keyword_options, open_detectors, unnamed_model
from kws.errors import InputError, KwsError

if TYPE_CHECKING:
    from kws.log import Log
    from kws.wyoming.catalog import Catalog

_EXAMPLES = """examples:
  kws serve
  kws serve --uri tcp://0.0.0.0:10400 --zeroconf --threshold computer=0.6
  kws serve phones --keyword "good morning=G UH D - M AO R N IH NG"
  kws serve --uri unix:///run/kws.sock --custom-model-dir MY_MODELS
  kws serve --uri stdio://

Home Assistant: Settings, Devices & services, Add integration, Wyoming Protocol; then this machine's name and the port.
With --zeroconf Home Assistant finds the server by itself. The protocol has no password: open the port to machines that
you trust, and to no others.

The options of wyoming-openwakeword are understood. Those that could not do here what they do there are refused.
"""

# Options of wyoming-openwakeword (version 2.1 and older) that kws could only pass over, and what serves instead.
_ELSEWHERE = {
    "--log-format": "lines of the log have one form",
    "--model": "models stand without an option: kws serve MODEL ...",
    "--models-dir": "the models of openWakeWord are not heard here; --custom-model-dir names a folder of models of kws",
    "--output-dir": "the server keeps no sound; kws listen --record DIR keeps that of a microphone",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Hear keywords for other programs, by the Wyoming protocol, until SIGTERM or Ctrl-C. Sound is neither kept\n"
        "nor sent on. What happens is said on standard error."
    )
    parser.epilog = _EXAMPLES + options.PEAK_HELP
    options.add_models_argument(parser, f"{options.UNNAMED}; --keyword adds to the first")
    parser.add_argument(
        "--uri",
        default="tcp://127.0.0.1:10400",
        help="tcp://HOST:PORT (%(default)s: this machine only; tcp://0.0.0.0:10400: everybody), unix:///PATH: a socket "
        "of this machine, or stdio://",
    )
    add_keyword_options(parser)
    options.add_pickup_options(parser, "every client")
    parser.add_argument(
        "--custom-model-dir",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="hear the keywords of every .onnx model in this folder, too (may be repeated)",
    )
    parser.add_argument(
        "--preload-model",
        action="append",
        default=[],
        metavar="WORD",
        help="see that this keyword is heard; all are loaded at the start anyway",
    )
    parser.add_argument(
        "--refractory-seconds",
        type=options.not_negative,
        default=0.0,
        metavar="S",
        help="the least time between two detections of a keyword, beyond the second that the models have",
    )
    parser.add_argument(
        "--trigger-level",
        type=int,
        default=1,
        metavar="N",
        help="1 and nothing else: a keyword is detected once, when its score reaches the threshold",
    )
    parser.add_argument(
        "--zeroconf",
        nargs="?",
        const="kws",
        metavar="NAME",
        help="tell the local network of the server, under this name (kws); needs the extra zeroconf",
    )
    parser.add_argument(
        "--debug",
        "--debug-probability",
        action="store_true",
        help="log every event of the protocol, and who comes and leaves",
    )
    parser.add_argument("--version", action="version", version=f"kws {__version__}", help="print the version and exit")
    for flag in _ELSEWHERE:
        parser.add_argument(flag, action="append", default=[], help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; 0 after SIGTERM and at the end of the input."""
    import asyncio

    from kws.log import silent
    from kws.wyoming.catalog import Catalog
    from kws.wyoming.server import Settings, serve

    def log(line: str) -> None:
        with suppress(OSError):  # whoever read it may have gone
            print(f"kws: {line}", file=sys.stderr, flush=True)

    _refuse_the_impossible(args)
    models = [*(args.models or [unnamed_model(args)]), *_custom(args.custom_model_dir, log)]
    catalog = Catalog(open_detectors(args, models, log))
    _refuse_unknown(args.preload_model, catalog)
    log(f"hears {', '.join(sorted(catalog.names))}")
    settings = Settings(
        args.uri, args.zeroconf, args.refractory_seconds, log, log if args.debug else silent, options.pickup(args)
    )
    if asyncio.run(serve(settings, catalog)):
        raise KeyboardInterrupt
    return 0


def _refuse_the_impossible(args: argparse.Namespace) -> None:
    """Raise InputError for an option that would have no effect."""
    for flag, reason in _ELSEWHERE.items():
        if getattr(args, flag.lstrip("-").replace("-", "_")):
            raise InputError(f"{flag} does nothing here: {reason}")
    if args.trigger_level != 1:
        raise InputError(
            f"--trigger-level {args.trigger_level}: a keyword is detected once, not after several activations; "
            "a higher --threshold has fewer false accepts"
        )
    if args.zeroconf is None:
        return
    if not args.uri.startswith("tcp://"):
        raise InputError(f"--zeroconf tells others of a TCP port, and {args.uri} is none: give --uri tcp://HOST:PORT")
    if options.is_model(args.zeroconf):
        raise InputError(f"--zeroconf {args.zeroconf} would be a name: put the model before --zeroconf")


def _custom(folders: list[Path], log: Log) -> list[str]:
    """The models in folders. A file that is no model is named in the log, and does not
    stop the server.
    """
    from kws.runtime.detector import Detector

    found = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"--custom-model-dir {folder}: there is no such folder")
        for path in sorted(folder.iterdir()):
            if path.suffix == ".tflite":
                log(f"{path} is left out: a model of openWakeWord or microWakeWord, and kws hears models of its own")
            if path.suffix != ".onnx":
                continue
            try:
                has_keywords = bool(Detector.load(path).keywords)
            except KwsError as error:
                log(f"{path} is left out: {error}")
                continue
            if has_keywords:
                found.append(str(path))
            else:
                log(f"{path} is left out: it has no keyword of its own")
    return found


def _refuse_unknown(words: list[str], catalog: Catalog) -> None:
    """Raise InputError for a word that is not heard."""
    _, unknown = catalog.choose(words)
    if unknown:
        raise InputError(f"--preload-model {unknown[0]}: there are {', '.join(sorted(catalog.names))}")
