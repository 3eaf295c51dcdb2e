"""The posteriors that a teacher gave for clips, laid along rows of training mixtures.

Shapes: N frames of 40 ms of all clips, T those of a row, V tokens.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kws.arrays import Float16Array
from kws.model.encoder import FRAME_SAMPLES

_SURELY = 1e-4  # of a frame in which nobody speaks: what all tokens but blank have together


@dataclass(frozen=True)
class Taught:
    """A teacher's log-posteriors (N, V) of clips; those of clip i are
    log_posteriors[starts[i] : starts[i + 1]].

    lead: frames of silence before and after each clip, in which it heard nothing yet or
    was about to finish. delay: frames by which a streaming student says a phone later.
    key: a digest of the teacher.
    """

    log_posteriors: Float16Array
    starts: npt.NDArray[np.int64]
    lead: int
    delay: int
    key: str

    def silence(self, frames: int) -> Float16Array:
        """(T, V) log-posteriors of a row without speech."""
        tokens = self.log_posteriors.shape[1]
        row = np.full((frames, tokens), np.log(_SURELY / (tokens - 1)), np.float16)
        row[:, 0] = np.log1p(-_SURELY)
        return row

    def lay(self, row: Float16Array, clip: int, at: int, samples: int, said: int) -> None:
        """Writes the posteriors of a clip of `samples` into a row (T, V), where it
        begins at sample `at` and lasts `said` samples, since it is played faster or
        slower.

        A token has its peak in a single frame. So where frames of the clip meet in one
        of the row, and where the silences of two clips overlap, the row's frame is the
        one that is least sure of a blank. Where slow speech leaves a frame of the row
        without one, it is the neighbour that is surer of a blank.
        """
        heard = self.log_posteriors[self.starts[clip] : self.starts[clip + 1]]
        middles = (np.arange(len(heard)) - self.lead + 0.5) * (FRAME_SAMPLES * said / samples) + at
        places = np.floor(middles / FRAME_SAMPLES).astype(np.int64) + self.delay
        begin = places[0]
        sources = np.full(places[-1] - begin + 1, -1)
        surest_first = np.argsort(-heard[:, 0], kind="stable")
        sources[places[surest_first] - begin] = surest_first  # of frames that meet, the last one stays
        holes = sources < 0
        before = np.maximum.accumulate(sources)
        after = np.minimum.accumulate(np.where(holes, len(heard), sources)[::-1])[::-1]
        surer = np.where(heard[before, 0] >= heard[after, 0], before, after)
        frames = np.arange(begin, begin + len(sources))
        inside = (frames >= 0) & (frames < len(row))
        news, frames = heard[np.where(holes, surer, sources)[inside]], frames[inside]
        spoken = news[:, 0] < row[frames, 0]
        row[frames[spoken]] = news[spoken]
