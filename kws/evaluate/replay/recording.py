"""What is to be heard, and what was heard of it.

K keywords, N kept frames.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

Role = Literal["positive", "negative", "confusable"]

CLEAN = "clean"
FLOOR = 1e-2  # scores below are never thresholds: they come by the hundred an hour, and a sweep would take minutes


@dataclass(frozen=True)
class Label:
    """Something that is said in a recording. start, end: its samples at 16 kHz; None where only the clip is known."""

    text: str
    speaker: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Source:
    """One recording under one condition. name: what it is called, the same on every machine; labels: what is said."""

    audio: Path
    name: str
    role: Role
    labels: tuple[Label, ...] = ()
    condition: str = CLEAN


@dataclass(frozen=True)
class Recording:
    """What a system made of a source: the frames in which some score exceeds FLOOR, counted from the source's start.

    samples: length at 16 kHz. frames (N,): numbers of frames, negative in the silence before the source; frame i ends
    at sample (i + 1) * frame_samples of the system. scores, ages (N, K): as `kws.decoding.scorer` gives them.
    """

    source: Source
    samples: int
    frames: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    ages: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        source: Source,
        samples: int,
        scores: npt.NDArray[np.float64],
        ages: npt.NDArray[np.int64],
        first_frame: int = 0,
    ) -> "Recording":
        """From the scores (T, K) and ages (T, K) of consecutive frames, the first of them being `first_frame`."""
        kept = np.flatnonzero((scores > FLOOR).any(axis=1))
        return cls(source, samples, kept + first_frame, scores[kept], ages[kept])
