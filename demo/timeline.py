"""Pictures of scores over time.

T frames of 40 ms, K keywords, S samples.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Samples
from kws.errors import require
from kws.events import Detection
from kws.files import whole
from kws.runtime.detector import Detector
from kws.runtime.explain.figure import spectrogram
from kws.units import SAMPLE_RATE

if TYPE_CHECKING:
    from kws.demo.hear import Truth

_BLOCKS = " ▁▂▃▄▅▆▇█"


def blocks(scores: NDArray[np.float64], width: int) -> str:
    """Scores (T,) in [0, 1] as `width` block characters, each the highest of its
    stretch.
    """
    edges = np.linspace(0, len(scores), width + 1).astype(int)
    highest = [scores[a : max(b, a + 1)].max(initial=0.0) for a, b in pairwise(edges)]
    return "".join(_BLOCKS[round(8 * score)] for score in highest)


def draw_png(
    path: Path,
    samples: Samples,
    detector: Detector,
    scores: NDArray[np.float64],
    detections: Sequence[Detection],
    truth: Sequence["Truth"],
) -> None:
    """Writes a picture: the spectrogram of samples (S,) above a lane of scores (T, K)
    for each keyword.
    """
    matplotlib = require("matplotlib", extra="demo")
    matplotlib.use("Agg")
    pyplot = require("matplotlib.pyplot", extra="demo")
    figure, (above, below) = pyplot.subplots(
        2, 1, figsize=(14, 7.5), sharex=True, height_ratios=(2, 3), layout="constrained"
    )
    spectrogram(above, samples)
    _lanes(below, detector, scores, detections, truth)
    figure.suptitle(f"{detector.info.name}: score of each keyword, and when it fired")
    with whole(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    pyplot.close(figure)


def _lanes(
    axes: Any,
    detector: Detector,
    scores: NDArray[np.float64],
    detections: Sequence[Detection],
    truth: Sequence["Truth"],
) -> None:
    """One lane per keyword, bottom to top; a lane is 1 high and leaves a little air."""
    frame_s = detector.info.frame_samples / SAMPLE_RATE
    times = (1 + np.arange(len(scores))) * frame_s
    for lane, keyword in enumerate(detector.keywords):
        colour = f"C{lane}"
        axes.fill_between(times, lane, lane + 0.9 * scores[:, lane], color=colour, alpha=0.8, linewidth=0.8)
        axes.axhline(lane + 0.9 * keyword.threshold, color=colour, linestyle=":", linewidth=1)
        for word in truth:
            if word.keyword == keyword.name:
                axes.add_patch(_box(word, lane))
        for event in detections:
            if event.keyword == keyword.name:
                axes.plot(event.end_s, lane + 0.93, marker="v", color="black", markersize=7)
    axes.set_yticks(np.arange(len(detector.keywords)) + 0.45, [keyword.name for keyword in detector.keywords])
    axes.set(xlabel="seconds    (grey: the word is said; dotted: threshold; triangle: event)", ylim=(0, None))
    axes.margins(x=0)
    axes.set_xlim(0, len(scores) * frame_s)


def _box(word: "Truth", lane: int) -> Any:
    patches = require("matplotlib.patches", extra="demo")
    return patches.Rectangle((word.start_s, lane), word.end_s - word.start_s, 0.95, color="0.85", zorder=0)
