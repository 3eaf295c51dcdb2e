"""The blocks and commands of Markdown pages, and how each kind is tried (tests/laws/test_readme.py says the rules)."""

import re
import shlex
import subprocess
import sys
import textwrap
from argparse import ArgumentParser, _SubParsersAction
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from kws.cli.main import VERBS, main, verb_parser
from kws.cli.train import chosen
from kws.errors import KwsError as KwsError
from trees import FOLDERS, ROOT

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?(?P<indent> *)```(?P<kind>[^`\n]*)\n(?P<source>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
SPAN = re.compile(r"(?<!`)`((?:kws|make|pip|python3?|\.venv/bin/\w+)\s[^`]+)`(?!`)")
KINDS = {"sh", "python", "text", "diff", "{toctree}", "{eval-rst}", "{include} ../CONTRIBUTING.md"}
SLOW = {"train", "export", "calibrate", "compare"}  # minutes of work, or files that only this work makes
ENDLESS = {"listen", "serve"}  # until Ctrl-C, with a microphone or clients
FREE = {"arecord", "cd", "dask", "docker", "export", "ffmpeg", "git", "python3", "source", "sudo", "torchrun", "."}
FREE |= {"pre-commit"}
FILE = re.compile(r".*\.(wav|flac|ogg|mp3|onnx|ckpt|csv|json)")
COMMAND = str(Path(sys.executable).with_name("kws"))
OUTPUTS = {"-o", "--output"}
UNFINISHED = re.compile("arguments are required|one of the arguments|expected (at least )?one argument")


class Block(NamedTuple):
    """A fenced block; `reason` says why it is not run, "" for one that is."""

    kind: str
    source: str
    reason: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page; a block may be indented, as below an item of a list."""
    return [
        Block(found["kind"], textwrap.dedent(found["source"]), found["reason"] or "") for found in FENCE.finditer(text)
    ]


def split(line: str) -> list[list[str]]:
    """The words of each command of a line: `a && b` holds two."""
    found: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word in {"&&", "|"}:
            found.append([])
        else:
            found[-1].append(word)
    return found


def commands(text: str, run: bool | None = None) -> list[list[str]]:
    """The words of all commands of a page's ```sh blocks: of all blocks, or of those
    alone that are (not) run.
    """
    found = [block for block in blocks(text) if block.kind == "sh" and run in (None, not block.reason)]
    joined = "".join(block.source for block in found).replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines() if shlex.split(line, comments=True)]
    return [words for line in lines for words in split(line)]


def spans(text: str) -> list[list[str]]:
    """The words of what stands as a command within a sentence, and may be the beginning of one."""
    return [shlex.split(" ".join(span.split())) for span in SPAN.findall(FENCE.sub("", text))]


def each_once(found: list[list[str]]) -> list[list[str]]:
    return list({tuple(words): words for words in found}.values())


def files_named(words: list[str]) -> list[str]:
    """What a command reads: words that look like files and do not follow an option for output."""
    inputs = [word for before, word in zip(["", *words], words, strict=False) if before not in OUTPUTS]
    return [word for word in inputs if FILE.fullmatch(word) or ("/" in word and not word.startswith("-"))]


def is_runnable(words: list[str]) -> bool:
    """Of the words after `kws`: may a test run them, and is all here that they need?"""
    verb = words[0] if words else ""
    placeholders = [word for word in words if word.isupper()]
    hears_a_pipe = "-" in words  # from a program that may not be here
    may_run = verb not in SLOW | ENDLESS and not placeholders and not hears_a_pipe
    return may_run and all((ROOT / name).exists() for name in files_named(words))


def parse(words: list[str]) -> None:
    """The words after `kws` parse, and the recipe of `kws train` knows each key=value."""
    if words and words[0] in VERBS and "--help" not in words:
        args = verb_parser(words[0]).parse_args(words[1:])
        if words[0] == "train" and not args.recipe.endswith(".py"):
            chosen(args)
    else:
        assert main(words) == 0


def options(parser: ArgumentParser) -> set[str]:
    """The options of a parser and of its sub-commands."""
    found = set()
    for action in parser._actions:
        found.update(action.option_strings)
        if isinstance(action, _SubParsersAction):
            found.update(*map(options, action.choices.values()))
    return found


def mention(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The words after `kws` parse as far as they go: nothing is wrong, though something may be missing."""
    try:
        parse(words)
    except SystemExit:
        assert UNFINISHED.search(told := capsys.readouterr().err), told
        asked = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert asked <= options(verb_parser(words[0])), f"kws {words[0]} has no {asked}"


def name_what_exists(words: list[str]) -> None:
    """A command that is none of kws: what it names is in the repository."""
    tomllib = pytest.importorskip("tomllib", reason="python 3.11 brings it")
    first = Path(words[0]).name.removesuffix("3")
    if first == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    elif "pip" in words:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        asked = re.findall(r"(?:kws|\.)\[([^\]]*)\]", " ".join(words))
        assert {extra.strip() for group in asked for extra in group.split(",")} <= set(extras)
    elif words[1:3] == ["-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[3:] if "/" in word)
    elif words[1:2] == ["-m"]:
        assert find_spec(words[2]) is not None
    elif first == "python" and (words[1].endswith(".py") or "/" in words[1]):
        assert (ROOT / words[1]).exists()
    else:
        assert words[0] in FREE, f"what kind of command is `{shlex.join(words)}`?"


def link_the_tree(folder: Path) -> Path:
    """A folder in which a command finds the repository's files and leaves its own."""
    for name in [*FOLDERS.values(), "examples", "README.md", "pyproject.toml", "constraints.txt", "Makefile"]:
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(words: list[str], tree: Path) -> None:
    """Raises AssertionError with what the command says where it fails."""
    ran = subprocess.run(words, cwd=tree, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
