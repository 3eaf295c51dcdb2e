"""Made-up reports (report.json, schema 1) that agree with themselves: every count comes from the same scores."""

import json
from typing import Any

import numpy as np

from kws.evaluate.count.intervals import poisson, upper_rate, wilson
from kws.evaluate.report.model import Report

RATES = [0.05, 0.1, 0.5, 1.0]
CONDITIONS = ["clean", "20 dB", "10 dB", "5 dB", "0 dB", "room"]
WORDS = ["alexa", "computer", "jarvis", "smart mirror", "snowboy", "view glass"]
_FLOOR = 0.01


def count(misses: int, positives: int) -> dict[str, Any]:
    return {
        "positives": positives,
        "misses": misses,
        "frr": [misses / positives, *wilson(misses, positives)] if positives else None,
    }


def point(target: float | None, threshold: float | None, misses: int, positives: int, accepts: int, hours: float):
    upper = upper_rate(accepts, hours) if hours else None
    return {
        "target": target,
        "threshold": threshold,
        **count(misses, positives),
        "false_accepts": accepts,
        "hours": hours,
        "fa_per_hour": [accepts / hours, *poisson(accepts, hours)] if hours else None,
        "upper95": upper,
        "supported": upper is not None and target is not None and upper <= target,
        "repeats": 0,
    }


