"""`kws data synthesise`: make clips in synthetic voices."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli.options import whole_number

if TYPE_CHECKING:
    from kws.data.synthesis.scripts import Script


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `kws data synthesise`."""
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
    what.add_argument("--confusables", action="store_true", help="only what sounds almost like the six wake words")
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


def run(args: argparse.Namespace) -> str:
    """Makes clips in synthetic voices, and fetches the speech models first where that
    is asked for.
    """
    from kws.data.manifest import describe, rows_of
    from kws.data.synthesis.generate import generate
    from kws.data.synthesis.tts import download

    models = args.models or args.root / "models"
    script = _script(args.words, args.phrases, args.confusables)
    if args.download:
        download(models)
    manifest = generate(args.root, models, script, args.count, args.seed, args.workers, new_styles=args.new_voices)
    return f"{describe(rows_of([str(manifest)]))} in {manifest}"


def _script(words: list[str] | None, phrases: str | None, confusables: bool) -> Script:
    """The script to speak: single words, short phrases, confusables alone, or else the
    wake words.
    """
    from kws.data.manifest import texts_of
    from kws.data.synthesis.phrases import PhraseScript, readable_words
    from kws.data.synthesis.scripts import CONFUSABLES, WAKE_WORDS, KeywordScript, WordScript, confusable_script
    from kws.lexicon import load_cmudict

    if words:
        return WordScript(tuple(words))
    if phrases:
        return PhraseScript(texts_of([phrases]), readable_words(load_cmudict()), WAKE_WORDS)
    if confusables:
        lexicon = load_cmudict()
        return confusable_script(readable_words(lexicon), lexicon)
    return KeywordScript(CONFUSABLES)
