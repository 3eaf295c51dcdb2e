"""`kws data`: list the corpora, bring them, and make new ones out of them."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli.options import log_to_stderr, whole_number
from kws.data.corpora import corpus_names
from kws.errors import KwsError, going_on

if TYPE_CHECKING:
    from kws.data.prepare.build import Prepared
    from kws.data.synthesis.scripts import Script


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `kws data`."""
    parser.description = "Bring corpora, and make new ones out of them. `kws data ACTION --help` explains one action."
    parser.epilog = (
        "examples:\n"
        "  kws data\n"
        "  kws data get speech_commands --root data/speech_commands --download\n"
        "  kws data get --for wake_words --root data --download    # all that a recipe needs\n"
        "  kws data get folder --root data/mine --from recordings    # recordings/hey_computer/anna/1.wav ...\n"
        "  kws data pack data/librispeech -o data/librispeech_shards\n"
        "  kws data align data/wake_words -o data/wake_words/aligned.csv\n"
        "  kws data cut data/mini_librispeech data/an4 --root data/cut_words --words on off stop\n"
        "  kws data synthesise --root data/synthetic --download --count 4000 --workers 2\n"
        "  kws data store mine.onnx data/mini_librispeech@dev data/my_radio -o mine.speech"
    )
    actions = parser.add_subparsers(dest="action", metavar="list | get | pack | align | cut | synthesise | store")
    actions.add_parser("list", help="the corpora, their licences and where they come from (also `kws data` alone)")
    _configure_get(actions.add_parser("get", help="fetch a corpus when told to, and write its manifest"))
    _configure_pack(actions.add_parser("pack", help="pack a corpus into tar files that training streams"))
    _configure_align(actions.add_parser("align", help="find where the text of each recording is said"))
    _configure_cut(actions.add_parser("cut", help="cut words out of the sentences of corpora"))
    _configure_synthesise(actions.add_parser("synthesise", help="make clips in synthetic voices"))
    _configure_store(actions.add_parser("store", help="store speech as a model hears it, to set thresholds by"))
    for name in corpus_names():  # `kws data CORPUS` is `kws data get CORPUS`, as it was before there were actions
        _configure_get(actions.add_parser(name), corpus=name)


def _configure_get(parser: argparse.ArgumentParser, corpus: str = "") -> None:
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
        parser.add_argument("--models", type=Path, metavar="DIR", help="of --for: speech models (default: ROOT/models)")
        parser.add_argument("--workers", type=int, default=1, metavar="N", help="of --for: processes that synthesise")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder of the corpus; manifest.csv is written there")
    parser.add_argument(
        "--download", action="store_true", help="first fetch what is missing; nothing is fetched without it"
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="FOLDER", help="recordings that lie elsewhere")
    parser.add_argument("--part", nargs="+", default=[], metavar="PART", help="parts of the corpus (see the list)")


def _configure_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", type=Path, help="a prepared corpus")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder of the shards")
    parser.add_argument(
        "--clips-per-shard",
        type=int,
        default=200,
        metavar="N",
        help="clips to a tar file (%(default)s), of which a training holds two decoded",
    )


def _configure_align(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", type=Path, help="a prepared corpus")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.csv", help="the new manifest, with start and end")


def _configure_cut(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Cut words or runs of words out of recordings of sentences, in real voices. Speakers and splits are kept. "
        "Forced alignment (pocketsphinx) finds where a word begins and ends."
    )
    parser.add_argument("corpora", nargs="+", metavar="SOURCE", help="manifest, MANIFEST@SPLIT or folder with texts")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the new corpus")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--words", nargs="+", metavar="WORD", help="cut these words")
    what.add_argument("--runs", type=float, metavar="SECONDS", help="cut everything into runs of words of this length")


