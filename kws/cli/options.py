"""The options that verbs share, each declared once, and the parsers of their values.

**How a model is named, in every verb.** MODEL is the first word after the verb, or
stands behind `-m` anywhere: the path of an .onnx file, or the name of a model that
ships with kws. It may be left out, and is then `wake-words`, or `phones` where phrases
are typed (--keyword). In verbs whose other words are files or phrases (`detect`,
`classify`, `spell`), a first word is taken for the model only if it ends in .onnx, or
is the name of a shipped model and of no file; there `-m` names the model whatever the
files are called.

Only argparse and the names of the shipped models are imported here, so that help is
quick.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.errors import KwsError, close_to
from kws.runtime.shipped import DEFAULT_MODEL as DEFAULT_MODEL
from kws.runtime.shipped import PHRASE_MODEL, shipped

if TYPE_CHECKING:
    from kws.audio.pickup import Pickup

UNNAMED = f"{DEFAULT_MODEL}, and {PHRASE_MODEL} for --keyword"
SOURCE_HELP = "manifests, MANIFEST@SPLIT or folders of audio"
PEAK_HELP = """
An event has the score of the moment in which it fired, and a peak: the highest score until the keyword may fire again,
a second later. Choose thresholds by peaks.
"""

_LONGEST_PAUSE_S = 600.0
_POSSIBLE_RATES = (1e-6, 1e6)  # what a century could show, and more than there are frames


class _OneModel(argparse.Action):
    """Keeps the one model of a command; a usage error where it is named twice."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if getattr(namespace, "model_named", False):
            parser.error("the model is named twice: once as the first word or behind -m is enough")
        namespace.model, namespace.model_named = values, True


