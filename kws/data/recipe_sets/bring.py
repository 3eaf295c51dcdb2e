"""`kws data get --for RECIPE`: every folder that a recipe needs, fetched or made."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.data.corpora.base import AbsentError
from kws.data.manifest import describe, read_manifest
from kws.data.prepare.build import MARKER
from kws.data.recipe_sets import teachers
from kws.data.recipe_sets.made import MADE, Making
from kws.data.recipe_sets.public import PUBLIC
from kws.data.recipe_sets.teachers import TEACHERS
from kws.errors import KwsError, named
from kws.log import Log
from kws.train.recipes.shipped import shipped_files

if TYPE_CHECKING:
    from importlib.abc import Traversable

_FILES = ("recipe.py", "study.py")
_CONSTANT, _TEACHER = "CORPORA", "TEACHER"


def corpora_of(recipe: str) -> tuple[str, ...]:
    """The constant CORPORA of a recipe or a study: one that ships, a folder, or a file.
    It is read and not run.

    Raises KwsError where there is no such file, or no such constant in it.
    """
    source = _source(recipe)
    if (named := _constant(source, _CONSTANT)) is None:
        raise KwsError(f"{source} has no constant {_CONSTANT} that names the folders of corpora it needs")
    return tuple(named)


def teacher_of(recipe: str) -> str | None:
    """The teacher that a recipe's constant TEACHER names, which is read in the same
    way; KwsError where nothing is known of it.
    """
    name = _constant(_source(recipe), _TEACHER)
    if name is None:
        return None
    if not isinstance(name, str) or name not in TEACHERS:
        raise KwsError(f"nothing is known of a teacher {name!r}: there are {' and '.join(TEACHERS)}")
    return name


def _constant(source: Traversable | Path, name: str) -> Any:
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    return None


def shipped() -> dict[str, Traversable]:
    """The recipes and studies that are installed with kws, by name."""
    return shipped_files(*_FILES)


def _source(recipe: str) -> Traversable | Path:
    path = Path(recipe)
    for file in (path, *(path / name for name in _FILES)):
        if file.is_file() and file.suffix == ".py":
            return file
    return named(recipe, shipped(), "recipe", "give a .py file or a shipped one")


def bring_all(names: tuple[str, ...], making: Making, log: Log) -> list[str]:
    """Brings the sets of these names and the sets that they are made of, one line to
    `log` for each; returns the names of the missing ones.
    """
    return [name for name in with_needs(names) if not _brought(name, partial(_bring, name, making), log)]


def bring_teacher(name: str, making: Making, log: Log) -> list[str]:
    """Brings a teacher below the folder of the models, as `bring_all` does."""
    how = partial(teachers.bring_teacher, name, making.models, making.download)
    return [] if _brought(name, how, log) else [name]


def _brought(name: str, bring: Callable[[], str], log: Log) -> bool:
    try:
        log(f"{name}: {bring()}")
    except KwsError as error:
        usual = ": add --download to fetch it" if isinstance(error, AbsentError) else ""
        log(f"{name}: missing, {error}{usual}")
        return False
    return True


def with_needs(names: tuple[str, ...]) -> list[str]:
    """The names, and those of the sets that they are made of, public sets first.
    KwsError for a name that no set here has.
    """
    for name in names:
        named(name, {**PUBLIC, **MADE}, "set")
    needed = {need for name in names if name in MADE for need in MADE[name].needs}
    return [name for name in (*PUBLIC, *MADE) if name in needed or name in names]


def _bring(name: str, making: Making) -> str:
    root = making.folder / name
    manifest = root / "manifest.csv"
    if name in MADE:
        before = manifest.stat().st_mtime_ns if manifest.exists() else 0
        if absent := [need for need in MADE[name].needs if not (making.folder / need / "manifest.csv").exists()]:
            raise KwsError(f"it is made of {' and '.join(absent)}, which is missing, too")
        MADE[name].make(making, root)
        state = "done before" if manifest.stat().st_mtime_ns == before else "made"
        return f"{state}, {describe(read_manifest(root))}"
    if manifest.exists() and not (root / MARKER).exists():
        return f"there already and left as it is, {describe(read_manifest(root))}"
    fetched = PUBLIC[name].fetch(making.folder) if making.download else False
    prepared = PUBLIC[name].prepare(making.folder)
    state = "fetched" if fetched else "prepared" if prepared.fresh else "done before"
    skipped = (
        f", {len(prepared.skipped)} files of no use are named in {root / 'skipped.csv'}" if prepared.skipped else ""
    )
    return f"{state}, {describe(prepared.rows)}{skipped}"