class Made:
    """One keyword: scores of its occurrences under each condition, and of the false accepts."""

    def __init__(
        self,
        rng: np.random.Generator,
        positives: int,
        hours: float,
        conditions: list[str],
        noise: float,
        hopeless: float,
    ):
        harder = {name: 0.06 * number for number, name in enumerate(conditions)}
        self.hours, self.conditions, self.own = hours, conditions, 0.46
        best = np.where(rng.random(positives) < hopeless, rng.uniform(0, 0.5, positives), rng.beta(15, 1.4, positives))
        self.said = {name: np.clip(best - harder[name] * rng.random(positives), 0, 1) for name in conditions}
        self.false = np.minimum(0.99, _FLOOR + rng.exponential(0.09, rng.poisson(noise * hours)))
        self.clean = self.said[conditions[0]]
        self.speakers = [f"speaker-{i}" for i in rng.integers(0, max(1, positives // 4), positives)]

    def at(self, threshold: float, condition: str | None = None) -> tuple[int, int]:
        said = self.said[condition or self.conditions[0]]
        return int((said < threshold).sum()), int((self.false >= threshold).sum())

    def threshold_of(self, rate: float) -> float:
        loud = np.sort(self.false)[::-1]
        allowed = int(rate * self.hours)
        return float(np.nextafter(loud[allowed], 2)) if len(loud) > allowed else _FLOOR

    def thresholds(self) -> list[tuple[float | None, float]]:
        return [(None, self.own), *((rate, self.threshold_of(rate)) for rate in RATES)]

    def det(self) -> list[dict[str, Any]]:
        levels = np.unique(np.concatenate([[_FLOOR], self.clean, self.false]))
        rows = [(float(t), *self.at(t)) for t in levels if t >= _FLOOR]
        return [{"threshold": t, "misses": m, "false_accepts": f} for t, m, f in rows]

    def keyword(self, latency: np.ndarray) -> dict[str, Any]:
        n = len(self.clean)
        return {
            "threshold": self.own,
            "positives": n,
            "hours": self.hours,
            "det": self.det(),
            "points": [point(rate, t, self.at(t)[0], n, self.at(t)[1], self.hours) for rate, t in self.thresholds()],
            "conditions": {
                name: [count(self.at(t, name)[0], n) for _, t in self.thresholds()] for name in self.conditions
            },
            "speakers": {
                speaker: [count(int((self.clean[mine] < t).sum()), int(mine.sum())) for _, t in self.thresholds()]
                for speaker in sorted(set(self.speakers))
                for mine in [np.array([name == speaker for name in self.speakers])]
            },
            "confusables": {},
            "latency_ms": milliseconds(latency),
        }


def milliseconds(latency: np.ndarray) -> dict[str, Any] | None:
    if not len(latency):
        return None
    return {"n": len(latency), "median": float(np.median(latency)), "p95": float(np.quantile(latency, 0.95))}


def pooled(parts: list[dict[str, Any]], hours: float, conditions: list[str], latency: np.ndarray) -> dict[str, Any]:
    def total(counts: list[dict[str, Any]]) -> dict[str, Any]:
        return count(sum(c["misses"] for c in counts), sum(c["positives"] for c in counts))

    points = []
    for number, target in enumerate([None, *RATES]):
        here = [part["points"][number] for part in parts]
        misses, positives, accepts = (sum(p[key] for p in here) for key in ("misses", "positives", "false_accepts"))
        points.append(point(target, None, misses, positives, accepts, hours))
    numbers = range(len(points))
    speakers = sorted({speaker for part in parts for speaker in part["speakers"]})
    return {
        "points": points,
        "conditions": {
            name: [total([p["conditions"][name][i] for p in parts]) for i in numbers] for name in conditions
        },
        "speakers": {
            who: [total([p["speakers"][who][i] for p in parts if who in p["speakers"]]) for i in numbers]
            for who in speakers
        },
        "latency_ms": milliseconds(latency),
    }


def trials_of(name: str, made: Made, audio: str, latency: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for condition, scores in made.said.items():
        for i, score in enumerate(scores):
            fired = 2.1 + float(latency[i % len(latency)]) / 1000
            found.append(
                {
                    "audio": audio.format(name.replace(" ", "_"), i),
                    "name": f"{name.replace(' ', '_')}/{i:03}.flac",
                    "keyword": name,
                    "speaker": made.speakers[i],
                    "condition": condition,
                    "start_s": 1.2,
                    "end_s": 2.1,
                    "score": float(score),
                    "fired_s": fired if score >= made.own else None,
                    "missed": [bool(score < threshold) for _, threshold in made.thresholds()],
                    "at_s": 3.0 * i,
                }
            )
    return found


def accepts_of(name: str, made: Made, rng: np.random.Generator, audio: str) -> list[dict[str, Any]]:
    thresholds = [threshold for _, threshold in made.thresholds()]
    found = []
    for i, score in enumerate(made.false[made.false >= min(thresholds)]):
        start = float(rng.uniform(0, 600))
        found.append(
            {
                "audio": audio.format("other", i),
                "name": f"radio/{i:03}.ogg",
                "keyword": name,
                "text": "a lecture on the history of telephones",
                "kind": "negative",
                "score": float(score),
                "scores": [float(score) if score >= threshold else None for threshold in thresholds],
                "start_s": start,
                "end_s": start + 0.8,
                "seconds": 620.0,
                "at_s": float(rng.uniform(0, made.hours * 3600)),
            }
        )
    return found


def make_report(
    words: list[str] = WORDS,
    positives: int = 40,
    hours: float = 2.45,
    conditions: list[str] = CONDITIONS,
    noise: float = 60.0,
    seed: int = 0,
    audio: str = "clips/{}-{}.flac",
    hopeless: float = 0.08,
) -> dict[str, Any]:
    """A report of these keywords; `noise`: false accepts per hour at the lowest threshold; `hopeless`: share of words
    whose scores are low.
    """
    rng = np.random.default_rng(seed)
    made = {word: Made(rng, positives, hours, conditions, noise, hopeless) for word in words}
    latency = {word: np.round(rng.normal(170, 60, positives) / 80) * 80 for word in words}
    keywords = {word: made[word].keyword(latency[word]) for word in words}
    trials = [trial for word in words for trial in trials_of(word, made[word], audio, latency[word])]
    accepts = [accept for word in words for accept in accepts_of(word, made[word], rng, audio)]
    return {
        "schema": 1,
        "system": {
            "name": "wake-words",
            "engine": "kws",
            "version": "0.1.0",
            "commit": "c619440",
            "parameters": 487_560,
            "bytes": 1_260_000,
        },
        "command": "kws score wake-words --positives wake_words@dev --negatives radio -o report",
        "data": {
            "positives": ["wake_words@dev"],
            "negatives": ["radio"],
            "confusables": [],
            "noise": "noise@dev" if len(conditions) > 1 else None,
            "rooms": None,
            "recordings": len(words) * positives + 300,
            "hours": hours + 0.17,
            "skipped": ["clips/014.flac is damaged after 1.20 s"],
        },
        "rules": {
            "silence_s": 1.0,
            "refractory_s": 1.0,
            "late_s": 0.75,
            "floor": _FLOOR,
            "seed": 0,
            "frame_s": 0.04,
            "chunk_s": 0.08,
        },
        "rates": RATES,
        "conditions": conditions,
        "keywords": keywords,
        "all": pooled(list(keywords.values()), hours, conditions, np.concatenate([*latency.values(), np.empty(0)])),
        "trials": trials,
        "accepts": accepts,
        "comparison": None,
    }


def with_more(report: dict[str, Any]) -> dict[str, Any]:
    """The same with confusable phrases and a comparison."""
    names = list(report["keywords"])
    numbers = len(report["all"]["points"])
    for number, text in enumerate(["few glasses", "snowball", "a smart mirror ball", "come to her", "Alex, a"]):
        name = names[number % len(names)]
        fires = [max(0, 3 - number - i % 2) for i in range(numbers)]
        report["keywords"][name]["confusables"][text] = [{"fires": f, "clips": 4} for f in fires]
    rows = []
    for name in names:
        for own in report["keywords"][name]["points"][1:]:
            theirs = count(min(own["positives"], own["misses"] + 2), own["positives"])
            difference = [-2 / max(1, own["positives"]), -0.12, 0.01]
            rows.append(
                {
                    "keyword": name,
                    "condition": report["conditions"][0],
                    "target": own["target"],
                    "ours": count(own["misses"], own["positives"]),
                    "theirs": theirs,
                    "only_ours_missed": 1,
                    "only_theirs_missed": 3,
                    "mcnemar_p": 0.625,
                    "difference": difference,
                }
            )
    before = make_report(names, 10, 2.0, report["conditions"], seed=1)["keywords"]
    curves = {name: {part: before[name][part] for part in ("positives", "hours", "det", "points")} for name in names}
    report["comparison"] = {"against": "wake-words 0.0.9", "seed": 0, "rows": rows, "keywords": curves}
    return report


def typed(report: dict[str, Any]) -> Report:
    """The report as the package reads it."""
    return Report.from_json(json.dumps(report))


def silent_report() -> dict[str, Any]:
    """One keyword, nothing missed, no other audio."""
    return make_report(["computer"], 12, 0.0, ["clean"], 0.0, hopeless=0.0)
