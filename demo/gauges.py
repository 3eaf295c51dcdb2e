"""The figures on the screen of `kws listen`: level, scores, near misses, processor.

T frames, K keywords.
"""

import math
import time
from collections import deque
from datetime import datetime
from typing import NamedTuple

import numpy as np

from kws import units
from kws.demo.live import LiveBlock, LiveDetection
from kws.runtime.detector import Detector
from kws.runtime.stream import StreamResult

SILENT_DBFS = -100.0  # digital silence, for want of a logarithm
NEAR = 0.5  # a score above this share of its threshold is a near miss, before a model is softened
_REST_FRAMES = 12  # this long below that share, and the word is over
_HOLD_S = 3.0
_CPU_WINDOW_S = 5.0
_MOST_OUTCOMES = 50


class NearMiss(NamedTuple):
    """A score that came close to its threshold and did not reach it: the keyword, its
    best score, and when the attempt was over.
    """

    keyword: str
    score: float
    time: datetime


class NearMisses:
    """Finds near misses in the frames of a stream."""

    def __init__(self, detector: Detector) -> None:
        self._names = [keyword.name for keyword in detector.keywords]
        near = NEAR ** (1 / detector.info.temperature)
        self._near = near * np.array([keyword.threshold for keyword in detector.keywords])
        self._best = np.zeros(len(self._names))  # of the attempt that is going on; 0: none is
        self._fired = np.zeros(len(self._names), bool)
        self._rest = np.zeros(len(self._names), int)

    def hear(self, result: StreamResult) -> list[tuple[str, float]]:
        """The names and best scores of the attempts that end in these frames without an
        event.
        """
        for event in result.detections:
            self._fired[self._names.index(event.keyword)] = True
        missed = []
        for scores in result.scores:
            loud = scores > self._near
            if not (loud.any() or self._best.any()):  # nearly always
                continue
            self._best = np.where(loud, np.maximum(self._best, scores), self._best)
            self._rest = np.where(loud, 0, self._rest + 1)
            over = (self._best > 0) & (self._rest >= _REST_FRAMES)
            missed += [(self._names[k], float(self._best[k])) for k in np.flatnonzero(over & ~self._fired)]
            self._best[over], self._fired[over] = 0.0, False
        return missed


class Gauges:
    """The present state of listening; `hear` follows the sound, `fire` the events.

    level_dbfs, peak_dbfs: root mean square and highest sample of the last moments; a
    full-scale square wave has 0. scores (K,): the highest of the last chunk. held (K,):
    the highest of the last seconds. outcomes: events and near misses, the last one
    first. heard_s: seconds of sound.
    """

    def __init__(self, detector: Detector) -> None:
        self._near = NearMisses(detector)
        self.level_dbfs = self.peak_dbfs = SILENT_DBFS
        self.scores = np.zeros(len(detector.keywords))
        self.held = np.zeros(len(detector.keywords))
        self._held_until = np.zeros(len(detector.keywords))
        self.outcomes: deque[LiveDetection | NearMiss] = deque(maxlen=_MOST_OUTCOMES)
        self.events = 0
        self.heard_s = 0.0
        self.hears = False
        self._cpu: deque[tuple[float, float]] = deque([(time.monotonic(), time.process_time())])

    def fire(self, event: LiveDetection) -> None:
        """Take note of an event."""
        self.events += 1
        self.outcomes.appendleft(event)

    def settle(self, event: LiveDetection) -> None:
        """Take note of the peak of an event."""
        for place, outcome in enumerate(self.outcomes):
            if isinstance(outcome, LiveDetection) and (outcome.keyword, outcome.end) == (event.keyword, event.end):
                self.outcomes[place] = event

    def hear(self, heard: LiveBlock | None) -> None:
        """Take note of a block; None: no sound comes."""
        self.hears = heard is not None
        if heard is None:
            self.level_dbfs = self.peak_dbfs = SILENT_DBFS
            return
        samples = heard.block.samples
        self.heard_s += units.seconds(samples.size, heard.block.rate)
        level = dbfs(math.sqrt(float(np.dot(samples, samples)) / max(1, samples.size)))
        peak = dbfs(float(np.abs(samples).max(initial=0.0)))
        # Up at once and down slowly, as meters do: a person can read it.
        self.level_dbfs = max(level, self.level_dbfs - 2.0)
        self.peak_dbfs = max(peak, self.peak_dbfs - 0.5)
        if not len(heard.result.scores):
            return
        now = time.monotonic()
        self.scores = heard.result.scores.max(axis=0)
        renewed = (self.scores >= self.held) | (now > self._held_until)
        self.held = np.where(renewed, self.scores, self.held)
        self._held_until[renewed] = now + _HOLD_S
        for keyword, score in self._near.hear(heard.result):
            self.outcomes.appendleft(NearMiss(keyword, score, datetime.now().astimezone()))

    def cpu_share(self) -> float:
        """The share of one core that this process took in the last seconds."""
        now, used = time.monotonic(), time.process_time()
        self._cpu.append((now, used))
        while now - self._cpu[0][0] > _CPU_WINDOW_S and len(self._cpu) > 2:
            self._cpu.popleft()
        began, before = self._cpu[0]
        return (used - before) / max(now - began, 1e-3)


def dbfs(amplitude: float) -> float:
    """An amplitude in [0, 1] in decibels relative to full scale."""
    return max(SILENT_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else SILENT_DBFS