class _EveryModel(argparse.Action):
    """Gathers the models of a command in their order."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        namespace.models = [*(namespace.models or ()), *([values] if option else values)]


def add_model_argument(parser: argparse.ArgumentParser, also: str = "", *, takes_phrases: bool = False) -> None:
    """MODEL as the first word, or `-m MODEL`, stored as `model`; `also` says what else
    than a model the verb takes there.

    takes_phrases: the verb has --keyword, and `model` is None where no model is named.
    """
    usual = UNNAMED if takes_phrases else DEFAULT_MODEL
    named = f"an .onnx file or the name of a shipped model ({usual}){also}"
    parser.set_defaults(model=None if takes_phrases else DEFAULT_MODEL)
    absent = argparse.SUPPRESS  # as the default of the first word: it would undo what -m said
    parser.add_argument("model", nargs="?", action=_OneModel, default=absent, metavar="MODEL", help=named)
    parser.add_argument("-m", "--model", action=_OneModel, default=absent, metavar="MODEL", help="the same")


def add_models_argument(parser: argparse.ArgumentParser, default: str) -> None:
    """Any number of MODELs, each a word or behind `-m`, stored as `models` in their
    order. default: the meaning of none.
    """
    named = f".onnx files or names of shipped models ({default})"
    parser.set_defaults(models=())  # an empty list makes parse_intermixed_args warn
    absent = argparse.SUPPRESS
    parser.add_argument("models", nargs="*", action=_EveryModel, default=absent, metavar="MODEL", help=named)
    parser.add_argument("-m", action=_EveryModel, dest="models", default=absent, metavar="MODEL", help="one of them")


def add_model_and_files_arguments(parser: argparse.ArgumentParser, file: str, files_help: str, default: str) -> None:
    """`[MODEL] FILE ...` and `-m MODEL`; `model_and_files` tells them apart.

    file: the metavar of one file. default: the help on the model where none is named.
    """
    parser.add_argument(
        "words",
        nargs="+",
        metavar=f"[MODEL] {file}",
        help=f"{files_help}; before them may stand an .onnx file or the name of a shipped model",
    )
    parser.add_argument("-m", "--model", metavar="MODEL", help=f"the model, by path or name ({default})")
    parser.set_defaults(usage_error=parser.error)


def model_and_files(args: argparse.Namespace) -> tuple[str | None, list[str]]:
    """The model, None where none is named, and the files of a verb with
    `add_model_and_files_arguments`; a usage error without a file.
    """
    model, files = args.model, list(args.words)
    if model is None and is_model(files[0]):
        model = files.pop(0)
    if model is None:
        _refuse_misspelt(files[0])
    if not files:
        args.usage_error("no file is given")
    return model, files


def is_model(word: str) -> bool:
    """Whether a word among files means a model: it ends in .onnx, or is the name of a
    shipped model and of no file.
    """
    return word.endswith(".onnx") or (word in shipped() and not Path(word).is_file())


def _refuse_misspelt(word: str) -> None:
    """Raise KwsError for a first word that is no file and almost a model's name.
    Otherwise another model would hear the files after it, and give events that nobody
    asked for.
    """
    if Path(word).exists() or Path(word).name != word or Path(word).suffix:
        return
    if close := close_to(word.lower(), shipped()):
        raise KwsError(f"there is no file {word!r} and no model of that name: the nearest model is {close!r}")


def add_keyword_option(parser: argparse.ArgumentParser) -> None:
    """--keyword PHRASE, which may be repeated; stored as the list `keyword`."""
    parser.add_argument(
        "--keyword",
        action="append",
        default=[],
        metavar="PHRASE",
        help='a further phrase to hear, or one with its phones, - between words: "PHRASE=PH - ON ES" (may be repeated)',
    )


def add_after_pause_option(parser: argparse.ArgumentParser) -> None:
    """Adds --after-pause: a phrase fires only after half a second of quiet."""
    parser.add_argument(
        "--after-pause",
        action="store_true",
        help="hear phrases only after half a second of quiet, and not in the middle of a sentence; some are lost in "
        "noise",
    )


def add_json_option(parser: argparse.ArgumentParser, prints: str) -> None:
    """--json. prints: what is printed then."""
    parser.add_argument("--json", action="store_true", help=prints)


def add_pickup_options(parser: argparse.ArgumentParser, sound: str) -> None:
    """--gain DB and --channel N, which `pickup` reads. sound: the sound that they are
    of.
    """
    parser.add_argument(
        "--gain",
        type=_decibels,
        default=0.0,
        metavar="DB",
        help=f"make {sound} so much louder, -60 to 60 dB; beyond full scale it is clipped (0)",
    )
    parser.add_argument(
        "--channel",
        type=whole_number(1),
        metavar="N",
        help=f"of {sound} hear channel N alone, from 1 (the mean of all, until they cancel each other)",
    )


def pickup(args: argparse.Namespace) -> Pickup:
    """The pickup that the options of `add_pickup_options` mean."""
    from kws.audio.pickup import Pickup

    return Pickup(args.channel, args.gain)


def add_source_option(parser: argparse.ArgumentParser, flag: str, help: str = SOURCE_HELP) -> None:  # noqa: A002
    """An option that takes a list of SOURCEs (see SOURCE_HELP); an empty list unless
    given.
    """
    parser.add_argument(flag, nargs="+", default=[], metavar="SOURCE", help=help)


def add_jobs_options(
    parser: argparse.ArgumentParser, default: int | None = None, jobs: str = "processes", dask: str = "replay"
) -> None:
    """--jobs N and --dask ADDRESS.

    default: of --jobs; None means a process for each core. jobs: the unit of N. dask:
    the work that is done on the cluster.
    """
    default_help = "a core each" if default is None else str(default)
    parser.add_argument(
        "--jobs", type=whole_number(1), default=default, metavar="N", help=f"{jobs} (default: {default_help})"
    )
    parser.add_argument(
        "--dask", metavar="ADDRESS", help=f"{dask} on the workers of this Dask scheduler (tcp://HOST:8786)"
    )


def whole_number(least: int) -> Callable[[str], int]:
    """A parser of whole numbers of at least `least`."""

    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return int(text)

    return number


def not_negative(text: str) -> float:
    """Reads a finite number of at least 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return value


def _decibels(text: str) -> float:
    """Reads a gain, -60 to 60 dB."""
    from kws.audio.pickup import MOST_GAIN_DB  # numpy is not imported for help

    if not -MOST_GAIN_DB <= float(text) <= MOST_GAIN_DB:
        raise argparse.ArgumentTypeError(f"{text} is not a gain of -{MOST_GAIN_DB:g} to {MOST_GAIN_DB:g} dB")
    return float(text)


def pause_s(text: str) -> float:
    """Reads seconds of silence, 0 to 600."""
    if not 0 <= float(text) <= _LONGEST_PAUSE_S:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to {_LONGEST_PAUSE_S:g}")
    return float(text)


def rate_per_hour(text: str) -> float:
    """Reads a rate of false accepts per hour that some amount of audio could show."""
    low, high = _POSSIBLE_RATES
    if not low <= float(text) <= high:
        raise argparse.ArgumentTypeError(f"{text} is no rate of false accepts per hour: those are {low:g} to {high:g}")
    return float(text)


def log_to_stderr(line: str) -> None:
    """Prints a progress line of the library: a `kws.log.Log`."""
    print(line, file=sys.stderr)
