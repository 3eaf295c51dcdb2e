"""Two systems on the same recordings: who misses what the other hears."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from kws.errors import KwsError
from kws.evaluate.intervals import mcnemar, paired_bootstrap
from kws.evaluate.report import SCHEMA, count_json

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
            _parts(report)  # it has them
    except (ValueError, KeyError, TypeError) as error:
        raise KwsError(f"{path} is not a report of kws score ({type(error).__name__}: {error})") from error
    if schema != SCHEMA:
        raise KwsError(f"{path} has schema {schema} and this kws reads {SCHEMA}: score again")
    return report


def _parts(report: Json) -> tuple[str, list[float], dict[tuple[Any, ...], list[bool]]]:
    """What comparing needs: name, rates, and for each trial whether it was missed at each point."""
    return report["system"]["name"], report["rates"], {_key(trial): trial["missed"] for trial in report["trials"]}


def compare(ours: Json, theirs: Json, seed: int) -> Json:
    """Paired comparison at equal rates of false accepts, of the positives and keywords that both reports have.

    For each keyword, condition and rate, and for all keywords together: misses of each, those that only one has,
    McNemar's exact p, and the difference of FRR (ours - theirs) with its interval, speakers drawn again.
    Raises KwsError when the reports share no recording.
    """
    _, our_rates, mine = _parts(ours)
    name, their_rates, other = _parts(theirs)
    speakers = {_key(trial): trial["speaker"] or trial["name"] for trial in ours["trials"]}
    shared = [key for key in mine if key in other]
    rates = [rate for rate in our_rates if rate in their_rates]
    if not (shared and rates):
        raise KwsError("the two reports have no positive recording and rate in common: score both on the same audio")
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
    return {"against": name, "seed": seed, "rows": rows}


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
