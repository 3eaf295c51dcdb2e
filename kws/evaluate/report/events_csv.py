"""events.csv: every event behind the operating points of a report, so that anyone can
count again.
"""

from collections.abc import Iterator
from pathlib import Path

from kws.data.manifest import write_csv
from kws.evaluate.count.matching import end_samples, events, match, peak, windows
from kws.evaluate.replay.recording import Replayed
from kws.evaluate.report.build import Evaluation
from kws.units import seconds

COLUMNS = (
    *("keyword", "target", "threshold", "recording", "audio", "kind", "condition"),
    *("time_s", "score", "peak", "verdict"),
)


def write_events(evaluation: Evaluation, path: Path) -> None:
    """Writes a row for each event of each keyword at each operating point, under all
    conditions, in the order of the recordings.

    target: the FA/h for which the threshold was chosen, empty for the system's own.
    time_s: the end of the frame that fired, from the start of the recording. score,
    peak: as in `kws.Detection`. Numbers are exact. verdict: empty for an event that is
    neither right nor wrong, inside a longer phrase that contains the keyword.
    """
    write_csv(path, COLUMNS, _rows(evaluation), errors="backslashreplace")


def _rows(evaluation: Evaluation) -> Iterator[tuple[object, ...]]:
    for index, result in enumerate(evaluation.results):
        for target, point in zip(["", *evaluation.rates], result.points, strict=True):
            for recording in evaluation.recordings:
                source = recording.item
                heard = (source.name, source.audio, source.role, source.condition)
                for time, *scores, verdict in _judged(evaluation, recording, index, point.threshold):
                    yield point.keyword, target, point.threshold, *heard, seconds(time), *scores, verdict


def _judged(
    evaluation: Evaluation, recording: Replayed, index: int, threshold: float
) -> Iterator[tuple[int, float, float, str]]:
    """(sample, score, peak, verdict) of each event."""
    rows = events(recording, index, threshold, evaluation.counting)
    times = end_samples(recording, rows, evaluation.counting)
    found = match(times, windows(recording.item, evaluation.system.keywords[index], evaluation.counting))
    verdicts = dict.fromkeys((event for _, event in found.hits), "hit")
    verdicts |= dict.fromkeys(found.false_accepts, "false accept") | dict.fromkeys(found.repeats, "repeat")
    for event, (row, time) in enumerate(zip(rows, times, strict=True)):
        highest = peak(recording, row, index, evaluation.counting)
        yield time, float(recording.scores[row, index]), highest, verdicts.get(event, "")
