"""Replay: recordings through the shipped Stream, as a microphone would give them."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from kws import audio
from kws.data.manifest import Utterance
from kws.errors import KwsError
from kws.evaluate.metrics import Recording
from kws.runtime.detector import Detector
from kws.units import SAMPLE_RATE

_BLOCK_SAMPLES = SAMPLE_RATE


def replay(
    detector: Detector, rows: Iterable[Utterance], silence_s: float, report: Callable[[str], None]
) -> Iterator[Recording]:
    """Each row's scores, heard by a fresh stream between `silence_s` of digital silence on both sides.

    A recording that cannot be read is reported and left out. Its keyword is its text where the detector hears that.
    """
    names = {keyword.name for keyword in detector.keywords}
    silence = np.zeros(int(silence_s * SAMPLE_RATE), np.float32)
    for row in rows:
        stream, samples = detector.stream(), 0
        results = [stream.process(silence)]
        try:
            for block in audio.blocks(row.audio, _BLOCK_SAMPLES):
                samples += len(block)
                results.append(stream.process(block))
        except KwsError as error:
            report(f"skipped: {error}")
            continue
        results.append(stream.process(silence, last=True))
        scores = np.concatenate([result.scores for result in results])
        ages = np.concatenate([result.ages for result in results])
        yield Recording.of(scores, ages, samples, row.text if row.text in names else None)
