"""Replays one test item through a system, block by block, as a microphone would give
it.
"""

from collections.abc import Callable, Iterator

import numpy as np

from kws.arrays import Samples
from kws.errors import InputError, KwsError
from kws.evaluate.replay.conditions import Rules, blocks
from kws.evaluate.replay.recording import Replayed, TestItem
from kws.evaluate.replay.systems import System
from kws.units import SAMPLE_RATE, samples, seconds

_BLOCK_SAMPLES = 4 * SAMPLE_RATE
_REPORT_SAMPLES = 60 * SAMPLE_RATE


class SourceError(KwsError):
    """A recording that cannot be heard. Other recordings may be."""


def replay(
    system: System,
    source: TestItem,
    rules: Rules,
    block_samples: int = _BLOCK_SAMPLES,
    report: Callable[[float], None] = lambda seconds: None,
) -> Replayed:
    """Replays `source` through a fresh stream of `system`; the result is the same for
    every block size.

    report: is called now and then with the seconds that were replayed since its last
    call.

    Memory is bounded but for the frames over FLOOR. Raises SourceError, naming the
    file, when the audio cannot be read to its end, and KwsError when the system fails.
    """
    lead = rules.lead_samples(system.frame_samples, source)
    frame = -lead // system.frame_samples
    heard_samples = reported = 0
    stream = system.stream()
    none = np.empty((0, len(system.keywords)))
    parts = [Replayed.of(source, 0, none, none.astype(np.int64))]
    for block, last in _cut(source, rules, system.frame_samples, block_samples):
        try:
            heard = stream.process(block, last)
        except InputError as error:  # such as integers in a file of floats
            raise SourceError(f"{source.audio}: {error}") from error
        part = Replayed.of(source, 0, heard.scores, heard.ages, frame)
        frame += len(heard.scores)
        heard_samples += len(block)
        if len(part.frames):
            parts.append(part)
        if heard_samples - reported >= _REPORT_SAMPLES:
            report(seconds(heard_samples - reported))
            reported = heard_samples
    return Replayed(
        source,
        heard_samples - lead - samples(rules.silence_s),
        np.concatenate([part.frames for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.ages for part in parts]),
    )


def _cut(source: TestItem, rules: Rules, frame_samples: int, most: int) -> Iterator[tuple[Samples, bool]]:
    """The sound of a test item in blocks of at most `most` samples, then an empty block
    that is marked as the last.
    """
    try:
        for piece in blocks(source, rules, frame_samples):
            for start in range(0, len(piece), most):
                yield piece[start : start + most], False
    except KwsError as error:
        raise SourceError(str(error)) from error
    yield np.empty(0, np.float32), True
