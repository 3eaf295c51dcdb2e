"""Changes of a recipe's fields from the command line, `key=value`, checked against the fields' types."""

import ast
import dataclasses
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin, get_type_hints

from kws.errors import KwsError
from kws.train.recipe import Recipe


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """`recipe` with `key=value` applied, nested keys with dots: ``model.width=64``.

    Raises KwsError for an unknown key, naming the nearest known one, and for a value of the wrong type.
    """
    for assignment in assignments:
        key, given, text = assignment.partition("=")
        if not given:
            raise KwsError(f"{assignment!r} is not of the form key=value")
        recipe = _replace(recipe, key.split("."), text, key)
    return recipe


def _replace(value: Any, path: list[str], text: str, key: str) -> Any:
    hints = get_type_hints(type(value))
    name, rest = path[0], path[1:]
    if name not in hints:
        near = get_close_matches(name, hints, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(hints)}"
        raise KwsError(f"a recipe has no {key}: {advice}")
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