def _configure_synthesise(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make clips in about a hundred synthetic voices: the six wake words with sentences around them and words "
        "that sound almost like them, or single words, or short phrases. A clip takes "
        "about 1.2 CPU seconds. Killed and given again, the command goes on."
    )
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the new corpus")
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of the speech models (default: ROOT/models)")
    parser.add_argument("--download", action="store_true", help="first fetch speech models that are missing")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--words", nargs="+", metavar="WORD", help="single words; one that is named twice comes twice")
    what.add_argument(
        "--phrases",
        metavar="SOURCE",
        help="short phrases without the wake words: excerpts of a corpus's transcripts, and one to three words of "
        "them or of the dictionary",
    )
    parser.add_argument("--count", type=int, default=4000, metavar="N", help="clips in the plan (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another plan (default %(default)s)")
    parser.add_argument(
        "--new-voices",
        type=whole_number(0),
        default=64,
        metavar="N",
        help="so many of the voices are mixtures of others (default %(default)s)",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes of one thread each")


def _configure_store(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Store what a model makes of ordinary speech: its log-posteriors in few bytes, with the words and where they "
        "end. A phrase that is typed for that model (--keyword) is then tried on the stored speech, and gets a "
        "threshold of its own. The file must lie beside the model and be called as it is: mine.onnx, mine.speech. "
        "Take speech that the model did not learn from, and make the file again when the model changes."
    )
    parser.add_argument("model", metavar="MODEL", help="an .onnx file or the name of a shipped model")
    parser.add_argument("corpora", nargs="+", metavar="SOURCE", help="manifests, MANIFEST@SPLIT or folders of audio")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.speech", help="the file to write")


def run(args: argparse.Namespace) -> int:
    """Do what one sub-command says and print what came of it."""
    actions = {"get": get, "pack": packed, "align": aligned, "cut": cut, "synthesise": synthesised, "store": stored}
    resumes = args.action in ("get", "synthesise")
    after = "goes on with what was finished" if resumes else "does it anew, and nothing is left half done"
    with going_on(f"the same command {after}"):
        print(actions[args.action](args) if args.action in actions else table())
    return 0


def table() -> str:
    """The corpora with what they hold, their licence and where they come from."""
    from kws.data.corpora.registry import CORPORA

    width = max(map(len, CORPORA)) + 2
    return "\n".join(
        f"{name:<{width}}{corpus.holds}\n{'':<{width}}licence: {corpus.licence}; {corpus.where}"
        for name, corpus in CORPORA.items()
    )


def get(args: argparse.Namespace) -> str:
    """Prepares a corpus, or all that a recipe needs, fetched first where that is asked
    for.
    """
    if (args.corpus is None) == (args.recipe is None):
        raise KwsError("say what to get: kws data get CORPUS --root DIR, or kws data get --for RECIPE --root DIR")
    if args.recipe:
        return got_for(args)
    from kws.data.corpora.registry import load

    corpus = load(args.corpus)
    if args.root is None:
        raise KwsError(f"say where to keep it: kws data get {args.corpus} --root DIR")
    if args.download and args.source:
        raise KwsError("--download fetches into --root and --from reads what you have: give one of them")
    if args.download:
        corpus.download(args.root, args.part)
    return report(args.corpus, corpus.prepare(args.root, args.source, args.part))


def got_for(args: argparse.Namespace) -> str:
    """Brings every folder of corpora that a recipe needs and prints a line for each as
    it is done.
    """
    from kws.data.recipe_sets.bring import bring_all, corpora_of
    from kws.data.recipe_sets.made import Making

    if args.root is None or args.source or args.part:
        raise KwsError(f"--for takes no --from and no --part: kws data get --for {args.recipe} --root DIR [--download]")
    making = Making(args.root, args.models or args.root / "models", args.download, args.workers)
    if missing := bring_all(corpora_of(args.recipe), making, lambda line: print(line, flush=True)):
        raise KwsError(f"{args.recipe} needs more than is there: {', '.join(missing)}; the same command goes on")
    return f"all that {args.recipe} needs is in {args.root}: data={args.root}"


def report(name: str, prepared: Prepared) -> str:
    """What a manifest holds, by split, and what was left out, by kind."""
    from kws.data.manifest import describe
    from kws.data.prepare.clip import SPLITS

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


def packed(args: argparse.Namespace) -> str:
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


def aligned(args: argparse.Namespace) -> str:
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


def cut(args: argparse.Namespace) -> str:
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


def synthesised(args: argparse.Namespace) -> str:
    """Makes clips in synthetic voices, and fetches the speech models first where that
    is asked for.
    """
    from kws.data.manifest import describe, rows_of
    from kws.data.synthesis.generate import generate
    from kws.data.synthesis.tts import download

    models = args.models or args.root / "models"
    script = script_of(args.words, args.phrases)
    if args.download:
        download(models)
    manifest = generate(args.root, models, script, args.count, args.seed, args.workers, new_styles=args.new_voices)
    return f"{describe(rows_of([str(manifest)]))} in {manifest}"


def stored(args: argparse.Namespace) -> str:
    """Stores what a model makes of speech; recordings that were of no use are named on
    stderr.
    """
    from tqdm import tqdm

    from kws.data.manifest import place_of, rows_of
    from kws.data.stored_speech import hear_speech
    from kws.metadata import DataSource
    from kws.recipes.training_corpora import known
    from kws.runtime.shipped import find

    skipped: list[str] = []
    rows = rows_of(args.corpora, skipped)
    data = []
    for corpus in args.corpora:
        path, split = place_of(corpus)
        folder = (path if path.is_dir() else path.parent).resolve().name
        title, licence, attribution = known().get(folder, (folder, "", ""))
        data.append(DataSource(f"{title}, {split}" if split else title, licence, attribution))
    speech = hear_speech(find(args.model), tqdm(rows, "hearing", unit="clip", leave=False, disable=None), data, skipped)
    speech.write(args.output)
    for line in skipped:
        log_to_stderr(f"skipped {line}")
    size, words = args.output.stat().st_size, sum(len(recording.words) for recording in speech.recordings)
    return (
        f"{len(speech.recordings)} recordings, {speech.hours:.2f} h, {words} words in {args.output}: "
        f"{size / 1e3:.0f} kB, {size / 1e3 / speech.hours:.0f} kB an hour"
    )


def script_of(words: list[str] | None, phrases: str | None) -> Script:
    """What is said: single words, short phrases, or else the wake words."""
    from kws.data.manifest import texts_of
    from kws.data.synthesis.phrases import PhraseScript, readable_words
    from kws.data.synthesis.scripts import CONFUSABLES, WAKE_WORDS, KeywordScript, WordScript
    from kws.lexicon import load_cmudict

    if words:
        return WordScript(tuple(words))
    if phrases:
        return PhraseScript(texts_of([phrases]), readable_words(load_cmudict()), WAKE_WORDS)
    return KeywordScript(CONFUSABLES)
