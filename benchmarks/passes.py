"""Measures the cost of a model's second pass beside its first, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/passes.py SPEECH.wav [...] [--model wake-words] [--rounds 5]

Both hear the same recordings in pushes of 80 ms, in turns, so that the machine's slow
moments meet both. CPU seconds of the process per second of sound.

26 November 2026, commit 6ab3b90, wake-words, the first 24 recordings of speaker 1088 of
mini_librispeech, read speech without a pause, on a slow machine: first pass alone
1.24 % of a core, both 1.49 %, ratios of the five rounds 1.27, 1.24, 1.23, 1.16, 1.14.

The same day and recordings, commit 6de2790, which asks the verifier from a score of
0.01 on instead of 0.003, on a slow machine again: first pass alone 1.60 % of a core,
both 1.71 %, ratios 1.07, 1.04, 1.08, 1.33, 0.93.

27 November 2026, commit aa481a1, whose file has two verifiers, the same
recordings, a machine that did nothing else: first pass alone 0.270 % of a core, both
0.298 %, ratios of seven rounds 1.10, 1.11, 1.11, 1.11, 1.09, 1.11, 1.10. The model
before, with one verifier that is asked twice as often: 0.279 and 0.314 %, ratios 1.11,
1.11, 1.18, 1.19, 1.05, 1.13, 1.13.

The same day and recordings, commit 7dc99c9, whose streams let the model hear several
chunks at once, and whose first pass is another, a machine that did nothing else: first
pass alone 0.121 %, both 0.125 %, ratios of seven rounds 1.11, 1.02, 1.00, 1.00, 1.01,
1.06, 1.05 (in the first the verifiers are opened).
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from kws import audio
from kws.arrays import Samples
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import find
from kws.units import SAMPLE_RATE

_PUSH = 1280


def main() -> None:
    """Prints both costs and the ratio of each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", nargs="+", type=Path)
    parser.add_argument("--model", default="wake-words")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    sound = np.concatenate([audio.read(path) for path in args.speech])
    model = OnnxModel.load(find(args.model))
    first, both = Detector(model, verify=False), Detector(model)
    rounds = [(cost(first, sound), cost(both, sound)) for _ in range(args.rounds)]
    for name, costs in zip(("first pass", "both passes"), zip(*rounds, strict=True), strict=True):
        print(f"{name:<12} {100 * statistics.median(costs):.3f} % of a core")
    print("ratios      ", ", ".join(f"{two / one:.2f}" for one, two in rounds))


def cost(detector: Detector, sound: Samples) -> float:
    """CPU seconds per second of sound."""
    stream, begin = detector.stream(), time.process_time()
    for at in range(0, len(sound), _PUSH):
        stream.push(sound[at : at + _PUSH])
    return (time.process_time() - begin) * SAMPLE_RATE / len(sound)


if __name__ == "__main__":
    main()
