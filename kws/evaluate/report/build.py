"""The report of one scoring: every count, at every threshold, with its intervals.

K keywords, P operating points: the system's own thresholds first, then one per rate of
false accepts. The types are in `kws.evaluate.report.model`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws.evaluate.count.matching import (
    Counting,
    Occurrence,
    Window,
    end_samples,
    events,
    match,
    occurrences,
    peak,
    windows,
)
from kws.evaluate.count.metrics import KeywordRates, at_rate, count, det, hours
from kws.evaluate.replay.cache import digest
from kws.evaluate.replay.conditions import Rules
from kws.evaluate.replay.recording import CLEAN, FLOOR, Replayed
from kws.evaluate.replay.systems import System
from kws.evaluate.report.model import (
    SCHEMA,
    AllKeywords,
    ConfusableCount,
    CountingRules,
    DetPoint,
    Digests,
    FalseAccept,
    KeywordReport,
    Latency,
    MissCount,
    Report,
    ScoredData,
    Trial,
)
from kws.evaluate.report.points import latency_of, miss_count, operating_point, pooled
from kws.units import SAMPLE_RATE, seconds

DECIMALS = 4  # of scores and seconds that are only looked at; thresholds are exact


@dataclass(frozen=True)
class Named:
    """The SOURCEs that a user named, as the report lists them."""

    positives: Sequence[str] = ()
    negatives: Sequence[str] = ()
    confusables: Sequence[str] = ()
    noise: str | None = None
    rooms: str | None = None


@dataclass(frozen=True)
class KeywordResults:
    """The counts of one keyword. points: P. heard: for each point the occurrences under
    every condition.
    """

    curve: list[KeywordRates]
    points: list[KeywordRates]
    heard: list[list[Occurrence]]


class Evaluation:
    """The replayed recordings of one run, from which the report is counted."""

    def __init__(self, system: System, recordings: Sequence[Replayed], rates: Sequence[float], rules: Rules) -> None:
        self.system, self.rates, self.rules = system, list(rates), rules
        self.counting = Counting.of(system)
        self.recordings = list(recordings)
        self.clean = [r for r in recordings if r.item.condition == CLEAN and r.item.role != "confusable"]
        self.confusables = [r for r in recordings if r.item.role == "confusable"]
        self.positives = [r for r in recordings if r.item.role != "confusable" and r.item.labels]
        self.conditions = list(dict.fromkeys(r.item.condition for r in recordings))
        before = np.cumsum([0, *(r.samples for r in self.clean)])
        self.begins = {r.item: seconds(int(at)) for r, at in zip(self.clean, before, strict=False)}
        self.results = [self._results(index) for index in range(len(system.keywords))]

    def _results(self, index: int) -> KeywordResults:
        keywords, counting = self.system.keywords, self.counting
        curve = det(self.clean, keywords, index, counting)
        own = count(self.clean, keywords, index, [self.system.thresholds[index]], counting)
        points = own + [at_rate(curve, rate) for rate in self.rates]
        heard = [
            [o for r in self.positives for o in occurrences(r, index, keywords[index], point.threshold, counting)]
            for point in points
        ]
        return KeywordResults(curve, points, heard)

    def report(self, command: str, named: Named, skipped: Sequence[str]) -> Report:
        """The report. command: the command line. skipped: a line for each recording
        that could not be used.
        """
        targets = [None, *self.rates]
        return Report(
            schema=SCHEMA,
            system=self.system.about(),
            command=command,
            data=self._data(named, skipped),
            rules=self._rules(),
            rates=tuple(self.rates),
            conditions=tuple(self.conditions),
            keywords={name: self._keyword(index) for index, name in enumerate(self.system.keywords)},
            all=self._all(targets),
            trials=tuple(trial for index in range(len(self.results)) for trial in self._trials(index)),
            accepts=tuple(accept for index in range(len(self.results)) for accept in self._accepts(index)),
            comparison=None,
        )

    def _keyword(self, index: int) -> KeywordReport:
        result, own = self.results[index], self.results[index].points[0]
        return KeywordReport(
            threshold=own.threshold,
            positives=own.positives,
            hours=own.hours,
            det=tuple(DetPoint(p.threshold, p.misses, p.false_accepts) for p in reversed(result.curve)),
            points=tuple(operating_point(p, t) for p, t in zip(result.points, [None, *self.rates], strict=True)),
            conditions=self._by_condition(result.heard),
            speakers=self._by_speaker(result.heard),
            latency_ms=self._latency(result.heard),
            confusables=self._confused(index),
        )

    def _all(self, targets: Sequence[float | None]) -> AllKeywords:
        """The keywords together, each at its own threshold of a point."""
        by_point = zip(*(result.points for result in self.results), strict=True)
        together = [[o for result in self.results for o in result.heard[i]] for i in range(len(targets))]
        return AllKeywords(
            points=tuple(pooled(rates, target) for rates, target in zip(by_point, targets, strict=True)),
            conditions=self._by_condition(together),
            speakers=self._by_speaker(together),
            latency_ms=self._latency(together),
        )

    def _by_condition(self, heard: Sequence[Sequence[Occurrence]]) -> dict[str, tuple[MissCount, ...]]:
        return {
            name: tuple(_misses([o for o in found if o.recording.item.condition == name]) for found in heard)
            for name in self.conditions
        }

    def _by_speaker(self, heard: Sequence[Sequence[Occurrence]]) -> dict[str, tuple[MissCount, ...]]:
        """Misses by speaker, in the clean condition alone."""
        clean = [list(filter(_is_clean, found)) for found in heard]
        names = sorted({o.label.speaker for o in clean[0] if o.label.speaker})
        return {
            name: tuple(_misses([o for o in found if o.label.speaker == name]) for found in clean) for name in names
        }

    def _latency(self, heard: Sequence[Sequence[Occurrence]]) -> Latency | None:
        """Latencies of the clean hits at the first point."""
        return latency_of(map(self._late_ms, filter(_is_clean, heard[0])))

    def _confused(self, index: int) -> dict[str, tuple[ConfusableCount, ...]]:
        """For each confusable phrase its clips, and how often the keyword fired in them
        at each point.
        """
        keyword, points = self.system.keywords[index], self.results[index].points
        found: dict[str, list[ConfusableCount]] = {}
        for recording in self.confusables:
            if windows(recording.item, keyword, self.counting):
                continue  # it says the keyword
            text = " / ".join(dict.fromkeys(label.text for label in recording.item.labels)) or "(no text)"
            fires = [len(events(recording, index, point.threshold, self.counting)) for point in points]
            before = found.setdefault(text, [ConfusableCount(0, 0)] * len(fires))
            found[text] = [ConfusableCount(c.fires + n, c.clips + 1) for c, n in zip(before, fires, strict=True)]
        return {text: tuple(counts) for text, counts in sorted(found.items())}

    def _trials(self, index: int) -> list[Trial]:
        rows = []
        for same in zip(*self.results[index].heard, strict=True):
            first, source = same[0], same[0].recording.item
            label = first.label
            rows.append(
                Trial(
                    audio=str(source.audio),
                    name=source.name,
                    keyword=self.system.keywords[index],
                    speaker=label.speaker,
                    condition=source.condition,
                    start_s=None if label.start is None else round(seconds(label.start), DECIMALS),
                    end_s=None if label.end is None else round(seconds(label.end), DECIMALS),
                    score=round(first.score, DECIMALS),
                    fired_s=None if first.row is None else self._end_s(first.recording, first.row),
                    latency_ms=self._late_ms(first),
                    missed=tuple(occurrence.row is None for occurrence in same),
                )
            )
        return rows

    def _accepts(self, index: int) -> list[FalseAccept]:
        """The false accepts at any of the points, and the events in confusable phrases
        there.
        """
        keyword, frame_s = self.system.keywords[index], self.counting.frame_samples / SAMPLE_RATE
        thresholds = [point.threshold for point in self.results[index].points]
        rows = []
        for recording in [*self.clean, *self.confusables]:
            source, found = recording.item, windows(recording.item, keyword, self.counting)
            for row, scores in accepts_at(recording, index, found, thresholds, self.counting).items():
                end_s = self._end_s(recording, row)
                rows.append(
                    FalseAccept(
                        audio=str(source.audio),
                        name=source.name,
                        keyword=keyword,
                        text=" / ".join(label.text for label in source.labels if label.text),
                        kind=source.role,
                        score=round(peak(recording, row, index, self.counting), DECIMALS),
                        scores=tuple(None if score is None else round(score, DECIMALS) for score in scores),
                        start_s=round(end_s - int(recording.ages[row, index]) * frame_s, DECIMALS),
                        end_s=end_s,
                        seconds=round(seconds(recording.samples), DECIMALS),
                        at_s=self.begins[source] + end_s if source in self.begins else None,
                    )
                )
        return rows

    def _end_s(self, recording: Replayed, row: int) -> float:
        return round(seconds(end_samples(recording, [row], self.counting)[0]), DECIMALS)

    def _late_ms(self, occurrence: Occurrence) -> float | None:
        """Milliseconds from the labelled end of a word to the end of the chunk in which
        it fired; None where one of them is not known.
        """
        if occurrence.row is None or occurrence.label.end is None:
            return None
        chunk, frame = self.system.chunk_samples, self.system.frame_samples
        lead = self.rules.lead_samples(frame, occurrence.recording.item)
        fired = end_samples(occurrence.recording, [occurrence.row], self.counting)[0] + lead
        return 1000 * (-(-fired // chunk) * chunk - lead - occurrence.label.end) / SAMPLE_RATE

    def _data(self, named: Named, skipped: Sequence[str]) -> ScoredData:
        """The recordings behind the report. The digests of names, lengths and labels
        (of noises and rooms: names and bytes) tell whether two reports rest on the same
        audio.
        """
        heard = [(r.item.name, r.samples, [(x.text, x.start, x.end) for x in r.item.labels]) for r in self.clean]
        mixed = (self.rules.noise, self.rules.rirs)
        noise, rooms = (digest([(file.name, file.stat().st_size) for file in files]) for files in mixed)
        return ScoredData(
            positives=tuple(named.positives),
            negatives=tuple(named.negatives),
            confusables=tuple(named.confusables),
            noise=named.noise,
            rooms=named.rooms,
            recordings=sum(r.item.condition == CLEAN for r in self.recordings),
            hours=hours(self.clean),
            digests=Digests(digest(sorted(heard, key=repr)), noise, rooms),
            skipped=tuple(skipped),
        )

    def _rules(self) -> CountingRules:
        system, counting = self.system, self.counting
        return CountingRules(
            silence_s=self.rules.silence_s,
            refractory_s=seconds(system.refractory_frames * system.frame_samples),
            late_s=seconds(counting.late_samples),
            floor=FLOOR,
            seed=self.rules.seed,
            accepts_condition=CLEAN,
            frame_s=seconds(system.frame_samples),
            chunk_s=seconds(system.chunk_samples),
            gain_db=self.rules.pickup.gain_db,
            channel=self.rules.pickup.channel,
        )


def accepts_at(
    recording: Replayed, index: int, found: Sequence[Window], thresholds: Sequence[float], counting: Counting
) -> dict[int, list[float | None]]:
    """The false accepts of keyword `index` at each of the thresholds, by the row of the
    first frame of each, in order.

    A higher threshold is reached some frames later; within the refractory time that is
    the same false accept. The values are its peaks at each threshold, None where it
    does not fire, so that each threshold has as many as are counted.
    """
    known: dict[int, list[float | None]] = {}
    for number in sorted(range(len(thresholds)), key=lambda number: thresholds[number]):
        fired = events(recording, index, thresholds[number], counting)
        for event in match(end_samples(recording, fired, counting), found).false_accepts:
            row = fired[event]
            open_rows = (r for r, scores in known.items() if r <= row and scores[number] is None)
            near = [r for r in open_rows if recording.frames[row] - recording.frames[r] < counting.refractory_frames]
            first = max(near, default=row)
            known.setdefault(first, [None] * len(thresholds))[number] = peak(recording, row, index, counting)
    return dict(sorted(known.items()))


def _is_clean(occurrence: Occurrence) -> bool:
    return occurrence.recording.item.condition == CLEAN


def _misses(found: Sequence[Occurrence]) -> MissCount:
    return miss_count(sum(occurrence.row is None for occurrence in found), len(found))
