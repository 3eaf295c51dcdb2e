"""The entry of the `kws` command: it finds the verb's module, parses its arguments and
sets the exit code.

The verb VERB lives in the module `kws.cli.VERB`, imported only when it is chosen. It
has two functions: `configure(parser)` adds its arguments, a description and an epilog
with examples to an `argparse.ArgumentParser`; `run(args) -> int` does the work and
returns the exit code. A verb imports what is slow to import (torch, scipy, onnxruntime)
inside `run`, so that help and usage errors are quick.

Exit codes: 0 success; 1 a file, a model or a package was missing or unusable (one
sentence on stderr); 2 a usage error; 130 interrupted; 143 terminated (SIGTERM); 141 the
reader of the output went away (SIGPIPE).
"""

import argparse
import io
import os
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TextIO

from kws import __version__
from kws.cli.stopping import stoppable
from kws.errors import NO_ROOM, KwsError, Terminated, install, nearest


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help whose paragraphs are as wide as the terminal; one with an indented line,
    such as examples, stays as it is.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrapped = (
            paragraph if "\n " in paragraph else textwrap.fill(paragraph, width, break_on_hyphens=False)
            for paragraph in text.strip().split("\n\n")
        )
        return textwrap.indent("\n\n".join(wrapped), indent)


class Verb(NamedTuple):
    """The facts about a verb that `kws --help` shows without importing it."""

    help: str
    extra: str  # the extras of pyproject.toml, separated by commas, that bring what it may need


VERBS = {
    "detect": Verb("hear keywords in audio files", "audio"),
    "info": Verb("show what is inside a model file", "audio"),
    "bench": Verb("measure a model's speed, memory and start-up time", "audio"),
    "listen": Verb("hear keywords from a microphone", "listen"),
    "spell": Verb("say how a phrase is spelled, and what it can be taken for", "lexicon"),
    "web": Verb("write a page that hears keywords in the browser", "audio"),
    "serve": Verb("hear keywords for Home Assistant and other programs", "serve"),
    "data": Verb("fetch corpora and write their manifests", "train"),
    "train": Verb("train a model from a recipe", "train"),
    "recipes": Verb("list, show or copy the recipes that ship", "train"),
    "export": Verb("write a checkpoint as one .onnx file, and verify it", "train"),
    "compare": Verb("train the models of a study side by side, and compare them", "train,score"),
    "calibrate": Verb("set thresholds for a rate of false accepts per hour", "score"),
    "classify": Verb("count how many clips of single words are classified right", "score"),
    "score": Verb("count false rejects and false accepts over long audio", "score"),
}

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
TERMINATED = 143  # 128 + SIGTERM
BROKEN_PIPE = 141  # 128 + SIGPIPE

_NAME = "\0"  # before a name that looks like an option, while arguments are parsed: no argument can hold it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one `kws` command and return its exit code; nothing that a user can cause
    ends in a traceback.

    Args:
        argv: the words after `kws`; those of the process when None.
    """
    sys.stdout, sys.stderr = _open(sys.stdout), _open(sys.stderr)
    try:
        try:
            with stoppable():
                code = dispatch(sys.argv[1:] if argv is None else argv)
        except SystemExit as stop:  # argparse: 0 after --help, 2 after a usage error
            code = stop.code if isinstance(stop.code, int) else 1
        sys.stdout.flush()  # here, where a reader that has gone is still caught
        return code
    except KwsError as error:
        return fail(str(error))
    except BrokenPipeError:
        _abandon_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is not None:
            return fail(f"{error.filename}: {error.strerror}")
        if error.errno not in NO_ROOM:
            raise
        _abandon_output()
        return fail(f"the output cannot be written: {error.strerror}")
    except KeyboardInterrupt as stop:
        how, code = ("terminated", TERMINATED) if isinstance(stop, Terminated) else ("interrupted", INTERRUPTED)
        with suppress(OSError):
            print(f"\nkws: {how}" + (f": {stop}" if str(stop) else ""), file=sys.stderr)
        return code


def fail(sentence: str) -> int:
    """Print one sentence for a person to stderr and return exit code 1."""
    with suppress(OSError):  # of a stderr that is full, too: the exit code is what is left to say it
        print(f"kws: {sentence}", file=sys.stderr)
    return 1


def _open(stream: TextIO | None) -> TextIO:
    """A standard stream that takes any text: letters that its encoding lacks are
    escaped. A stream that the caller has closed leads nowhere; its number is taken, so
    that no file that is opened next gets the printed text.
    """
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")
    return stream


def _abandon_output() -> None:
    """Write what stdout still takes, then let it lead nowhere: the interpreter flushes
    it once more on its way out.
    """
    with suppress(OSError):
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def dispatch(words: Sequence[str]) -> int:
    """Hand the words after the verb to the verb's module; without a verb, answer for
    `kws` itself.
    """
    verb = words[0] if words else None
    if verb not in VERBS:
        return answer(words)
    try:
        parser = verb_parser(verb)
        # `MODEL --json FILE` is one list of positional words to a person; argparse cannot read it in every parser.
        fixed = {argparse.PARSER, argparse.REMAINDER} & {action.nargs for action in parser._actions}
        args = parser.parse_args(words[1:]) if fixed else _parse_intermixed(parser, words[1:])
        return int(import_module(f"kws.cli.{verb}").run(args))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "kws"):  # a fault of ours, which must look like one
            raise
        raise KwsError(f"`kws {verb}` needs the package {package}: {install(VERBS[verb].extra)}") from error


def _parse_intermixed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """`parse_intermixed_args` that takes words after `--` for names. Python's own
    parses them a second time, without the `--`.
    """
    border = words.index("--") if "--" in words else len(words)
    marked = [_NAME + word if word.startswith("-") else word for word in words[border + 1 :]]
    args = parser.parse_intermixed_args([*words[: border + 1], *marked])
    for name, value in vars(args).items():
        if isinstance(value, str):
            setattr(args, name, value.removeprefix(_NAME))
        elif isinstance(value, list):
            setattr(args, name, [one.removeprefix(_NAME) if isinstance(one, str) else one for one in value])
    return args


def verb_parser(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb, with the verb's module imported to configure it."""
    parser = argparse.ArgumentParser(
        prog=f"kws {verb}",
        description=VERBS[verb].help,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    import_module(f"kws.cli.{verb}").configure(parser)
    return parser


def answer(words: Sequence[str]) -> int:  # noqa: RET503 - parser.error does not return
    """`kws`, `kws --help`, `kws --version`, or a verb that does not exist."""
    width = max(map(len, VERBS)) + 3
    listing = "\n".join(f"  {name:<{width}}{verb.help}" for name, verb in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="kws",
        usage="kws VERB [ARGUMENTS]",
        description="A streaming voice-trigger detector.",
        epilog=f"verbs:\n{listing}\n\n`kws VERB --help` explains one verb, with examples. A verb that hears takes a "
        "model as its first word, or behind -m: an .onnx file, or the name of a model that ships with kws.",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kws {__version__}")
    parser.add_argument("verb", nargs="?", help=argparse.SUPPRESS)
    unknown = parser.parse_known_args(words)[0].verb
    if not words:
        parser.print_help(sys.stderr)
        return 2
    if unknown is None:
        parser.error(f"a verb is missing before {' '.join(words)}")
    parser.error(f"there is no verb {unknown!r}: {nearest(unknown, VERBS)}")
