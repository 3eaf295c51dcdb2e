"""`kws data pack`: pack a corpus into tar files that training streams."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.errors import KwsError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kws data pack`."""
    parser.add_argument("manifest", type=Path, help="a prepared corpus")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder of the shards")
    parser.add_argument(
        "--clips-per-shard",
        type=int,
        default=200,
        metavar="N",
        help="clips to a tar file (%(default)s), of which a training holds two decoded",
    )


def run(args: argparse.Namespace) -> str:
    """Packs a corpus into shards."""
    if args.output is None:
        raise KwsError("say what to pack and where to: kws data pack MANIFEST -o DIR")
    from kws.data.shards import pack  # knows torch, which the list does not need

    lines: list[str] = []
    corpus = pack(args.manifest, args.output, args.clips_per_shard, lines.append)
    hours = sum(shard.seconds for shard in corpus.shards) / 3600
    clips = sum(shard.clips for shard in corpus.shards)
    shards = len(corpus.shards)
    return "\n".join([*lines, f"packed {clips} clips, {hours:.2f} h, into {shards} shards in {args.output}"])
