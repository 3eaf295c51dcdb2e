"""What the pages and the code point at is there: links, headings, the files and functions that the architecture page
names, and every path and dotted name of this tree that stands in it."""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

from trees import FOLDERS, NAMES, ROOT

TOP = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "recipes").rglob("*.md"))]
FENCE = re.compile(r"^( *)(`{3,}|:{3,}).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\(([^)\s]+)(?: +\"[^\"]*\")?\)")
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
TARGET = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)  # MyST's own anchors
ROW = re.compile(r"^\|[^|\n]*\|([^|\n]*)\|([^|\n]*)\|$", re.MULTILINE)
ARCHITECTURE = ROOT / "docs" / "architecture.md"
IN_TREE = ("kws", "demo", "export", "recipes", "docs", "tests", "benchmarks", "examples")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(IN_TREE)})/[\w./*-]*[\w*/]")
DOTTED = re.compile(r"(?<![\w./-])kws(?:\.\w+)+")
PLACEHOLDERS = {"NAME", "VERB"}
HISTORY = {ROOT / "CHANGELOG.md", ROOT / "tests" / "laws" / "test_links.py"}  # tells of what was; holds the breaches
INVENTED = (ROOT / "tests", ROOT / "docs" / "extend")  # pretended modules, and modules that a reader is to write


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """A page without its fenced blocks and code spans."""
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The names of a page's headings, as GitHub and MyST make them."""
    found: dict[str, int] = {}
    names = set(TARGET.findall(text))
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return names


def broken_links(text: str, folder: Path) -> list[str]:
    broken = []
    for link in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", link):  # another site, which a test does not ask
            continue
        path, _, anchor = unquote(link).partition("#")
        page = (folder / path).resolve() if path else None
        if page is not None and not page.exists():
            broken.append(f"{link}: there is no {path}")
        elif anchor and anchor not in anchors(text if page is None else text_of(page)):
            broken.append(f"{link}: there is no heading for #{anchor}")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page):
    assert broken_links(text_of(page), page.parent) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[a](no-such.md)", 1),
        ("[a](README.md#no-such-heading)", 1),
        ("# A `b` c\n[a](#a-b-c) [a](#a-b) ![p](no.png)", 2),
        ("```\n[a](no.md)\n```\n`[a](no.md)` [a](https://example.org/no.md) [a](README.md)", 0),
        ("# Two\n# Two\n[a](#two-1) [a](#two-2)", 1),
        ("(mine)=\n# Two\n[a](#mine)", 0),
    ],
)
def test_the_rule_notices(text, count):
    assert len(broken_links(text, ROOT)) == count


