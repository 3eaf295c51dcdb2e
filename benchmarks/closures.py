"""How much code stands behind a verb: the files that its module imports, and all that
these import.

    python benchmarks/closures.py kws.cli.detect kws.train.trainer kws.cli.score [--tree FOLDER] [--files]
    python benchmarks/closures.py --hear demo/hear.wav

Counts the import statements of kws, kws.demo, kws.export and kws.recipes, those inside
functions too. Left out: kws/__init__.py (it loads its names when they are asked for),
imports for types alone, and `__init__.py` files of five lines or fewer. Lines are all
lines of a file. --tree counts another commit, unpacked by `git archive`.

--hear counts instead the files in which a function runs while wake-words is opened and
hears a recording.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from kws import audio
from kws.runtime.keywords import open_detector
from kws.runtime.shipped import DEFAULT_MODEL

_FOLDERS = {"kws": "kws", "kws.demo": "demo", "kws.export": "export", "kws.recipes": "recipes"}
_TREE = Path(__file__).resolve().parents[1]
_SMALL = 5  # lines of an __init__.py that says nothing


def main() -> None:
    """Prints files and lines of each closure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--tree", type=Path, default=_TREE, metavar="FOLDER")
    parser.add_argument("--hear", metavar="FILE")
    parser.add_argument("--files", action="store_true", help="name the files, too")
    args = parser.parse_args()
    if args.hear:
        opening, hearing = walked(args.hear)
        print(f"{len(opening | hearing)} files to open and hear, {len(hearing)} of them to hear")
        for name in sorted(opening | hearing) if args.files else ():
            print(f"  {name}{'  hears' if name in hearing else ''}")
    files = modules(args.tree)
    for module in args.modules:
        lines = {name: len(files[name].read_text(encoding="utf-8").splitlines()) for name in closure(module, files)}
        said = {name: n for name, n in lines.items() if files[name].name != "__init__.py" or n > _SMALL}
        print(f"{module}: {len(said)} files, {sum(said.values())} lines")
        for name in sorted(said) if args.files else ():
            print(f"  {name} {said[name]}")


def walked(recording: str) -> tuple[set[str], set[str]]:
    """The files of kws in which a function runs while the model is opened, and while it
    hears.
    """
    opening: set[str] = set()
    hearing: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and frame.f_code.co_name != "<module>" and path.is_relative_to(_TREE / "kws"):
            (hearing if opened else opening).add(path.relative_to(_TREE).as_posix())

    opened = False
    sys.setprofile(note)
    stream = open_detector(DEFAULT_MODEL, []).stream()
    opened = True
    for block in audio.blocks(recording, 4 * 16_000):
        stream.push(block)
    stream.flush()
    sys.setprofile(None)
    return opening, hearing


def modules(tree: Path) -> dict[str, Path]:
    """The files of a tree by their dotted names."""
    found = {}
    for package, folder in _FOLDERS.items():
        for path in (tree / folder).rglob("*.py"):
            parts = [package, *path.relative_to(tree / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def closure(module: str, files: dict[str, Path]) -> set[str]:
    """The module and all that it needs."""
    seen, waiting = {"kws"}, [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += imports(name, files)
    return seen - {"kws"}


def imports(module: str, files: dict[str, Path]) -> Iterator[str]:
    """The modules of the tree that a file imports."""
    tree = ast.parse(files[module].read_text(encoding="utf-8"))
    for_types = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    left_out = {id(node) for branch in for_types for node in ast.walk(branch)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in left_out:
            yield from filter(None, (deepest(name, files) for name in names(node)))


def names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """What an import statement names; the project's own imports are absolute."""
    prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return [prefix + alias.name for alias in node.names]


def deepest(name: str, files: dict[str, Path]) -> str:
    """The module that a dotted name lies in; empty for what is not of the tree."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name


if __name__ == "__main__":
    main()
