"""`kws web`: write the page that hears keywords in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli import options

PORT = 8000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a folder with a page that hears keywords in the browser. Any static file server can serve it; the page "
        "asks no other server for anything."
    )
    parser.epilog = (
        "examples:\n"
        "  kws web -o site --download\n"
        "  kws web my-model.onnx wake-words -o site\n"
        f"  python -m http.server --bind localhost --directory site {PORT}\n"
    )
    options.add_models_argument(parser, "all shipped models that have keywords")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the folder to write")
    parser.add_argument(
        "--download", action="store_true", help="fetch onnxruntime-web (33 MB, of which 14 stay) through npm"
    )


def run(args: argparse.Namespace) -> int:
    """Write the folder and say how to serve it."""
    from kws.demo.page import bring_runtime, shipped_with_keywords, write_site
    from kws.runtime.session import OnnxModel
    from kws.runtime.shipped import find

    models = [OnnxModel.load(find(model)) for model in args.models] or shipped_with_keywords()
    bring_runtime(args.output / "vendor", download=args.download)
    write_site(args.output, models)
    print(f"{args.output}: the page and {', '.join(model.path.stem for model in models)}")
    print(f"serve it   python -m http.server --bind localhost --directory {args.output} {PORT}")
    print(f"open       http://localhost:{PORT} (browsers give the microphone to localhost and to https:// alone)")
    return 0
