"""Prose in Markdown is at most 88 columns wide."""

import re

import pytest
from test_links import FENCE

from trees import ROOT

WIDEST = 88
FOLDERS = ("docs", "recipes", "demo", "kws", "benchmarks", "tests", "examples")
DIFFS = ROOT / "docs" / "extend"  # pages that are read beside their diffs, and as wide
FOUND = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
PAGES = sorted(page for page in FOUND if not page.is_relative_to(DIFFS))
TARGET = re.compile(r"(?<=\])\([^)\s]+\)|https?://\S+")  # where a link leads cannot be broken
LIST = re.compile(r" *([-*:]|\d+\.) ")


def too_wide(text: str) -> list[str]:
    """Lines of prose that are too wide: not of code, tables, headings and pictures, and a link without its target."""
    found, is_code, in_list, before = [], False, False, ""
    for line in FENCE.sub("", text).splitlines():
        if line.strip():
            in_list = LIST.match(line) is not None or (in_list and line.startswith(" "))
            is_code = line.startswith("    ") and not in_list and (is_code or not before.strip())
        kept = is_code or line.lstrip().startswith(("|", "#", "!["))
        if not kept and len(TARGET.sub("", line)) > WIDEST:
            found.append(line)
        before = line
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_prose_is_narrow(page):
    assert too_wide(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("word " * 18, 1),
        ("- " + "word " * 18, 1),
        ("- item\n\n    " + "word " * 18, 1),
        ("A paragraph\n    " + "word " * 18, 1),
        ("| " + "word " * 18 + "|\n# " + "word " * 18, 0),
        ("```sh\n" + "word " * 18 + "\n```\n\n    " + "word " * 18 + "\n\n    " + "word " * 18, 0),
        ("see [this](" + "x" * 88 + ") and https://" + "x" * 88, 0),
        ("`" + "x" * 90 + "`", 1),
    ],
)
def test_the_rule_notices(text, count):
    assert len(too_wide(text)) == count
