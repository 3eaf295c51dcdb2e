"""`kws data get`: fetch a corpus when told to, and write its manifest."""

from __future__ import annotations

import argparse
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.data.prepare.build import Prepared


def configure(parser: argparse.ArgumentParser, corpus: str = "") -> None:
    """Add the options of `kws data get`."""
    parser.description = (
        "Write the manifest.csv of a corpus, and first fetch the corpus where --download says so. Files that cannot "
        "be used are named in DIR/skipped.csv. What is done already is not done again."
    )
    if corpus:
        parser.set_defaults(action="get", corpus=corpus, recipe=None)
    else:
        parser.add_argument("corpus", nargs="?", help="a name that `kws data list` has")
        parser.add_argument(
            "--for",
            dest="recipe",
            metavar="RECIPE",
            help="in place of a corpus: every folder of corpora that a recipe or a study needs, below --root",
        )
        parser.add_argument(
            "--models", type=Path, metavar="DIR", help="of --for: where models lie (default: ROOT/models)"
        )
        parser.add_argument("--workers", type=int, default=1, metavar="N", help="of --for: processes that synthesise")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the corpus; manifest.csv is written there")
    parser.add_argument(
        "--download", action="store_true", help="first fetch what is missing; nothing is fetched without it"
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="FOLDER", help="recordings that lie elsewhere")
    parser.add_argument("--part", nargs="+", default=[], metavar="PART", help="parts of the corpus (see the list)")


def run(args: argparse.Namespace) -> str:
    """Prepares a corpus, or all that a recipe needs, fetched first where that is asked
    for.
    """
    if (args.corpus is None) == (args.recipe is None):
        raise KwsError("say what to get: kws data get CORPUS --root DIR, or kws data get --for RECIPE --root DIR")
    if args.recipe:
        return _get_for(args)
    from kws.data.corpora.registry import load

    corpus = load(args.corpus)
    if args.root is None:
        raise KwsError(f"say where to keep it: kws data get {args.corpus} --root DIR")
    if args.download and args.source:
        raise KwsError("--download fetches into --root and --from reads what you have: give one of them")
    if args.download:
        corpus.download(args.root, args.part)
    return _report(args.corpus, corpus.prepare(args.root, args.source, args.part))


def _get_for(args: argparse.Namespace) -> str:
    """Brings every folder of corpora that a recipe needs and prints a line for each as
    it is done.
    """
    from kws.data.recipe_sets.bring import bring_all, bring_teacher, corpora_of, teacher_of
    from kws.data.recipe_sets.made import Making
    from kws.data.recipe_sets.teachers import value_for

    if args.root is None or args.source or args.part:
        raise KwsError(f"--for takes no --from and no --part: kws data get --for {args.recipe} --root DIR [--download]")
    making = Making(args.root, args.models or args.root / "models", args.download, args.workers)
    corpora, teacher = corpora_of(args.recipe), teacher_of(args.recipe)
    missing = bring_all(corpora, making, partial(print, flush=True))
    if teacher:
        missing += bring_teacher(teacher, making, partial(print, flush=True))
    if missing:
        raise KwsError(f"{args.recipe} needs more than is there: {', '.join(missing)}; the same command goes on")
    changes = [f"data={args.root}", *([value_for(teacher, making.models)] if teacher else [])]
    return f"all that {args.recipe} needs is in {args.root}: {' '.join(changes)}"


def _report(name: str, prepared: Prepared) -> str:
    """The clips of a manifest by split, and the files that were left out, by kind."""
    from kws.data.manifest import SPLITS, describe

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
