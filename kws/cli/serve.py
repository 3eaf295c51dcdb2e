"""`kws serve`: wake words for Home Assistant and whatever else speaks the Wyoming
protocol.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress

from kws.cli import options
from kws.cli.keywords import add_keyword_options, open_detectors

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
    add_keyword_options(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes; 0 after SIGTERM and at the end of the input."""
    import asyncio

    from kws.wyoming.catalog import Catalog
    from kws.wyoming.server import serve

    def log(line: str) -> None:
        with suppress(OSError):  # whoever read it may have gone
            print(f"kws: {line}", file=sys.stderr, flush=True)

    catalog = Catalog(open_detectors(args, args.models or [options.DEFAULT_MODEL], log))
    log(f"hears {', '.join(sorted(catalog.names))}")
    if asyncio.run(serve(args.uri, catalog, log)):
        raise KeyboardInterrupt
    return 0
