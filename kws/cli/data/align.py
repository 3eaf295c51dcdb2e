"""`kws data align`: find where the text of each recording is said."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.errors import KwsError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kws data align`."""
    parser.add_argument("manifest", type=Path, help="a prepared corpus")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="the new manifest, with start and end")


def run(args: argparse.Namespace) -> str:
    """Writes a manifest that says where the texts are said."""
    if args.output is None:
        raise KwsError("say what to align and where to: kws data align MANIFEST -o NEW.csv")
    from kws.data.alignment import align
    from kws.data.manifest import rows_of, write_manifest

    skipped: list[str] = []
    rows = align(rows_of([str(args.manifest)], skipped), skipped)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(args.output, rows)
    spans = sum(row.span is not None for row in rows)
    return "\n".join(
        [*(f"skipped: {line}" for line in skipped), f"{spans} of {len(rows)} rows have spans in {args.output}"]
    )
