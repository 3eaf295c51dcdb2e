"""Dataclasses from JSON: each value is checked against the type that its field
declares.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from kws.errors import KwsError


def decode(kind: Any, value: Any, where: str = "") -> Any:
    """A parsed JSON value as the type `kind`.

    kind: a dataclass, a NamedTuple, tuple[X, ...], Mapping[str, X], X | None, a
    Literal, float, int, str, bool or Any, nested in any way. where: the place of the
    value in its document, for messages. A field that has a default may be missing;
    fields that the dataclass does not have are passed over, since a later version may
    add some.

    Raises KwsError with a sentence that names the place of the first value of another
    type.
    """
    place = where or "the top level"
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, tuple):
        return _named_tuple(kind, value, place)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is tuple:
        demand(isinstance(value, list), f"{place} is not a list")
        return tuple(decode(parts[0], item, f"{place}[{i}]") for i, item in enumerate(value))
    if origin in (types.UnionType, Union):  # X | None is the only union here
        return None if value is None else decode(parts[0], value, where)
    if origin is Mapping:
        demand(isinstance(value, dict), f"{place} is not an object")
        return {name: decode(parts[1], item, f"{place}.{name}") for name, item in value.items()}
    if origin is Literal:
        demand(value in parts, f"{place} is none of {', '.join(map(str, parts))}")
        return value
    return _scalar(kind, value, place)


def demand(condition: bool, sentence: str) -> None:
    """Raises KwsError with the sentence unless the condition holds."""
    if not condition:
        raise KwsError(sentence)


@cache
def hints(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's or a NamedTuple's fields, by name."""
    return get_type_hints(kind)


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    demand(isinstance(value, dict), f"{where or 'the top level'} is not an object")
    arguments = {}
    for field in fields(kind):
        place = f"{where}.{field.name}" if where else field.name
        if field.name in value:
            arguments[field.name] = decode(hints(kind)[field.name], value[field.name], place)
        else:
            demand(field.default is not MISSING, f"{place} is missing")
    return kind(**arguments)


def _named_tuple(kind: Any, value: Any, place: str) -> Any:
    types_of = list(hints(kind).values())
    demand(isinstance(value, list) and len(value) == len(types_of), f"{place} is not a list of {len(types_of)}")
    return kind(*(decode(t, item, f"{place}[{i}]") for i, (t, item) in enumerate(zip(types_of, value, strict=True))))


def _scalar(kind: Any, value: Any, place: str) -> Any:
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        demand(number and abs(value) <= sys.float_info.max, f"{place} is not a number")
        return float(value)
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    demand(right, f"{place} is not of type {kind.__name__}")
    return value
