"""`kws data`: list the corpora, fetch one when told to, and write its manifest."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from kws.data.corpora.base import SPLITS, Prepared
from kws.data.corpora.registry import CORPORA, load
from kws.data.manifest import describe, rows_of, write_manifest
from kws.errors import KwsError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kws data`."""
    parser.add_argument(
        "corpus",
        nargs="?",
        default="list",
        help="a corpus, `list` (the default) for a table of them, `pack` or `align`",
    )
    parser.add_argument("manifest", nargs="?", type=Path, help="of pack and align: a prepared corpus")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="of pack: folder of the shards; of align: the new manifest"
    )
    parser.add_argument(
        "--clips-per-shard",
        type=int,
        default=200,
        metavar="N",
        help="of pack: clips to a tar file (%(default)s), of which a training holds two decoded",
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="folder of the corpus; its manifest.csv is written there"
    )
    parser.add_argument(
        "--download", action="store_true", help="first fetch what is missing; nothing is fetched without it"
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="FOLDER", help="recordings that lie elsewhere")
    parser.add_argument("--part", nargs="+", default=[], metavar="PART", help="parts of the corpus (see the table)")
    parser.epilog = (
        "examples:\n"
        "  kws data\n"
        "  kws data speech_commands --root data/speech_commands --download\n"
        "  kws data pack data/librispeech -o data/librispeech_shards\n"
        "  kws data align data/wake_words -o data/wake_words/aligned.csv\n"
        "  kws data folder --root data/mine --from recordings    # recordings/hey_computer/anna/1.wav ...\n"
        "\n"
        "Files that cannot be used are named in DIR/skipped.csv. What is done already is not done again."
    )


def run(args: argparse.Namespace) -> int:
    """Print the table of corpora, or prepare one and print what came of it."""
    if args.corpus == "list":
        print(table())
        return 0
    if args.corpus == "pack":
        print(packed(args.manifest, args.output, args.clips_per_shard))
        return 0
    if args.corpus == "align":
        print(aligned(args.manifest, args.output))
        return 0
    corpus = load(args.corpus)
    if args.root is None:
        raise KwsError(f"say where to keep it: kws data {args.corpus} --root DIR")
    if args.download and args.source:
        raise KwsError("--download fetches into --root and --from reads what you have: give one of them")
    if args.download:
        corpus.download(args.root, args.part)
    print(report(args.corpus, corpus.prepare(args.root, args.source, args.part)))
    return 0


def packed(manifest: Path | None, folder: Path | None, clips_per_shard: int) -> str:
    """Packs a corpus and says what came of it."""
    if manifest is None or folder is None:
        raise KwsError("say what to pack and where to: kws data pack MANIFEST -o DIR")
    from kws.data.shards import pack  # knows torch, which the table does not need

    lines: list[str] = []
    corpus = pack(manifest, folder, clips_per_shard, lines.append)
    hours = sum(shard.seconds for shard in corpus.shards) / 3600
    clips = sum(shard.clips for shard in corpus.shards)
    return "\n".join([*lines, f"packed {clips} clips, {hours:.2f} h, into {len(corpus.shards)} shards in {folder}"])


def aligned(manifest: Path | None, target: Path | None) -> str:
    """Writes a manifest that says where the texts are said, and says what came of it."""
    if manifest is None or target is None:
        raise KwsError("say what to align and where to: kws data align MANIFEST -o NEW.csv")
    from kws.data.alignment import align  # brings the aligner, which the table does not need

    skipped: list[str] = []
    rows = align(rows_of([str(manifest)]), skipped)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_manifest(target, rows)
    spans = sum(row.span is not None for row in rows)
    return "\n".join([*(f"skipped: {line}" for line in skipped), f"{spans} of {len(rows)} rows have spans in {target}"])


def table() -> str:
    """The corpora with what they hold, their licence and where they come from."""
    width = max(map(len, CORPORA)) + 2
    return "\n".join(
        f"{name:<{width}}{entry.holds}\n{'':<{width}}licence: {entry.licence}; {entry.where}"
        for name, entry in CORPORA.items()
    )


def report(name: str, prepared: Prepared) -> str:
    """What a manifest holds, by split, and what was left out, by kind."""
    state = "" if prepared.fresh else " (done before, nothing has changed)"
    lines = [f"{name}: {describe(prepared.rows)} in {prepared.manifest}{state}"]
    for split in SPLITS:
        rows = [row for row in prepared.rows if row.split == split]
        lines.append(f"  {split:<6}{describe(rows)}")
    if prepared.skipped:
        kinds = Counter(kind for _, kind, _ in prepared.skipped)
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        total = len(prepared.rows) + len(prepared.skipped)
        lines.append(
            f"  skipped {len(prepared.skipped)} of {total} files ({counts}), "
            f"named in {prepared.manifest.with_name('skipped.csv')}"
        )
    return "\n".join([*lines, *(f"  note: {note}" for note in prepared.notes)])
