"""A test item, which is a recording under one condition, and the scores that a system
gave it.

K keywords, N kept frames.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from kws.decoding.trigger import LEAST

Role = Literal["positive", "negative", "confusable"]

CLEAN = "clean"
FLOOR = LEAST  # scores below are never thresholds: a sweep would take minutes


@dataclass(frozen=True)
class Label:
    """A text that is said in a recording. start, end: its samples at 16 kHz; None where
    only the clip is known.
    """

    text: str
    speaker: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class TestItem:
    """One recording under one condition. name: the same on every machine. labels: the
    texts that are said in it.
    """

    __test__ = False  # pytest takes it for a test otherwise

    audio: Path
    name: str
    role: Role
    labels: tuple[Label, ...] = ()
    condition: str = CLEAN


@dataclass(frozen=True)
class Replayed:
    """The scores that a system gave a test item, in the frames in which some score
    exceeds FLOOR.

    samples: length at 16 kHz. frames (N,): numbers of frames, counted from the begin of
    the item and negative in the silence before it; frame i ends at sample (i + 1) *
    frame_samples of the system. scores, ages (N, K): as `kws.decoding.scorer` gives
    them.
    """

    item: TestItem
    samples: int
    frames: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    ages: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        item: TestItem,
        samples: int,
        scores: npt.NDArray[np.float64],
        ages: npt.NDArray[np.int64],
        first_frame: int = 0,
    ) -> "Replayed":
        """The recording of scores (T, K) and ages (T, K) of consecutive frames, the
        first of which has the number `first_frame`.
        """
        kept = np.flatnonzero((scores > FLOOR).any(axis=1))
        return cls(item, samples, kept + first_frame, scores[kept], ages[kept])
