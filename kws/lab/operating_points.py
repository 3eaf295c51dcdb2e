"""The operating points of a run: thresholds for each rate of false accepts, and the
keywords that are missed there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kws.evaluate.count.matching import Counting, occurrences
from kws.evaluate.count.metrics import at_rate, det
from kws.evaluate.replay.recording import CLEAN, Replayed
from kws.lab.study import Study
from kws.lexicon.text import phrase_name
from kws.model.encoder import FRAME_SAMPLES


@dataclass(frozen=True)
class OperatingPoint:
    """A run at one rate of false accepts.

    thresholds, false_accepts: of each keyword. hours: of sound in which an event of the
    first keyword is a false accept. missed: by condition, the sorted names of the
    recordings whose keyword was missed.
    """

    fa_per_hour: float
    thresholds: tuple[float, ...]
    false_accepts: tuple[int, ...]
    hours: float
    missed: dict[str, tuple[str, ...]]

    def __str__(self) -> str:
        missed = ", ".join(f"{len(names)} missed {condition}" for condition, names in self.missed.items())
        return f"{self.fa_per_hour:g} FA/h: {missed}"


def points(recordings: Sequence[Replayed], study: Study) -> list[OperatingPoint]:
    """The run at each rate of the study, with each keyword's threshold from clean
    recordings, in noise too.
    """
    keywords = [phrase_name(keyword) for keyword in study.recipe.task.keywords]
    counting = Counting(study.recipe.task.scoring.refractory_frames, FRAME_SAMPLES)
    clean = [r for r in recordings if r.item.condition == CLEAN]
    curves = [det(clean, keywords, index, counting) for index in range(len(keywords))]
    made = []
    for rate in study.fa_per_hour:
        found = [at_rate(curve, rate) for curve in curves]
        thresholds = tuple(point.threshold for point in found)
        missed = {
            condition: _missed(recordings, condition, keywords, thresholds, counting) for condition in study.conditions
        }
        made.append(OperatingPoint(rate, thresholds, tuple(p.false_accepts for p in found), found[0].hours, missed))
    return made


def _missed(
    recordings: Sequence[Replayed],
    condition: str,
    keywords: Sequence[str],
    thresholds: Sequence[float],
    counting: Counting,
) -> tuple[str, ...]:
    return tuple(
        sorted(
            recording.item.name
            for recording in recordings
            if recording.item.role == "positive" and recording.item.condition == condition
            for index, (keyword, threshold) in enumerate(zip(keywords, thresholds, strict=True))
            for occurrence in occurrences(recording, index, keyword, threshold, counting)
            if occurrence.row is None
        )
    )
