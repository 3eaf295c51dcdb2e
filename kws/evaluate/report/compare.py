"""Compares two systems on the same recordings: reads an earlier report, and counts the
words that one system misses and the other hears.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kws.errors import KwsError
from kws.evaluate.count.intervals import mcnemar, paired_bootstrap
from kws.evaluate.replay.conditions import mixed_kind
from kws.evaluate.report.model import ComparedKeyword, Comparison, ComparisonRow, Interval, Report, Trial
from kws.evaluate.report.points import miss_count

_Key = tuple[str, str, str, float | None]  # name of the recording, keyword, condition, start: the same in both reports


def read_report(path: Path) -> Report:
    """The report.json at `path`, or in the folder `path`. Raises KwsError for anything
    else.
    """
    path = path / "report.json" if path.is_dir() else path
    if not path.is_file():
        raise KwsError(f"there is no report at {path}: `kws score -o DIR` writes one")
    try:
        report = Report.from_json(path.read_text(encoding="utf-8"))
        if not all(len(trial.missed) == 1 + len(report.rates) for trial in report.trials):
            raise KwsError(f"a trial does not say of each of {len(report.rates)} rates whether it was missed")
    except (KwsError, ValueError) as error:
        raise KwsError(f"{path} is not a report of kws score: {error}") from error
    return report


def compare(ours: Report, theirs: Report, seed: int) -> Comparison:
    """Compares in pairs, at equal rates of false accepts, over the positives and
    keywords that both reports have.

    For each keyword, condition and rate, and for all keywords together: the misses of
    each system, those that only one of them has, McNemar's exact p, and the difference
    of FRR (ours - theirs) with its bootstrap interval, which draws whole speakers. Also
    the other report's curves of the keywords that both have; these count all that the
    other system heard.

    Raises KwsError when the reports share no positive, or rest on different audio or
    rules: equal rates mean nothing then.
    """
    mine, other = ({_key(trial): trial.missed for trial in report.trials} for report in (ours, theirs))
    speakers = {_key(trial): trial.speaker or trial.name for trial in ours.trials}
    shared = [key for key in mine if key in other]
    rates = [rate for rate in ours.rates if rate in theirs.rates]
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
                a, b = ours.rates.index(rate) + 1, theirs.rates.index(rate) + 1
                pairs = [(mine[key][a], other[key][b]) for key in keys]
                rows.append(_row(word, condition, rate, pairs, [speakers[key] for key in keys], seed))
    return Comparison(theirs.system.name, seed, tuple(rows), _curves(theirs, ours.keywords))


def _curves(report: Report, names: Iterable[str]) -> dict[str, ComparedKeyword]:
    """The report's curves of those of the keywords that it has, and the counts that the
    curves rest on.
    """
    found = {name: report.keywords[name] for name in names if name in report.keywords}
    return {name: ComparedKeyword(k.positives, k.hours, k.det, k.points) for name, k in found.items()}


def _demand_the_same(ours: Report, theirs: Report, conditions: set[str]) -> None:
    """Raises KwsError where the recordings, or the rules under one of `conditions`, are
    not the same.
    """
    here, there = ours.data.digests, theirs.data.digests
    if there is None or here is None:
        raise KwsError("the report to compare with does not say which recordings it rests on: score that model again")
    rules = ("silence_s", "late_s", "floor", "gain_db", "channel")
    values = [(rule, getattr(theirs.rules, rule), getattr(ours.rules, rule)) for rule in rules]
    if told := ", ".join(f"{rule} {_told(a)} there and {_told(b)} here" for rule, a, b in values if a != b):
        raise KwsError(f"the two reports hear or count by other rules and cannot be compared at equal FA/h: {told}")
    if here.recordings != there.recordings:
        sizes = [f"{report.data.hours:.2f} h in {report.data.recordings} recordings" for report in (theirs, ours)]
        raise KwsError(
            "the two reports rest on other recordings or labels, so that equal FA/h are no equal terms: "
            f"{sizes[0]} there, {sizes[1]} here; score both on the same --positives and --negatives"
        )
    mixed = {mixed_kind(condition) for condition in conditions}
    noisy, roomy = "noise" in mixed, "rooms" in mixed
    kinds = [kind for kind, asked in (("noise", noisy), ("rooms", roomy)) if asked]
    other_files = (noisy and here.noise != there.noise) or (roomy and here.rooms != there.rooms)
    if other_files or (kinds and ours.rules.seed != theirs.rules.seed):
        raise KwsError(f"the two reports mix other {' and '.join(kinds)}: give both the same files and --seed")


def _told(value: float | None) -> str:
    return "all" if value is None else f"{value:g}"  # channels


def _key(trial: Trial) -> _Key:
    return trial.name, trial.keyword, trial.condition, trial.start_s


def _row(
    keyword: str,
    condition: str,
    target: float,
    pairs: Sequence[tuple[bool, bool]],
    speakers: Sequence[str],
    seed: int,
) -> ComparisonRow:
    """One row, from pairs of (missed by us, missed by them)."""
    only_ours = sum(a and not b for a, b in pairs)
    only_theirs = sum(b and not a for a, b in pairs)
    differences = [float(a) - float(b) for a, b in pairs]
    interval = paired_bootstrap(differences, speakers, np.random.default_rng(seed))
    return ComparisonRow(
        keyword,
        condition,
        target,
        ours=miss_count(sum(a for a, _ in pairs), len(pairs)),
        theirs=miss_count(sum(b for _, b in pairs), len(pairs)),
        only_ours_missed=only_ours,
        only_theirs_missed=only_theirs,
        mcnemar_p=mcnemar(only_ours, only_theirs),
        difference=Interval(float(np.mean(differences)), *interval),
    )
