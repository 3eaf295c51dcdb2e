"""report.json: every count of a scoring, at every threshold, with its intervals.

The schema is `report.schema.json` beside this file. K keywords, P operating points: the system's own thresholds first,
then one per rate of false accepts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kws.evaluate.count.intervals import poisson, upper_rate, wilson
from kws.evaluate.count.matching import Counting, Trial, Window, end_samples, events, match, trials, windows
from kws.evaluate.count.metrics import KeywordRates, at_rate, count, det, hours
from kws.evaluate.replay.cache import digest
from kws.evaluate.replay.conditions import Rules
from kws.evaluate.replay.recording import CLEAN, FLOOR, Recording
from kws.evaluate.replay.systems import System
from kws.units import SAMPLE_RATE, seconds

SCHEMA = 1  # raised when a reader of an older one would be misled; added fields do not need that
DECIMALS = 4  # of scores and seconds that are only looked at; thresholds are exact

Json = dict[str, Any]


@dataclass(frozen=True)
class KeywordResults:
    """What was counted of one keyword. points: P; trials: at each point, of every condition."""

    curve: list[KeywordRates]
    points: list[KeywordRates]
    trials: list[list[Trial]]


class Scoring:
    """The recordings of one run and how they are counted."""

    def __init__(self, system: System, recordings: Sequence[Recording], rates: Sequence[float], rules: Rules) -> None:
        self.system, self.rates, self.rules = system, list(rates), rules
        self.counting = Counting.of(system)
        self.recordings = list(recordings)
        self.clean = [r for r in recordings if r.source.condition == CLEAN and r.source.role != "confusable"]
        self.confusables = [r for r in recordings if r.source.role == "confusable"]
        self.positives = [r for r in recordings if r.source.role != "confusable" and r.source.labels]
        self.conditions = list(dict.fromkeys(r.source.condition for r in recordings))
        before = np.cumsum([0, *(r.samples for r in self.clean)])
        self.begins = {r.source: seconds(int(at)) for r, at in zip(self.clean, before, strict=False)}
        self.results = [self._results(index) for index in range(len(system.keywords))]

    def _results(self, index: int) -> KeywordResults:
        keywords, counting = self.system.keywords, self.counting
        curve = det(self.clean, keywords, index, counting)
        own = count(self.clean, keywords, index, [self.system.thresholds[index]], counting)
        points = own + [at_rate(curve, rate) for rate in self.rates]
        heard = [
            [t for r in self.positives for t in trials(r, index, keywords[index], point.threshold, counting)]
            for point in points
        ]
        return KeywordResults(curve, points, heard)

    def as_json(self) -> Json:
        """The parts of a report that are counted."""
        targets = [None, *self.rates]
        return {
            "rates": self.rates,
            "conditions": self.conditions,
            "keywords": {name: self._keyword(index) for index, name in enumerate(self.system.keywords)},
            "all": self._all(targets),
            "trials": [trial for index in range(len(self.results)) for trial in self._trials(index)],
            "accepts": [accept for index in range(len(self.results)) for accept in self._accepts(index)],
        }

    def _keyword(self, index: int) -> Json:
        result, own = self.results[index], self.results[index].points[0]
        return {
            "threshold": own.threshold,
            "positives": own.positives,
            "hours": own.hours,
            "det": [
                {"threshold": p.threshold, "misses": p.misses, "false_accepts": p.false_accepts}
                for p in reversed(result.curve)
            ],
            "points": [point_json(p, target) for p, target in zip(result.points, [None, *self.rates], strict=True)],
            **self._groups(result.trials),
            "confusables": self._confused(index),
        }

    def _all(self, targets: Sequence[float | None]) -> Json:
        """The keywords together, each at its own threshold of a point."""
        by_point = zip(*(result.points for result in self.results), strict=True)
        points = [pooled_json(rates, target) for rates, target in zip(by_point, targets, strict=True)]
        together = [[t for result in self.results for t in result.trials[i]] for i in range(len(targets))]
        return {"points": points, **self._groups(together)}

    def _groups(self, heard: Sequence[Sequence[Trial]]) -> Json:
        """Counts at each point by condition, and of the clean condition by speaker; latency at the first point."""
        conditions = {
            name: [_share([t for t in trials if t.recording.source.condition == name]) for trials in heard]
            for name in self.conditions
        }
        clean = [[t for t in trials if t.recording.source.condition == CLEAN] for trials in heard]
        names = sorted({t.label.speaker for t in clean[0] if t.label.speaker})
        speakers = {
            name: [_share([t for t in trials if t.label.speaker == name]) for trials in clean] for name in names
        }
        late = latency_json(map(self._late_ms, clean[0]))
        return {"conditions": conditions, "speakers": speakers, "latency_ms": late}

    def _confused(self, index: int) -> Json:
        """What each confusable phrase did: its clips, and how often the keyword fired in them at each point."""
        keyword = self.system.keywords[index]
        found: Json = {}
        for recording in self.confusables:
            if windows(recording.source, keyword, self.counting):
                continue  # it says the keyword
            text = " / ".join(dict.fromkeys(label.text for label in recording.source.labels)) or "(no text)"
            fires = [len(events(recording, index, p.threshold, self.counting)) for p in self.results[index].points]
            before = found.setdefault(text, [{"fires": 0, "clips": 0} for _ in fires])
            found[text] = [
                {"fires": c["fires"] + n, "clips": c["clips"] + 1} for c, n in zip(before, fires, strict=True)
            ]
        return dict(sorted(found.items()))

    def _trials(self, index: int) -> list[Json]:
        rows = []
        for same in zip(*self.results[index].trials, strict=True):
            first, source = same[0], same[0].recording.source
            label = first.label
            rows.append(
                {
                    "audio": str(source.audio),
                    "name": source.name,
                    "keyword": self.system.keywords[index],
                    "speaker": label.speaker,
                    "condition": source.condition,
                    "start_s": None if label.start is None else round(seconds(label.start), DECIMALS),
                    "end_s": None if label.end is None else round(seconds(label.end), DECIMALS),
                    "score": round(first.score, DECIMALS),
                    "fired_s": None if first.row is None else self._end_s(first.recording, first.row),
                    "latency_ms": self._late_ms(first),
                    "missed": [trial.row is None for trial in same],
                }
            )
        return rows

    def _accepts(self, index: int) -> list[Json]:
        """The false accepts at any of the points, and what confusable phrases did there."""
        keyword, frame_s = self.system.keywords[index], self.counting.frame_samples / SAMPLE_RATE
        thresholds = [point.threshold for point in self.results[index].points]
        rows = []
        for recording in [*self.clean, *self.confusables]:
            source, found = recording.source, windows(recording.source, keyword, self.counting)
            for row, scores in accepts_at(recording, index, found, thresholds, self.counting).items():
                end_s = self._end_s(recording, row)
                rows.append(
                    {
                        "audio": str(source.audio),
                        "name": source.name,
                        "keyword": keyword,
                        "text": " / ".join(label.text for label in source.labels if label.text),
                        "kind": source.role,
                        "score": round(float(recording.scores[row, index]), DECIMALS),
                        "scores": [None if score is None else round(score, DECIMALS) for score in scores],
                        "start_s": round(end_s - int(recording.ages[row, index]) * frame_s, DECIMALS),
                        "end_s": end_s,
                        "seconds": round(seconds(recording.samples), DECIMALS),
                        "at_s": self.begins[source] + end_s if source in self.begins else None,
                    }
                )
        return rows

    def _end_s(self, recording: Recording, row: int) -> float:
        return round(seconds(end_samples(recording, [row], self.counting)[0]), DECIMALS)

    def _late_ms(self, trial: Trial) -> float | None:
        """From the labelled end of a word to the end of the chunk in which it fired: before that, nobody knows."""
        if trial.row is None or trial.label.end is None:
            return None
        chunk, frame = self.system.chunk_samples, self.system.frame_samples
        lead = self.rules.lead_frames(frame) * frame
        fired = end_samples(trial.recording, [trial.row], self.counting)[0] + lead
        return 1000 * (-(-fired // chunk) * chunk - lead - trial.label.end) / SAMPLE_RATE

    def data(self) -> Json:
        """What was heard: the recordings, and the length of those that are no confusables; and what tells them, the
        noises and the rooms from others.
        """
        clean = [r for r in self.recordings if r.source.condition == CLEAN]
        heard = [(r.source.name, r.samples, [(x.text, x.start, x.end) for x in r.source.labels]) for r in self.clean]
        mixed = {"noise": self.rules.noise, "rooms": self.rules.rooms}
        digests = {name: digest([(f.name, f.stat().st_size) for f in files]) for name, files in mixed.items()}
        return {
            "recordings": len(clean),
            "hours": hours(self.clean),
            "digests": {"recordings": digest(sorted(heard, key=repr)), **digests},
        }

    def rules_json(self) -> Json:
        """How it was heard and counted."""
        system, counting = self.system, self.counting
        return {
            "silence_s": self.rules.silence_s,
            "refractory_s": seconds(system.refractory_frames * system.frame_samples),
            "late_s": seconds(counting.late_samples),
            "floor": FLOOR,
            "seed": self.rules.seed,
            "accepts_condition": CLEAN,
            "frame_s": seconds(system.frame_samples),
            "chunk_s": seconds(system.chunk_samples),
        }


def accepts_at(
    recording: Recording, index: int, found: Sequence[Window], thresholds: Sequence[float], counting: Counting
) -> dict[int, list[float | None]]:
    """The false accepts of keyword `index` at each of the thresholds, by the row of the first frame of each, in order.

    A higher threshold is reached some frames later: within a refractory that is the same false accept. Values: its
    score when it fires at each threshold, None where it does not, so that each threshold has as many as are counted.
    """
    known: dict[int, list[float | None]] = {}
    for number in sorted(range(len(thresholds)), key=lambda number: thresholds[number]):
        fired = events(recording, index, thresholds[number], counting)
        for event in match(end_samples(recording, fired, counting), found).false_accepts:
            row = fired[event]
            open_rows = (r for r, scores in known.items() if r <= row and scores[number] is None)
            near = [r for r in open_rows if recording.frames[row] - recording.frames[r] < counting.refractory_frames]
            first = max(near, default=row)
            known.setdefault(first, [None] * len(thresholds))[number] = float(recording.scores[row, index])
    return dict(sorted(known.items()))


def _share(found: Sequence[Trial]) -> Json:
    """Misses among trials, with the interval."""
    return count_json(sum(trial.row is None for trial in found), len(found))


def latency_json(late: Iterable[float | None]) -> Json | None:
    """Median and 95th percentile of what is known: LATENCY of the schema, None where nothing is."""
    known = [one for one in late if one is not None]
    if not known:
        return None
    median, p95 = np.quantile(known, [0.5, 0.95])
    return {"n": len(known), "median": round(float(median), 1), "p95": round(float(p95), 1)}


def count_json(misses: int, positives: int) -> Json:
    """Misses among positives: the rate is [value, low, high], None without positives."""
    frr = [misses / positives, *wilson(misses, positives)] if positives else None
    return {"positives": positives, "misses": misses, "frr": frr}


def pooled_json(rates: Sequence[KeywordRates], target: float | None) -> Json:
    """Several keywords as one POINT: counts are sums, hours those of the keyword that has most."""
    positives, misses = sum(r.positives for r in rates), sum(r.misses for r in rates)
    accepts, repeats = sum(r.false_accepts for r in rates), sum(r.repeats for r in rates)
    longest = max(r.hours for r in rates)
    pooled = point_json(KeywordRates("all", 0.0, positives, misses, accepts, longest, repeats), target)
    each = all(point_json(r, target)["supported"] for r in rates)
    return {**pooled, "threshold": None, "supported": each}


def point_json(rates: KeywordRates, target: float | None) -> Json:
    """Counts at one threshold with intervals: POINT of the schema."""
    counts = asdict(rates)
    del counts["keyword"]
    per_hour = upper = None
    if rates.hours:
        per_hour = [rates.false_accepts / rates.hours, *poisson(rates.false_accepts, rates.hours)]
        upper = upper_rate(rates.false_accepts, rates.hours)
    return {
        "target": target,
        **counts,
        **count_json(rates.misses, rates.positives),
        "fa_per_hour": per_hour,
        "upper95": upper,
        "supported": target is not None and upper is not None and upper <= target,
    }
