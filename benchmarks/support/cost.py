"""Measures the cost of one engine: hears a recording on one thread, and prints CPU
seconds, seconds heard and peak memory as JSON.

    python benchmarks/support/cost.py MODULE:CLASS RECORDING.wav KEYWORD...
    python benchmarks/support/cost.py MODEL RECORDING.wav KEYWORD...

A process of its own for each measurement, started by peers.py. It imports what a device
would need and no more, so that memory is that of the engine; what is heard first is not
counted, since that is where things are set up.
"""

import importlib
import json
import sys
import time
import wave
from collections.abc import Callable
from typing import Any

import numpy as np

from kws.runtime.bench.peak import peak_mb

_RATE = 16_000
_SETTLING_S = 5.0


def engine(place: str, keywords: list[str]) -> tuple[Callable[[Any], Any], int]:
    """A function that hears a chunk (S,) int16, and S: of another engine's adapter, or
    of a stream of a model of kws.
    """
    if ":" in place:
        module, _, name = place.partition(":")
        made = getattr(importlib.import_module(module), name)(keywords)
        made.reset()
        return made.process, made.chunk_samples
    from kws.runtime.detector import Detector
    from kws.runtime.keywords import open_detector

    detector = Detector.load(place)
    own = {keyword.name: keyword for keyword in detector.keywords}
    if set(keywords) <= set(own):
        detector = Detector(detector.model, [own[name] for name in keywords])
    else:
        detector = open_detector(place, keywords)
    if (verifier := detector.info.verifier) is not None:  # the first candidate opens it: that is no cost of hearing
        detector.model.verify(np.full((verifier.segment_frames, verifier.mels), verifier.silence, np.float32))
    return detector.stream().push, detector.info.chunk_samples


def main() -> None:
    """Measures, and prints one line."""
    place, recording, *keywords = sys.argv[1:]
    hear, size = engine(place, keywords)
    cpu_s, heard = 0.0, 0
    with wave.open(recording) as reader:
        settling = int(_SETTLING_S * _RATE) // size
        for number in range(reader.getnframes() // size):
            chunk = np.frombuffer(reader.readframes(size), np.int16)
            if number == settling:
                cpu_s, heard = -time.process_time(), 0
            hear(chunk)
            heard += size
    cpu_s += time.process_time()
    print(json.dumps({"cpu_s": cpu_s, "audio_s": heard / _RATE, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
