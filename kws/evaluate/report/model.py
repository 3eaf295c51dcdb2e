"""The report of a scoring as types: the fields of report.json.

A field has the same name here, in report.json, in `report.schema.json` and in the
page's scripts. P operating points: the system's own thresholds first, then one for each
rate of false accepts that was asked for. Every list "by point" has P entries in that
order.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from kws.errors import KwsError
from kws.evaluate.replay.recording import Role
from kws.evaluate.replay.systems import SystemInfo
from kws.jsonable import decode

SCHEMA = 1  # raised when a reader of an older one would be misled; added fields do not need that


class Interval(NamedTuple):
    """A rate and the two ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MissCount:
    """Misses among the occurrences of a keyword. frr: the share missed (Wilson 1927);
    None without positives.
    """

    positives: int
    misses: int
    frr: Interval | None


@dataclass(frozen=True)
class OperatingPoint:
    """The counts at one threshold of a keyword, or of all keywords together.

    target: the false accepts per hour for which the threshold was chosen, None for the
    system's own. threshold: None where keywords are pooled. hours: audio in which an
    event is a false accept. repeats: events after a hit in the same window, which count
    neither way. fa_per_hour (Garwood 1936) and upper95, the one-sided bound: None
    without hours. supported: whether upper95 is at most the target.
    """

    target: float | None
    threshold: float | None
    positives: int
    misses: int
    false_accepts: int
    hours: float
    repeats: int
    frr: Interval | None
    fa_per_hour: Interval | None
    upper95: float | None
    supported: bool


@dataclass(frozen=True)
class DetPoint:
    """A threshold at which a count changes; the counts hold from it down to the next
    lower one.
    """

    threshold: float
    misses: int
    false_accepts: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the labelled end of a word to the event, over `n` hits at the
    first point.
    """

    n: int
    median: float
    p95: float


@dataclass(frozen=True)
class ConfusableCount:
    """The number of clips in which a confusable phrase is said, and of the events that
    it caused in them.
    """

    fires: int
    clips: int


@dataclass(frozen=True)
class KeywordReport:
    """The counts of one keyword.

    threshold: the system's own. det: by ascending threshold. conditions, speakers,
    confusables: by name, then by point; speakers of the clean condition alone.
    """

    threshold: float
    positives: int
    hours: float
    det: tuple[DetPoint, ...]
    points: tuple[OperatingPoint, ...]
    conditions: Mapping[str, tuple[MissCount, ...]]
    speakers: Mapping[str, tuple[MissCount, ...]]
    latency_ms: Latency | None
    confusables: Mapping[str, tuple[ConfusableCount, ...]]


@dataclass(frozen=True)
class AllKeywords:
    """The keywords together, each at its own threshold of a point."""

    points: tuple[OperatingPoint, ...]
    conditions: Mapping[str, tuple[MissCount, ...]]
    speakers: Mapping[str, tuple[MissCount, ...]]
    latency_ms: Latency | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One occurrence of a keyword under one condition.

    start_s, end_s: its place in the recording, None where that is not known. score: its
    peak, the best score in its window. fired_s, latency_ms: of the hit at the first
    point, None where the word was missed there. missed: by point.
    """

    audio: str
    name: str
    keyword: str
    speaker: str
    condition: str
    start_s: float | None
    end_s: float | None
    score: float
    fired_s: float | None
    latency_ms: float | None = None
    missed: tuple[bool, ...]


@dataclass(frozen=True)
class FalseAccept:
    """A false accept at some of the points, or an event in a recording of a confusable
    phrase.

    kind: the role of the recording. score, start_s, end_s, at_s: at the lowest of the
    points that hear it. scores: by point, None where it is no false accept. Both are
    peaks, as of `kws.Detection`. seconds: length of the recording. at_s: seconds into
    all clean recordings in a row, None for confusables.
    """

    audio: str
    name: str
    keyword: str
    text: str
    kind: Role
    score: float
    scores: tuple[float | None, ...]
    start_s: float
    end_s: float
    seconds: float
    at_s: float | None


@dataclass(frozen=True)
class Digests:
    """Digests that tell the recordings, the noises and the room impulse responses of a
    report from others.
    """

    recordings: str
    noise: str
    rooms: str


@dataclass(frozen=True, kw_only=True)
class ScoredData:
    """The sources that were named, and the recordings that were heard. hours: without
    confusables.
    """

    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    confusables: tuple[str, ...]
    noise: str | None
    rooms: str | None
    recordings: int
    hours: float
    digests: Digests | None = None  # of a report that was written before there were any
    skipped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CountingRules:
    """The rules by which recordings were replayed and events counted; times in seconds.
    gain_db: of the whole sound. channel: the one heard of each recording, from 1; None:
    the mean of all.
    """

    silence_s: float
    refractory_s: float
    late_s: float
    floor: float
    seed: int
    accepts_condition: str = "clean"
    frame_s: float
    chunk_s: float
    gain_db: float = 0.0
    channel: int | None = None


@dataclass(frozen=True)
class ComparisonRow:
    """Two systems on the same occurrences of a keyword under one condition, at one rate
    of false accepts.

    mcnemar_p: exact and two-sided. difference: of the shares missed, ours minus theirs.
    """

    keyword: str
    condition: str
    target: float
    ours: MissCount
    theirs: MissCount
    only_ours_missed: int
    only_theirs_missed: int
    mcnemar_p: float
    difference: Interval


@dataclass(frozen=True)
class ComparedKeyword:
    """The counts of a keyword in the other report, over everything that the other
    system heard.
    """

    positives: int
    hours: float
    det: tuple[DetPoint, ...]
    points: tuple[OperatingPoint, ...]


@dataclass(frozen=True)
class Comparison:
    """The comparison of this report with an earlier one. against: the name of the other
    system.
    """

    against: str
    seed: int
    rows: tuple[ComparisonRow, ...]
    keywords: Mapping[str, ComparedKeyword]


@dataclass(frozen=True)
class Report:
    """Everything that `kws score` writes into report.json."""

    schema: int
    system: SystemInfo
    command: str
    data: ScoredData
    rules: CountingRules
    rates: tuple[float, ...]
    conditions: tuple[str, ...]
    keywords: Mapping[str, KeywordReport]
    all: AllKeywords
    trials: tuple[Trial, ...]
    accepts: tuple[FalseAccept, ...]
    comparison: Comparison | None

    def to_json(self) -> str:
        """The text of report.json."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Reads report.json of schema 1, maybe of an earlier kws. Raises KwsError for
        anything else.

        Fields that this version does not know are passed over.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise KwsError(f"it is not JSON ({error})") from error
        schema = values.get("schema") if isinstance(values, dict) else None
        if schema is not None and schema != SCHEMA:
            raise KwsError(f"it has schema {schema} and this kws reads {SCHEMA}: score again")
        report = decode(cls, values)
        assert isinstance(report, Report)
        return report
