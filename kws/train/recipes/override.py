"""Changes of a recipe's fields from the command line, `key=value`, checked against the
fields' types.
"""

import ast
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from kws.errors import KwsError, nearest
from kws.train.recipe import Recipe
from kws.train.verifier.recipe import VerifierRecipe

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe | VerifierRecipe)


def override(recipe: AnyRecipe, assignments: Sequence[str]) -> AnyRecipe:
    """`recipe` with `key=value` applied; nested keys have dots.

    A key may leave out its first parts as long as only one field has that name:
    ``steps=10`` is ``optim.steps=10``, ``model.width=64`` is ``task.model.width=64``.

    Raises KwsError for an unknown key, naming the nearest known one, for a key that may
    be one of several, and for a value of the wrong type.
    """
    for assignment in assignments:
        key, given, text = assignment.partition("=")
        if not given:
            raise KwsError(f"{assignment!r} is not of the form key=value")
        first, *rest = key.split(".")
        recipe = _replace(recipe, [*_path_to(first, recipe, key), *rest], text, key)
    return recipe


def _path_to(name: str, recipe: AnyRecipe, key: str) -> list[str]:
    """The full path of the field called `name`, wherever in the recipe it is."""
    paths = list(_paths(recipe))
    found = [path for path in paths if path[-1] == name]
    if not found:
        raise KwsError(f"a recipe has no {key}: {nearest(name, [path[-1] for path in paths])}")
    if len(found) > 1:
        raise KwsError(f"{key} may be {' or '.join('.'.join(path) for path in found)}: give the whole name")
    return found[0]


def _paths(value: Any, before: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """The paths of all fields of a dataclass and of the dataclasses that are its fields
    by type.
    """
    for name, kind in get_type_hints(type(value)).items():
        yield [*before, name]
        if dataclasses.is_dataclass(kind):
            yield from _paths(getattr(value, name), (*before, name))


def _replace(value: Any, path: list[str], text: str, key: str) -> Any:
    hints = get_type_hints(type(value))
    name, rest = path[0], path[1:]
    if name not in hints:
        raise KwsError(f"a recipe has no {key}: {nearest(name, list(hints))}")
    if rest:
        inner = getattr(value, name)
        if not dataclasses.is_dataclass(inner):
            raise KwsError(f"{key}: {name} has no parts")
        return dataclasses.replace(value, **{name: _replace(inner, rest, text, key)})
    return dataclasses.replace(value, **{name: _parse(text, hints[name], key)})


def _parse(text: str, kind: Any, key: str) -> Any:
    if kind is str:
        return text
    try:
        parsed = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise KwsError(f"{key}={text}: expected {_type_name(kind)}") from None
    if kind is float and isinstance(parsed, int):
        parsed = float(parsed)
    if not _fits(parsed, kind):
        raise KwsError(f"{key}={text}: expected {_type_name(kind)}")
    return parsed


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        kinds = [parts[0]] * len(value) if isinstance(value, tuple) and parts[-1] is ... else list(parts)
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _type_name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if not get_args(kind) else str(kind)
