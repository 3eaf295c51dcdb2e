"""report.json as types: the bytes that it had before there were any, and the fields of its schema and of the page."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib import resources
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest

import scored
from kws.cli.main import main
from kws.errors import KwsError
from kws.evaluate.report.compare import read_report
from kws.evaluate.report.model import Interval, Report
from kws.jsonable import hints
from pages import page_of

STORED = Path(__file__).parent / "stored"  # written by kws 0.1.0 at commit ed5a0c2, see stored/README.md
SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def test_a_stored_report_is_read_and_written_to_the_byte():
    for path in STORED.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        report = Report.from_json(text)
        assert without_added(report.to_json(), text) == text
        assert (report.rules.gain_db, report.rules.channel) == (0.0, None)  # how all was heard that was heard then


def without_added(text: str, stored: str) -> str:
    """A report without the fields that were added since `stored` was written: each has a default in its type."""
    return json.dumps(_without_added(json.loads(text), json.loads(stored), Report), indent=1)


def _without_added(value: Any, stored: Any, kind: Any) -> Any:
    if NoneType in get_args(kind):
        kind = next(part for part in get_args(kind) if part is not NoneType)
    if is_dataclass(kind) and isinstance(value, dict) and isinstance(stored, dict):
        added = {field.name for field in fields(kind) if field.default is not MISSING} - set(stored)
        kinds = hints(kind)
        return {
            name: _without_added(item, stored.get(name), kinds[name])
            for name, item in value.items()
            if name not in added
        }
    if get_origin(kind) is Mapping and isinstance(value, dict) and isinstance(stored, dict):
        return {name: _without_added(item, stored.get(name), get_args(kind)[1]) for name, item in value.items()}
    if get_origin(kind) is tuple and kind is not Interval and isinstance(value, list) and len(value) == len(stored):
        return [_without_added(item, before, get_args(kind)[0]) for item, before in zip(value, stored, strict=True)]
    return value


@pytest.fixture(scope="module")
def scored_again(without_figures, tmp_path_factory) -> Path:
    """The folder in which the stored scoring was done again."""
    pytest.importorskip("scipy")
    pytest.importorskip("tqdm")
    folder = tmp_path_factory.mktemp("scored")
    scored.write_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (scored.BEFORE, scored.NOW):
            patch.setattr(sys, "argv", ["kws", *words])
            assert main(words) == 0
    return folder


@pytest.mark.parametrize("name", ["before", "now"])
def test_the_same_scoring_gives_the_stored_report(name, scored_again):
    """Every key in its order and every value; of floats all but the last digits, which are the machine's."""
    text = (scored_again / name / "report.json").read_text(encoding="utf-8").replace(str(scored_again), "FOLDER")
    at_the_time = (STORED / f"{name}.json").read_text(encoding="utf-8")
    found, stored = (list(leaves(json.loads(one))) for one in (without_added(text, at_the_time), at_the_time))
    assert [place for place, _ in found] == [place for place, _ in stored]
    for (place, value), (_, before) in zip(found, stored, strict=True):
        same = pytest.approx(before, rel=1e-9, abs=1e-12) if isinstance(before, float) else before
        is_peak = isinstance(before, float) and place.startswith(".accepts[].score")  # kws 0.1.0 had the first crossing
        assert type(value) is type(before) and (value >= before if is_peak else value == same), place


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(place, value) of everything in a JSON value that holds nothing else, in order."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{place}.{name}")
    elif isinstance(value, list):
        yield f"{place}[]", len(value)
        for item in value:
            yield from leaves(item, f"{place}[]")
    else:
        yield place, value


SCHEMA = json.loads((resources.files("kws.evaluate.report") / "report.schema.json").read_text("utf-8"))


def test_the_schema_and_the_types_say_the_same():
    assert list(differences(Report, SCHEMA, "Report")) == []


