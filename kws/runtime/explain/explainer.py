"""Explains a file: every event, the nearest misses, and faults of the sound."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from kws.arrays import Samples
from kws.runtime.detector import Detector
from kws.runtime.explain.diagnosis import Diagnosis, propose, tell
from kws.runtime.explain.search import Attempt, Search, limit
from kws.runtime.explain.sound import Sound

MOST_PICTURED = 3  # diagnoses of a file that keep their excerpts

_MOST_MISSES = 5
_UNVERIFIED = 0.05  # below _NEAR: paths below a first pass's low floor come by the hundred an hour
_NEAR = 0.1  # of the threshold: what scores lower is told only where there is nothing else


@dataclass(frozen=True)
class Explanation:
    """The explanation of a file.

    diagnoses: in order of time; those to be pictured have excerpts. Empty for sound
    that is too short to hold a keyword.
    """

    sound: Sound
    diagnoses: tuple[Diagnosis, ...]


class _Miss(NamedTuple):
    nearness: float  # see `Explainer._nearness`
    attempt: Attempt
    slow: bool
    diagnosis: Diagnosis


class Explainer:
    """Hears one file block by block, as `kws.runtime.detector.Stream` does; `flush`
    gives its explanation.

    asked: the names of the keywords to explain; all when empty. Each keyword that is
    asked for gets at least one diagnosis, however far it was from firing; when none is
    asked for, all together get one.
    """

    def __init__(self, detector: Detector, asked: Collection[str] = ()) -> None:
        self._detector = detector
        self._search = Search(detector)
        self._sound = Sound()
        numbers = range(len(detector.keywords))
        self._groups = [{n} for n in numbers if detector.keywords[n].name in asked] or [set(numbers)]
        self._fires: list[Diagnosis] = []
        self._misses: list[_Miss] = []

    def push(self, samples: Samples) -> list[Explanation]:
        """Hear the next samples (S,) at 16 kHz. The list is always empty: a file is
        explained at its end.
        """
        self._sound.add(samples)
        self._hear(samples)
        return []

    def flush(self) -> list[Explanation]:
        """End the sound; returns its explanation, and nothing where there was no
        sound.
        """
        if not self._sound.samples:
            return []
        self._hear(np.empty(0, np.float32), last=True)
        self._misses = [miss for miss in self._misses if self._fits(miss.attempt)]
        misses = [replace(m.diagnosis, proposal=propose(self._detector, m.diagnosis)) for m in self._told()]
        fires = self._fires[: MOST_PICTURED - 1 if misses else MOST_PICTURED]
        pictured = [*fires, *misses][:MOST_PICTURED]
        others = [
            replace(diagnosis, excerpt=None) for diagnosis in (*self._fires, *misses) if diagnosis not in pictured
        ]
        diagnoses = sorted([*pictured, *others], key=lambda diagnosis: diagnosis.frame)
        return [Explanation(self._sound, tuple(diagnoses))]

    def _hear(self, samples: Samples, last: bool = False) -> None:
        found = self._search.process(samples, last)
        asked = set().union(*self._groups)
        for fire in found.fires:
            if fire.keyword in asked:
                diagnosis = self._tell(fire)
                kept = len(self._fires) < MOST_PICTURED
                self._fires.append(diagnosis if kept else replace(diagnosis, excerpt=None))
        for slow, attempts in ((False, found.misses), (True, found.slow)):
            for attempt in attempts:
                if attempt.keyword in asked and not any(map(attempt.overlaps, self._search.events)):
                    self._consider(attempt, slow)

    def _tell(self, attempt: Attempt, slow: bool = False) -> Diagnosis:
        excerpt, verdict = self._search.excerpt(attempt), None if slow else self._search.verdict(attempt)
        return tell(self._detector, attempt, excerpt, slow, self._search.events, verdict)

    def _consider(self, attempt: Attempt, slow: bool) -> None:
        """Keep a miss if it is among the nearest of all, or the nearest of its
        group.
        """
        nearness = self._nearness(attempt, slow)
        group = next(group for group in self._groups if attempt.keyword in group)
        leads = all(nearness > miss.nearness for miss in self._misses if miss.attempt.keyword in group)
        ahead = sum(nearness <= miss.nearness for miss in self._misses)
        if leads or (nearness >= _NEAR and ahead < _MOST_MISSES):
            self._misses.append(_Miss(nearness, attempt, slow, self._tell(attempt, slow)))
            self._misses = _nearest(self._misses, self._groups)

    def _nearness(self, attempt: Attempt, slow: bool) -> float:
        """How near an attempt came to firing: its score divided by the threshold or
        floor that it had to reach. An attempt that the verifier refused counts as
        nearer than any of which the verifier was not asked.
        """
        verdict = None if slow else self._search.verdict(attempt)
        if verdict is not None:
            return max(_UNVERIFIED, verdict.score / verdict.threshold)
        sharp = self._detector.info.temperature  # scores of a softened model lie close together
        share = (attempt.score / limit(self._detector, attempt.keyword)) ** sharp
        return share if self._detector.info.verifier is None else _UNVERIFIED * min(1.0, share)

    def _fits(self, attempt: Attempt) -> bool:
        """Whether the sound is as long as the keyword at its fastest, a frame for each
        phone: no miss otherwise.
        """
        fewest = min(map(len, self._detector.keywords[attempt.keyword].spellings))
        return self._sound.samples >= fewest * self._detector.info.frame_samples

    def _told(self) -> list[_Miss]:
        """The misses to explain, the nearest first: those that came near, and for a
        group without any diagnosis its nearest.
        """
        slow = [miss.attempt for miss in self._misses if miss.slow]
        fired = {diagnosis.keyword.name for diagnosis in self._fires}
        misses = [miss for miss in self._misses if miss.slow or not any(map(miss.attempt.overlaps, slow))]
        near = [miss for miss in misses if miss.nearness >= _NEAR][:_MOST_MISSES]
        for group in self._groups:
            names = {self._detector.keywords[number].name for number in group}
            if not names & (fired | {miss.diagnosis.keyword.name for miss in near}):
                near += [miss for miss in misses if miss.attempt.keyword in group][:1]
        return near


def _nearest(misses: list[_Miss], groups: list[set[int]]) -> list[_Miss]:
    """The nearest of all and of each group, the nearest first."""
    ranked = sorted(misses, key=lambda miss: -miss.nearness)
    best = [next((m for m in ranked if m.attempt.keyword in group), None) for group in groups]
    return [miss for rank, miss in enumerate(ranked) if rank < _MOST_MISSES or any(miss is m for m in best)]
