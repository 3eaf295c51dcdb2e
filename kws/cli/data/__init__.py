"""`kws data`: list the corpora, bring them, and make new ones out of them.

Each action has a file of its own here.
"""

from __future__ import annotations

import argparse

from kws.cli.data import align, cut, get, pack, store, synthesise
from kws.data.corpora import corpus_names
from kws.errors import going_on

_ACTIONS = {"get": get, "pack": pack, "align": align, "cut": cut, "synthesise": synthesise, "store": store}
_RESUME = ("get", "synthesise")
_HELP = {
    "get": "fetch a corpus when told to, and write its manifest",
    "pack": "pack a corpus into tar files that training streams",
    "align": "find where the text of each recording is said",
    "cut": "cut words out of the sentences of corpora",
    "synthesise": "make clips in synthetic voices",
    "store": "store speech as a model hears it, to set thresholds by",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `kws data`."""
    parser.description = "Bring corpora, and make new ones out of them. `kws data ACTION --help` explains one action."
    parser.epilog = (
        "examples:\n"
        "  kws data\n"
        "  kws data get speech_commands --root data/speech_commands --download\n"
        "  kws data get --for wake_words --root data --download   # all of a recipe\n"
        "  kws data get folder --root data/mine --from recordings  # WORD/SPEAKER/1.wav\n"
        "  kws data pack data/librispeech -o data/librispeech_shards\n"
        "  kws data align data/wake_words -o data/wake_words/aligned.csv\n"
        "  kws data cut data/an4 --root data/cut_words --words on off stop\n"
        "  kws data synthesise --root data/synthetic --download --count 4000 --workers 2\n"
        "  kws data store mine.onnx data/an4@dev data/my_radio -o mine.speech"
    )
    actions = parser.add_subparsers(dest="action", metavar="list | get | pack | align | cut | synthesise | store")
    actions.add_parser("list", help="the corpora, their licences and where they come from (also `kws data` alone)")
    for name, action in _ACTIONS.items():
        action.configure(actions.add_parser(name, help=_HELP[name]))
    for name in corpus_names():  # `kws data CORPUS` is `kws data get CORPUS`, as it was before there were actions
        get.configure(actions.add_parser(name), corpus=name)


def run(args: argparse.Namespace) -> int:
    """Do what one sub-command says and print what came of it."""
    after = (
        "goes on with what was finished" if args.action in _RESUME else "does it anew, and nothing is left half done"
    )
    with going_on(f"the same command {after}"):
        print(_ACTIONS[args.action].run(args) if args.action in _ACTIONS else _table())
    return 0


def _table() -> str:
    """The corpora with what they hold, their licence and where they come from."""
    from kws.data.corpora.registry import CORPORA

    width = max(map(len, CORPORA)) + 2
    return "\n".join(
        f"{name:<{width}}{corpus.holds}\n{'':<{width}}licence: {corpus.licence}; {corpus.where}"
        for name, corpus in CORPORA.items()
    )