def differences(kind: Any, schema: dict[str, Any], place: str, may_be_missing: bool = False) -> Iterator[str]:
    """Where a type and a schema differ: fields that one of them lacks, types, and what is required."""
    schema = resolved(schema)
    options = [resolved(option) for option in schema.get("oneOf", [])]
    nullable = any(option.get("type") == "null" for option in options)
    if may_be_missing and not nullable:
        kind = next(part for part in (*get_args(kind), kind) if part is not NoneType)  # None is never written
    if (NoneType in get_args(kind)) != nullable:
        yield f"{place}: null in one of them alone"
        return
    if nullable:
        (kind,) = (part for part in get_args(kind) if part is not NoneType)
        (schema,) = (option for option in options if option.get("type") != "null")
    if is_dataclass(kind):
        yield from field_differences(kind, schema, place)
    elif kind is not Interval and get_origin(kind) is tuple:
        yield from differences(get_args(kind)[0], schema["items"], f"{place}[]")
    elif get_origin(kind) is Mapping:
        yield from differences(get_args(kind)[1], schema["additionalProperties"], f"{place}.*")
    elif not plain_and_the_same(kind, schema):
        yield f"{place}: {kind} and {schema}"


def field_differences(kind: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    required = {field.name for field in fields(kind) if field.default is MISSING}
    if set(hints(kind)) != set(schema["properties"]):
        yield f"{place}: {set(hints(kind)) ^ set(schema['properties'])}"
    elif required != set(schema["required"]):
        yield f"{place}: required {required ^ set(schema['required'])}"
    else:
        for name, part in hints(kind).items():
            yield from differences(part, schema["properties"][name], f"{place}.{name}", name not in required)


def plain_and_the_same(kind: Any, schema: dict[str, Any]) -> bool:
    """Of what holds no other type."""
    if kind is Interval:
        return (schema["items"], schema["minItems"], schema["maxItems"]) == ({"type": "number"}, 3, 3)
    if get_origin(kind) is Literal:
        return list(get_args(kind)) == schema["enum"]
    if "const" in schema:
        return type(schema["const"]) is kind
    return SCALARS[kind] == schema["type"]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema or "allOf" in schema:
        name = schema["$ref"].rpartition("/")[2] if "$ref" in schema else None
        schema = SCHEMA["$defs"][name] if name else schema["allOf"][0]
    return schema


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (("properties", "rates", "items", "type"), "string"),
        (("$defs", "count", "required"), ["positives", "misses"]),
        (("properties", "trials", "items", "properties", "more"), {"type": "string"}),
        (("$defs", "point", "properties", "threshold"), {"type": "number"}),
    ],
)
def test_a_difference_is_noticed(path, change, monkeypatch):
    changed = json.loads(json.dumps(SCHEMA))
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = change
    monkeypatch.setitem(globals(), "SCHEMA", changed)
    assert list(differences(Report, changed, "Report"))


def test_what_an_earlier_kws_did_not_write_may_be_missing():
    values = json.loads((STORED / "now.json").read_text())
    del values["data"]["digests"], values["rules"]["accepts_condition"]
    for trial in values["trials"]:
        del trial["latency_ms"]
    report = Report.from_json(json.dumps(values))
    assert report.data.digests is None and report.trials[0].latency_ms is None
    assert report.rules.accepts_condition == "clean"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema": 2}, "schema 2 and this kws reads 1"),
        ({"rates": None}, "rates is not a list"),
        ({"all": {}}, "all.points is missing"),
        ({"trials": [{"audio": 3}]}, "trials\\[0\\].audio is not of type str"),
        ({"conditions": "clean"}, "conditions is not a list"),
    ],
)
def test_what_is_no_report_is_one_sentence(change, sentence, tmp_path):
    values = json.loads((STORED / "now.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(KwsError, match=rf"report\.json is not a report of kws score: .*{sentence}"):
        read_report(tmp_path)


def test_the_pages_scripts_read_no_field_that_the_page_does_not_have(tmp_path):
    """Names with an underscore are ours: what browsers offer is in camelCase."""
    web = resources.files("kws.evaluate.report.page") / "web"
    scripts = "\n".join(path.read_text("utf-8") for path in web.iterdir() if path.name.endswith(".js"))
    scripts = re.sub(r"//[^\n]*", "", scripts)
    read = set(re.findall(r"\.([a-z0-9]+(?:_[a-z0-9]+)+)\b", scripts))
    read |= set(re.findall(r"\{[^{}]*?\b([a-z]+_[a-z_]+)\b[^{}]*\} =", scripts))
    page = page_of(json.loads((STORED / "now.json").read_text()), tmp_path)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page).group(1))
    known = {name for place, _ in leaves(data) for name in re.findall(r"[A-Za-z0-9_]+", place)}
    assert "at_most" in read and "fa_per_hour" in read and read <= known
