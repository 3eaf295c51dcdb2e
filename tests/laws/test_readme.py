"""Every command of README.md and of the pages in docs/, held to what it says.

The convention: a command stands in a ```sh block, one a line (`\\` continues it, `#` starts a comment).
A command that several pages give is tried once.
- `kws VERB ...` must parse, and the recipe of `kws train` must know each key=value. It is also run, in a
  folder that looks like this repository, when every file that it names is in the repository and its verb
  is not in SLOW or ENDLESS: an example on your own recording, or on what a pipe brings, is only parsed.
- `make TARGET`, `pip install ...[extra]`, `python -m kws.module` and `python FILE.py` must name what exists.
- Anything else must begin with a word in FREE.
A ```python block is run as it stands, in the same folder. What must not run goes into another kind of block.
A ```text block is what the last command above it prints; a line `...` stands for lines that are left out.
"""

import re
import shlex
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from kws.cli.main import VERBS, main, verb_parser
from kws.cli.train import chosen
from trees import FOLDERS, ROOT

PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
SLOW = {"train", "export", "calibrate", "compare"}  # minutes of work, or files that only this work makes
ENDLESS = {"listen", "serve"}  # until Ctrl-C, with a microphone or clients
FREE = {"arecord", "cd", "dask", "docker", "export", "ffmpeg", "git", "python3", "source", "sudo", "torchrun", "."}
FILE = re.compile(r".*\.(wav|flac|ogg|mp3|onnx|ckpt|csv|json)")
COMMAND = str(Path(sys.executable).with_name("kws"))
OUTPUTS = {"-o", "--output"}


def blocks(language: str, page: str) -> list[str]:
    """The fenced blocks of a page in this language; a block may be indented, as below an item of a list."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGES[page], re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def split(line: str) -> list[list[str]]:
    """The words of each command of a line: `a && b` holds two."""
    found: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word in {"&&", "|"}:
            found.append([])
        else:
            found[-1].append(word)
    return found


def lines(page: str) -> list[str]:
    joined = "".join(blocks("sh", page)).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if shlex.split(line, comments=True)]


COMMANDS = list({tuple(words): words for page in PAGES for line in lines(page) for words in split(line)}.values())
KWS = [words[1:] for words in COMMANDS if words[0] == "kws"]
FENCED = re.compile(r"^ *```(sh|text)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
PYTHON = [pytest.param(source, id=f"{page}-{n}") for page in PAGES for n, source in enumerate(blocks("python", page))]


def files_named(words: list[str]) -> list[str]:
    """What a command reads: words that look like files and do not follow an option for output."""
    inputs = [word for before, word in zip(["", *words], words, strict=False) if before not in OUTPUTS]
    return [word for word in inputs if FILE.fullmatch(word) or ("/" in word and not word.startswith("-"))]


def is_runnable(words: list[str]) -> bool:
    verb = words[0] if words else ""
    placeholders = [word for word in words if word.isupper()]
    hears_a_pipe = "-" in words  # from a program that may not be here
    may_run = verb not in SLOW | ENDLESS and not placeholders and not hears_a_pipe
    return may_run and all((ROOT / name).exists() for name in files_named(words))


@pytest.fixture
def tree(tmp_path) -> Path:
    """A folder in which a command finds the repository's files and leaves its own."""
    for name in [*FOLDERS.values(), "README.md", "pyproject.toml", "constraints.txt", "Makefile"]:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_the_readme_has_commands_to_run():
    own = [words[1:] for line in lines("README.md") for words in split(line) if words[0] == "kws"]
    assert any(is_runnable(words) for words in own), "no `kws` line in a ```sh block can be run"


@pytest.mark.parametrize("words", KWS, ids=shlex.join)
def test_a_command_parses(words, capsys):
    if words and words[0] in VERBS:
        args = verb_parser(words[0]).parse_args(words[1:])
        if words[0] == "train" and not args.recipe.endswith(".py"):
            chosen(args)
    else:
        assert main(words) == 0


@pytest.mark.parametrize("words", [words for words in KWS if is_runnable(words)], ids=shlex.join)
def test_a_command_runs(words, tree):
    ran = subprocess.run([COMMAND, *words], cwd=tree, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("source", PYTHON)
def test_a_python_block_runs(source, tree):
    ran = subprocess.run([sys.executable, "-c", source], cwd=tree, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def printed() -> list[tuple[list[str], str]]:
    """Each ```text block of a page, behind the words of the last command above it."""
    found = []
    for text in PAGES.values():
        command: list[str] = []
        for language, block in FENCED.findall(text):
            block = textwrap.dedent(block)
            if language == "text":
                found.append((command, block))
            else:
                command = split(block.replace("\\\n", " ").splitlines()[-1])[-1]
    return found


def runs_as(command: list[str]) -> list[str]:
    """The command with this environment's programs; `make TARGET` is what the Makefile runs for it."""
    if command[0] != "make":
        assert is_runnable(command[1:]), f"a page shows what `{shlex.join(command)}` prints, and it cannot be run"
        return [COMMAND, *command[1:]]
    line = re.search(rf"^{command[1]}:.*\n\t\S+/python (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [sys.executable, *shlex.split(line[1])]


def is_shown(block: str, output: str) -> bool:
    """Does the output hold the block's lines in this order, with others at a `...` alone?"""
    runs = [re.escape(run.strip("\n")) for run in re.split(r"^\.\.\.\n", block, flags=re.MULTILINE)]
    return re.search("(^|\n)" + r"\n(?:.*\n)*?".join(run for run in runs if run) + "(\n|$)", output) is not None


@pytest.mark.parametrize(("command", "block"), printed(), ids=[shlex.join(command) for command, _ in printed()])
def test_a_page_shows_what_a_command_prints(command, block, tree):
    ran = subprocess.run(runs_as(command), cwd=tree, capture_output=True, text=True)
    assert is_shown(block, ran.stdout + ran.stderr), ran.stdout + ran.stderr


def test_the_rule_notices_what_a_command_does_not_print():
    output = "one 0.91\ntwo\nthree\nfour\n"
    shown = ["one 0.91\n", "one 0.91\n...\nfour\n", "two\n...\nthree\n...\n"]
    breaches = ["one 0.92\n", "one\n", "two\nfour\n", "four\n...\none 0.91\n", "ne 0.91\n"]
    assert [is_shown(block, output) for block in shown + breaches] == [True] * len(shown) + [False] * len(breaches)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] != "kws"], ids=shlex.join)
def test_other_commands_name_what_exists(words):
    tomllib = pytest.importorskip("tomllib", reason="python 3.11 brings it")
    first = words[0].removesuffix("3")
    if first == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    elif "pip" in words:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        asked = re.findall(r"(?:kws|\.)\[([^\]]*)\]", " ".join(words))
        assert {extra.strip() for group in asked for extra in group.split(",")} <= set(extras)
    elif words[:2] == [words[0], "-m"] and words[2].startswith("kws"):
        assert find_spec(words[2]) is not None
    elif first == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] in FREE, f"what kind of command is `{shlex.join(words)}`?"