def defined(file: str) -> set[str]:
    """The dotted names of what a file defines: functions, classes, methods, constants."""
    if file.endswith(".js"):
        return set(re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", text_of(ROOT / file), re.MULTILINE))
    names = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    visit(ast.parse(text_of(ROOT / file)).body, "")
    return names


def pictures(name: str) -> ModuleType:
    """docs/pictures/NAME.py."""
    folder = ROOT / "docs" / "pictures"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


def missing(places: list[tuple[str, str]]) -> list[str]:
    gone = [f"there is no {file}" for file, _ in places if not (ROOT / file).is_file()]
    there = [(file, name) for file, name in places if (ROOT / file).is_file()]
    return gone + [f"{file} has no {name}" for file, name in there if name not in defined(file)]


def misplaced(page: str) -> list[str]:
    """Files and names of the table "Where is ...?" that are not there. A row has as many
    names as files, each name in its file, or one name, in any of the files.
    """
    bad = []
    for where, what in ROW.findall(page.partition("## Where is")[2])[2:]:  # below the head and its line
        files, names = (re.findall(r"`([^`]+)`", cell) for cell in (where, what))
        if gone := [file for file in files if not (ROOT / file).is_file()]:
            bad += [f"there is no {file}" for file in gone]
        elif len(names) == len(files):
            bad += missing(list(zip(files, names, strict=True)))
        elif len(names) != 1 or not any(names[0] in defined(file) for file in files):
            bad.append(f"{', '.join(files)}: {', '.join(names)}")
    return bad


def test_what_the_architecture_page_names_is_there():
    page = text_of(ARCHITECTURE)
    assert len(ROW.findall(page.partition("## Where is")[2])) >= 50 and misplaced(page) == []


@pytest.mark.parametrize(
    ("row", "count"),
    [
        ("`kws/units.py` | `SAMPLE_RATE`", 0),
        ("`kws/units.py` | `no`", 1),
        ("`kws/no.py` | `f`", 1),
        ("`kws/units.py`, `kws/errors.py` | `SAMPLE_RATE`, `nearest`", 0),
        ("`kws/units.py`, `kws/errors.py` | `nearest`, `SAMPLE_RATE`", 2),
        ("`kws/units.py`: all but `kws/errors.py` | `nearest`", 0),
        ("`kws/units.py`, `kws/no.py` | `SAMPLE_RATE`", 1),
        ("`kws/units.py` | ", 1),
    ],
)
def test_a_row_that_names_what_is_not_there_is_noticed(row, count):
    assert (
        len(misplaced(f"## Where is ...?\n\n| question | file | name |\n|---|---|---|\n| What? | {row} |\n")) == count
    )


def test_what_the_pictures_name_is_there():
    steps = [step for walk in pictures("walks").WALKS.values() for step in walk.steps]
    assert missing([tuple(step.where.split(": ")) for step in steps]) == []


def test_the_pictures_are_those_that_the_script_draws():
    folder = ROOT / "docs" / "pictures"
    drawn = pictures("draw").pictures()
    kept = {path.name: text_of(path) for path in folder.glob("*.svg")}
    assert kept == drawn, "python docs/pictures/draw.py writes them anew"
    assert all(f"pictures/{name}" in text_of(ARCHITECTURE) for name in drawn)


def sources() -> list[Path]:
    """The files in which names are looked for."""
    found = [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml"} or path.name == "Makefile"]
    for folder in IN_TREE:
        found += [path for kind in ("py", "md", "js", "toml") for path in (ROOT / folder).rglob(f"*.{kind}")]
    return sorted(set(found) - HISTORY)


def installed(path: str) -> str:
    """kws/demo/x, as a wheel has it, lies at demo/x here."""
    ours = [folder for folder in FOLDERS.values() if path.startswith(f"kws/{folder}/")]
    return path.removeprefix("kws/") if ours else path


def stale_paths(text: str) -> list[str]:
    paths = {path for path in PATH.findall(text) if not PLACEHOLDERS & set(re.split(r"\W", path))}
    return sorted(path for path in paths if not any(ROOT.glob(installed(path))))


def says(module: str, names: list[str]) -> bool:
    """Does the file of a module define these names, one inside the other, or import the first?"""
    source = NAMES[module].relative_to(ROOT).as_posix()
    imports = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(text_of(ROOT / source)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return not names or names[0] in imports or ".".join(names) in defined(source)


def stale_names(text: str) -> list[str]:
    """Dotted names that begin with a module of kws, and go on to what is not in it."""
    stale = []
    for name in {name for name in DOTTED.findall(text) if not PLACEHOLDERS & set(name.split("."))}:
        parts = name.split(".")
        deepest = max(count for count in range(1, len(parts) + 1) if ".".join(parts[:count]) in NAMES)
        if deepest > 1 and not says(".".join(parts[:deepest]), parts[deepest:]):
            stale.append(name)
    return sorted(stale)


def test_every_path_and_module_that_is_named_in_the_tree_is_there():
    stale = {}
    for file in sources():
        text = text_of(file)
        invented = any(file.is_relative_to(folder) for folder in INVENTED)
        if found := stale_paths(text) + ([] if invented else stale_names(text)):
            stale[file.relative_to(ROOT).as_posix()] = found
    assert stale == {}


def test_the_rule_notices_stale_names():
    text = "tests/no.py kws/models/*.md (kws/no/) kws/demo/web/ https://x.org/kws/no.py kws/cli/NAME.py kws/units.py:"
    assert stale_paths(text) == ["kws/no/", "tests/no.py"]
    text = (
        "kws.data.sources.gone kws.units.SAMPLE_RATE kws.units.no kws.cli.VERB kws.verifier kws.Detector kws.events.."
    )
    assert stale_names(text) == ["kws.data.sources.gone", "kws.units.no"]
