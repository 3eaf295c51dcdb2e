"""`kws data cut`: cut words out of the sentences of corpora."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.options import log_to_stderr


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kws data cut`."""
    parser.description = (
        "Cut words or runs of words out of recordings of sentences, in real voices. Speakers and splits are kept. "
        "Forced alignment (pocketsphinx) finds where a word begins and ends."
    )
    parser.add_argument("corpora", nargs="+", metavar="SOURCE", help="manifest, MANIFEST@SPLIT or folder with texts")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the new corpus")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--words", nargs="+", metavar="WORD", help="cut these words")
    what.add_argument("--runs", type=float, metavar="SECONDS", help="cut everything into runs of words of this length")


def run(args: argparse.Namespace) -> str:
    """Cuts words, or runs of words, out of corpora; recordings that were of no use are
    named on stderr.
    """
    from kws.data.cuts import cut_pieces, runs, single
    from kws.data.manifest import rows_of
    from kws.lexicon import load_cmudict

    faults: list[str] = []
    rows = rows_of(args.corpora, faults)
    if args.words:
        rows = [row for row in rows if set(row.text.split()) & set(args.words)]
    choose = single(args.words) if args.words else runs(args.runs)
    count, skipped = cut_pieces(args.root, rows, choose, load_cmudict())
    for line in [*faults, *skipped]:
        log_to_stderr(f"skipped {line}")
    return f"{count} pieces in {args.root}"
