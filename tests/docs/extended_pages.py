"""The commands of docs/extend/ in a tree that has the diffs of these pages; test_extend.py runs it there.

By its name pytest does not collect it in the tree itself, which lacks what the commands name.
"""

import shlex
import sys

import pytest

import page_commands
from page_commands import blocks, commands, each_once, is_runnable
from trees import ROOT

PAGES = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "extend").glob("*.md"))]
COMMANDS = each_once([words for text in PAGES for words in commands(text)])
KWS = [words[1:] for words in COMMANDS if words[0] == "kws"]
PYTHON = [block.source for text in PAGES for block in blocks(text) if block.kind == "python"]


@pytest.mark.parametrize("words", KWS, ids=shlex.join)
def test_a_command_parses(words):
    page_commands.parse(words)


@pytest.mark.parametrize("words", [words for words in KWS if is_runnable(words)], ids=shlex.join)
def test_a_command_runs(words):
    page_commands.run([sys.executable, "-m", "kws", *words], ROOT)


@pytest.mark.parametrize("source", PYTHON)
def test_a_python_block_runs(source):
    page_commands.run([sys.executable, "-c", source], ROOT)


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] != "kws"], ids=shlex.join)
def test_other_commands_name_what_exists(words):
    page_commands.name_what_exists(words)
