"""An engine of your own, scored by the same rules as the models of kws.

    kws score examples/my_engine.py:Loudness --keyword clap --positives P.csv --negatives N.csv

This one hears how loud a chunk is, which is enough for a clap and for nothing else. The
protocol is `kws.evaluate.replay.systems.Engine`; every class that has what it says will
do.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Loudness:
    """Scores the level of the last 80 ms between silence (-60 dBFS, 0) and full scale
    (0 dBFS, 1).
    """

    version = "1"
    size_bytes = 0  # it has no model
    chunk_samples = 1_280  # 80 ms at 16 kHz

    def __init__(self, keywords: Sequence[str]) -> None:
        """keywords: what the user asked for with --keyword, maybe nothing."""
        self.keywords = list(keywords) or ["clap"]
        self.thresholds = [0.8] * len(self.keywords)

    def process(self, chunk: npt.NDArray[np.int16]) -> list[float]:
        """The scores of the keywords, in [0, 1], after the next chunk (1280,)."""
        level = np.sqrt(np.mean(np.square(chunk / 32768.0)))
        score = 1 + 20 * np.log10(max(level, 1e-3)) / 60
        return [float(np.clip(score, 0, 1))] * len(self.keywords)

    def reset(self) -> None:
        """Does nothing: the engine remembers nothing."""
