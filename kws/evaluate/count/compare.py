"""Two systems on the same recordings: who misses what the other hears."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kws.errors import KwsError
from kws.evaluate.count.intervals import mcnemar, paired_bootstrap
from kws.evaluate.replay.conditions import ROOM
from kws.evaluate.replay.recording import CLEAN
from kws.evaluate.report.build import SCHEMA, count_json

Json = dict[str, Any]


def read_report(path: Path) -> Json:
    """The report.json at `path`, or in the folder `path`. Raises KwsError for anything else."""
    path = path / "report.json" if path.is_dir() else path
    if not path.is_file():
        raise KwsError(f"there is no report at {path}: `kws score -o DIR` writes one")
    try:
        report: Json = json.loads(path.read_text(encoding="utf-8"))
        schema = report["schema"]
        if schema == SCHEMA:
            _check(report)
            _curves(report, report["keywords"])
    except (ValueError, KeyError, TypeError) as error:
        raise KwsError(f"{path} is not a report of kws score ({type(error).__name__}: {error})") from error
    if schema != SCHEMA:
        raise KwsError(f"{path} has schema {schema} and this kws reads {SCHEMA}: score again")
    return report


def _check(report: Json) -> None:
    """Raises ValueError, KeyError or TypeError for what lacks a part that comparing needs."""
    _, rates, missed = _parts(report)
    if not all(isinstance(points, list) and len(points) == 1 + len(rates) for points in missed.values()):
        raise ValueError(f"a trial does not say of each of {len(rates)} rates whether it was missed")
    if not all(isinstance(report[part], dict) for part in ("rules", "data")):
        raise ValueError("rules or data are none")


def _parts(report: Json) -> tuple[str, list[float], dict[tuple[Any, ...], list[bool]]]:
    """What comparing needs: name, rates, and for each trial whether it was missed at each point."""
    return report["system"]["name"], report["rates"], {_key(trial): trial["missed"] for trial in report["trials"]}


def _curves(report: Json, names: Iterable[str]) -> Json:
    """The curves of these keywords, where the report has them, and the counts that they rest on."""
    found = report["keywords"]
    return {
        name: {part: found[name][part] for part in ("positives", "hours", "det", "points")}
        for name in names
        if name in found
    }


def compare(ours: Json, theirs: Json, seed: int) -> Json:
    """Paired comparison at equal rates of false accepts, of the positives and keywords that both reports have.

    For each keyword, condition and rate, and for all keywords together: misses of each, those that only one has,
    McNemar's exact p, and the difference of FRR (ours - theirs) with its interval, speakers drawn again; and the other
    report's curves of the keywords that both have, which count all that it heard.
    Raises KwsError when the reports share no positive or heard different things: equal rates mean nothing then.
    """
    _, our_rates, mine = _parts(ours)
    name, their_rates, other = _parts(theirs)
    speakers = {_key(trial): trial["speaker"] or trial["name"] for trial in ours["trials"]}
    shared = [key for key in mine if key in other]
    rates = [rate for rate in our_rates if rate in their_rates]
    if not (shared and rates):
        raise KwsError("the two reports have no positive recording and rate in common: score both on the same audio")
    _demand_the_same(ours, theirs, {key[2] for key in shared})
    rows = []
    for condition in dict.fromkeys(key[2] for key in shared):
        here = [key for key in shared if key[2] == condition]
        words = list(dict.fromkeys(key[1] for key in here))
        for word in [*words, *(["all"] if len(words) > 1 else [])]:
            keys = [key for key in here if word in (key[1], "all")]
            for rate in rates:
                a, b = our_rates.index(rate) + 1, their_rates.index(rate) + 1
                pairs = [(mine[key][a], other[key][b]) for key in keys]
                clusters = [speakers[key] for key in keys]
                row = {"keyword": word, "condition": condition, "target": rate}
                rows.append({**row, **_paired(pairs, clusters, np.random.default_rng(seed))})
    return {"against": name, "seed": seed, "rows": rows, "keywords": _curves(theirs, ours["keywords"])}


def _demand_the_same(ours: Json, theirs: Json, conditions: set[str]) -> None:
    """Raises KwsError where the recordings, or what is done with them under one of `conditions`, are not the same."""
    if "digests" not in theirs["data"]:
        raise KwsError("the report to compare with does not say which recordings it rests on: score that model again")

    def differs(part: str, name: str) -> bool:
        return bool(ours[part][name] != theirs[part].get(name))

    if rules := [rule for rule in ("silence_s", "late_s", "floor") if differs("rules", rule)]:
        told = ", ".join(f"{rule} {theirs['rules'].get(rule)} there and {ours['rules'][rule]} here" for rule in rules)
        raise KwsError(f"the two reports count by other rules and cannot be compared at equal FA/h: {told}")
    digests = ours["data"]["digests"], theirs["data"]["digests"]
    if digests[0]["recordings"] != digests[1]["recordings"]:
        data = [report["data"] for report in (theirs, ours)]
        there, here = (f"{one['hours']:.2f} h in {one['recordings']} recordings" for one in data)
        raise KwsError(
            "the two reports rest on other recordings or labels, so that equal FA/h are no equal terms: "
            f"{there} there, {here} here; score both on the same --positives and --negatives"
        )
    rooms, noises = ROOM in conditions, bool(conditions - {CLEAN, ROOM})
    kinds = [kind for kind, asked in (("noise", noises), ("rooms", rooms)) if asked]
    if any(digests[0][kind] != digests[1][kind] for kind in kinds) or (kinds and differs("rules", "seed")):
        raise KwsError(f"the two reports mix other {' and '.join(kinds)}: give both the same files and --seed")


def _key(trial: Json) -> tuple[Any, ...]:
    return trial["name"], trial["keyword"], trial["condition"], trial["start_s"]


def _paired(pairs: list[tuple[bool, bool]], clusters: list[str], rng: np.random.Generator) -> Json:
    only_ours = sum(a and not b for a, b in pairs)
    only_theirs = sum(b and not a for a, b in pairs)
    differences = [float(a) - float(b) for a, b in pairs]
    return {
        "ours": count_json(sum(a for a, _ in pairs), len(pairs)),
        "theirs": count_json(sum(b for _, b in pairs), len(pairs)),
        "only_ours_missed": only_ours,
        "only_theirs_missed": only_theirs,
        "mcnemar_p": mcnemar(only_ours, only_theirs),
        "difference": [float(np.mean(differences)), *paired_bootstrap(differences, clusters, rng)],
    }
