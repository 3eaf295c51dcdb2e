"""Measures what rounding costs stored speech: the scores of everyday phrases by
log-posteriors as the model gives them, and by those that the file keeps.

    python benchmarks/stored_speech.py mini_librispeech@dev

Prints, of the peaks above 0.03, by what factor they change (median, 95 % and largest),
the events at some thresholds by both, and by how much the threshold of each phrase for
half a false accept an hour changes.
"""

import argparse
from types import SimpleNamespace
from typing import Any

import numpy as np
from phrase_thresholds import AT_ONCE, names_of_phrases

from kws import audio
from kws.data.manifest import rows_of
from kws.decoding.packed import PackedPosteriors
from kws.decoding.trigger import LEAST as LEAST_THRESHOLD
from kws.lexicon import spell_all
from kws.runtime.detector import Detector
from kws.runtime.speech.replay import FLOOR, Peak, peaks
from kws.runtime.speech.store import Recording
from kws.runtime.speech.tail import tail_of
from kws.units import SAMPLE_RATE

THRESHOLDS = (0.02, 0.05, 0.1, 0.2)
LEAST = 0.03
NEAR_FRAMES = 12  # a peak may move by so much


class Exact:
    """Unrounded log-posteriors, with the part of `PackedPosteriors` that `peaks`
    uses.
    """

    def __init__(self, every: np.ndarray) -> None:
        silence = np.full((1, every.shape[1]), -50.0, np.float32)
        silence[0, 0] = 0
        self._every = np.concatenate([every, silence])

    def frames(self, rows: np.ndarray) -> np.ndarray:
        return self._every[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="manifests, MANIFEST@SPLIT or folders of audio")
    parser.add_argument("--model", default="phones")
    args = parser.parse_args()
    detector = Detector.load(args.model)
    heard = [
        detector.stream().process(audio.read(row.audio), last=True).log_posteriors for row in rows_of(args.sources)
    ]
    every = np.concatenate(heard)
    recordings = [Recording(len(frames)) for frames in heard]
    true: Any = SimpleNamespace(recordings=recordings, posteriors=Exact(every))
    packed = PackedPosteriors.of(every, detector.info.temperature)
    kept: Any = SimpleNamespace(recordings=recordings, posteriors=packed)
    report(detector, true, kept)


def report(detector: Detector, true: Any, kept: Any) -> None:
    """Print how the peaks of all phrases compare."""
    info, names = detector.info, names_of_phrases()
    spelled = spell_all(names)
    factors, set_by = [], []
    hours = sum(recording.frames for recording in true.recordings) * info.frame_samples / SAMPLE_RATE / 3600
    counts = np.zeros((2, len(THRESHOLDS)), int)
    for first in range(0, len(names), AT_ONCE):
        some = [spelled[name] for name in names[first : first + AT_ONCE]]
        scorer = info.scoring.scorer(info.tokens, some)
        both = [peaks(speech, scorer, info.scoring) for speech in (true, kept)]
        for exact, rounded in zip(*both, strict=True):
            counts += [[sum(peak.score >= t for peak in own) for t in THRESHOLDS] for own in (exact, rounded)]
            both_ways = [tail_of([peak.score for peak in own], hours, 0.5, FLOOR).threshold for own in (exact, rounded)]
            set_by.append(np.maximum(both_ways, LEAST_THRESHOLD))
            for peak in exact:
                if peak.score >= LEAST:
                    near = [other.score for other in rounded if is_near(other, peak)]
                    factors.append(np.log(max(near, default=FLOOR) / peak.score))
    change = np.exp(np.abs(factors))
    print(
        f"{len(factors)} peaks above {LEAST:g}: changed by a factor of {np.median(change):.2f} in the median, ", end=""
    )
    print(f"{np.quantile(change, 0.95):.2f} (95 %), {change.max():.1f} at most")
    for threshold, (exact, rounded) in zip(THRESHOLDS, counts.T, strict=True):
        print(f"events at {threshold:g}: {exact} exact, {rounded} from the file")
    shift = np.log(np.array(set_by)).T
    shift = shift[1] - shift[0]
    print(f"threshold of a phrase for 0.5 FA/h: mean change {np.expm1(shift.mean()):+.1%}, ", end="")
    print(f"standard deviation {shift.std():.1%}, {np.exp(np.abs(shift).max()):.2f} times at most")


def is_near(other: Peak, peak: Peak) -> bool:
    """Whether two peaks are of the same sound."""
    return other.recording == peak.recording and abs(other.frame - peak.frame) <= NEAR_FRAMES


if __name__ == "__main__":
    main()
