"""Every command of the pages, held to what it says.

The convention: a command stands in a ```sh block, one a line (`\\` continues it, `#` starts a comment).
A command that several pages give is tried once.
- `kws VERB ...` must parse, and the recipe of `kws train` must know each key=value. It is also run, in a
  folder that looks like this repository, when every file that it names is in the repository and its verb
  is not in SLOW or ENDLESS: an example on your own recording, or on what a pipe brings, is only parsed.
- `make TARGET`, `pip install ...[extra]`, `python -m kws.module` and `python FILE.py` must name what exists.
- Anything else must begin with a word in FREE.
A ```python block is run as it stands, in the same folder. Where a block cannot run, the line
`<!-- not run: WHY -->` stands above it: its Python must compile, and its commands must parse.
A ```text block is what the last command above it prints; a line `...` stands for lines that are left out.
A command within a sentence, between backticks, may be the beginning of one: what there is of it must parse.

Pages with a ```diff block speak of a tree that has the diff: tests/docs/test_extend.py tries them in such a tree.
"""

import re
import shlex
import subprocess
import sys
from functools import cache

import pytest

import page_commands
from page_commands import COMMAND, KINDS, Block, blocks, commands, each_once, is_runnable, spans
from trees import ROOT

FOLDERS = ("docs", "kws", "recipes", "demo", "benchmarks", ".github")
FILES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
FILES += [page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in FILES}
PAGES = {page: text for page, text in TEXTS.items() if not any(block.kind == "diff" for block in blocks(text))}

KWS = each_once([words[1:] for text in PAGES.values() for words in commands(text) if words[0] == "kws"])
RUN = each_once([words[1:] for text in PAGES.values() for words in commands(text, run=True) if words[0] == "kws"])
OTHERS = each_once([words for text in PAGES.values() for words in commands(text) if words[0] != "kws"])
SPANS = each_once([words for text in TEXTS.values() for words in spans(text)])
PYTHON = [
    pytest.param(block, id=f"{page}-{number}")
    for page, text in PAGES.items()
    for number, block in enumerate(block for block in blocks(text) if block.kind == "python")
]


@pytest.fixture
def tree(tmp_path):
    return page_commands.link_the_tree(tmp_path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What a command printed and how it ended, in a folder of its own; a command that is tried twice runs once."""

    @cache
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        folder = page_commands.link_the_tree(tmp_path_factory.mktemp("ran"))
        return subprocess.run(words, cwd=folder, capture_output=True, text=True)

    return run


def test_the_readme_has_commands_to_run():
    own = [words[1:] for words in commands(PAGES["README.md"]) if words[0] == "kws"]
    assert any(is_runnable(words) for words in own), "no `kws` line in a ```sh block can be run"


@pytest.mark.parametrize("page", TEXTS)
def test_every_block_is_of_a_kind_that_is_tried_or_shows_no_command(page):
    found = blocks(TEXTS[page])
    assert {block.kind for block in found} <= KINDS
    assert 2 * len(found) == TEXTS[page].count("```"), "a block is not closed, or its mark does not stand above it"
    assert TEXTS[page].count("<!-- not run:") == sum(bool(block.reason) for block in found)


def test_a_block_of_another_form_is_noticed():
    shown = "<!-- not run: it needs a cluster -->\n```sh\nkws score X\n```\n"
    assert blocks(shown) == [Block("sh", "kws score X\n", "it needs a cluster")]
    assert commands(shown, run=True) == [] and commands(shown) == [["kws", "score", "X"]]
    assert not {block.kind for block in blocks("```{code-block} sh\nkws score X\n```\n")} <= KINDS
    assert spans("say `kws\nscore X`, `kws`, ``kws `` and\n```sh\n`kws score Y`\n```\n") == [["kws", "score", "X"]]


@pytest.mark.parametrize("words", KWS, ids=shlex.join)
def test_a_command_parses(words):
    page_commands.parse(words)


@pytest.mark.parametrize("words", [words for words in RUN if is_runnable(words)], ids=shlex.join)
def test_a_command_runs(words, ran):
    done = ran(COMMAND, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", PYTHON)
def test_a_python_block_runs(block, tree):
    if block.reason:
        compile(block.source, "a block", "exec")
    else:
        page_commands.run([sys.executable, "-c", block.source], tree)


def printed() -> list[tuple[list[str], str]]:
    """Each ```text block of a page that has a command above it, behind the words of the last one."""
    found = []
    for text in PAGES.values():
        command: list[str] = []
        for block in blocks(text):
            if block.kind == "sh":
                command = [[], *commands(f"```sh\n{block.source}```\n")][-1]
            elif block.kind == "text" and command:
                found.append((command, block.source))
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
def test_a_page_shows_what_a_command_prints(command, block, ran):
    done = ran(*runs_as(command))
    assert is_shown(block, done.stdout + done.stderr), done.stdout + done.stderr


def test_the_rule_notices_what_a_command_does_not_print():
    output = "one 0.91\ntwo\nthree\nfour\n"
    shown = ["one 0.91\n", "one 0.91\n...\nfour\n", "two\n...\nthree\n...\n"]
    breaches = ["one 0.92\n", "one\n", "two\nfour\n", "four\n...\none 0.91\n", "ne 0.91\n"]
    assert [is_shown(block, output) for block in shown + breaches] == [True] * len(shown) + [False] * len(breaches)


@pytest.mark.parametrize("words", OTHERS, ids=shlex.join)
def test_other_commands_name_what_exists(words):
    page_commands.name_what_exists(words)


@pytest.mark.parametrize("words", SPANS, ids=shlex.join)
def test_a_command_within_a_sentence_parses_as_far_as_it_goes(words, capsys):
    if words[0] == "kws":
        page_commands.mention(words[1:], capsys)
    else:
        page_commands.name_what_exists(words)


@pytest.mark.parametrize("words", [["score", "--condition", "cold"], ["listn"], ["data", "gett"], ["train", "tinny"]])
def test_a_wrong_command_within_a_sentence_is_noticed(words, capsys):
    with pytest.raises((AssertionError, page_commands.KwsError)):
        page_commands.mention(words, capsys)
