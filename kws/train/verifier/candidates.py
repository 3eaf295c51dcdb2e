"""The candidates of a first pass along a tape, and whether each is right.

K keywords.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kws.data.scenes.tapes import Tape
from kws.decoding.candidates import CandidateFinder
from kws.runtime.detector import Detector
from kws.units import SAMPLE_RATE

_BLOCK_SAMPLES = 10 * SAMPLE_RATE
_LATE_SAMPLES = int(0.3 * SAMPLE_RATE)  # behind the end of a clip its word may still be proposed


@dataclass(frozen=True)
class Proposal:
    """A candidate on a tape: its score, the sample at which it would be verified, and
    the clip that it lies in, None between clips.

    said, known: (K,) bool, whether each keyword is said there, and whether that is
    known.
    """

    keyword: int
    score: float
    end: int
    row: int | None
    said: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]


def first_pass_scores(detector: Detector) -> Callable[[Tape], npt.NDArray[np.float32]]:
    """The first pass's scores (T, K) along a tape."""

    def run(tape: Tape) -> npt.NDArray[np.float32]:
        stream = detector.stream()
        blocks = [tape.pcm[at : at + _BLOCK_SAMPLES] for at in range(0, len(tape.pcm), _BLOCK_SAMPLES)]
        return np.concatenate([stream.process(np.array(block)).scores.astype(np.float32) for block in blocks])

    return run


def proposals(
    tape: Tape,
    scores: npt.NDArray[np.float32],
    finder: CandidateFinder,
    frame_samples: int,
    holds: npt.NDArray[np.bool_],
) -> list[Proposal]:
    """The candidates among the scores (T, K) of a tape.

    holds: (rows, K), which keywords each clip says. The place of the keyword in its
    clip is not known: its highest candidate is taken for it, and about lower ones
    nothing is known.
    """
    none = np.zeros(scores.shape, np.int64)
    found, _ = finder.run(scores.astype(np.float64), none, finder.init_state())
    made: list[Proposal] = []
    best: dict[tuple[int, int], int] = {}
    for candidate in found:
        end = (candidate.row + 1) * frame_samples
        peak = end - candidate.age * frame_samples  # ages are counted from the peak, for they begin at 0
        row = tape.row_at(peak)
        if row is not None and peak > tape.rows[row].end + _LATE_SAMPLES:
            row = None
        here = np.zeros(scores.shape[1], bool) if row is None else holds[row]
        if row is not None and here[candidate.keyword]:
            highest = best.get((row, candidate.keyword))
            if highest is None or candidate.score > made[highest].score:
                best[row, candidate.keyword] = len(made)
        said = np.zeros(len(here), bool)
        made.append(Proposal(candidate.keyword, candidate.score, end, row, said, ~here))
    for (_, keyword), place in best.items():
        made[place].said[keyword] = made[place].known[keyword] = True
    return made
