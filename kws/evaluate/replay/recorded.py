"""Changes a recording as if it had been made otherwise: more quietly, over the
telephone, or begun with the word.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from kws.arrays import Samples
from kws.data import augment
from kws.errors import KwsError, require
from kws.evaluate.replay.files import sound_of
from kws.evaluate.replay.mixing import convolved
from kws.evaluate.replay.recording import TestItem
from kws.units import SAMPLE_RATE

_STEPS = 32768  # of 16 bits, from 0 to full scale
_SPEECH = 1e-3  # of the power of the loudest 25 ms: speech is not softer
_TELEPHONE_HZ = 3800.0  # a sampling rate of 8 kHz leaves this
_TAPS = 257


def at_level(dry: Iterator[Samples], path: Path, peak_dbfs: float, channel: int | None = None) -> Iterator[Samples]:
    """`dry` as a converter of 16 bits would record it with the peak of the file, or of
    one of its channels, so many dB below full scale.
    """
    peak = max((float(np.abs(block).max(initial=0.0)) for block in sound_of(path, channel)), default=0.0)
    if peak == 0.0:
        raise KwsError(f"{path} is silent: it has no level that could be changed")
    gain = augment.decibels(peak_dbfs) / peak * _STEPS
    for block in dry:
        yield (np.round(block * gain).clip(-_STEPS, _STEPS - 1) / _STEPS).astype(np.float32)


def over_telephone(dry: Iterator[Samples]) -> Iterator[Samples]:
    """`dry` without the frequencies that a sampling rate of 8 kHz cannot carry."""
    signal = require("scipy.signal", extra="score")
    response = signal.firwin(_TAPS, _TELEPHONE_HZ, fs=SAMPLE_RATE).astype(np.float32)
    return convolved(dry, response, _TAPS // 2)


def speech_begins(source: TestItem, channel: int | None = None) -> int:
    """The sample in which the first labelled word of a recording begins. Where no label
    has a time, it is the begin of the first 25 ms that are not far softer than the
    loudest.
    """
    starts = [label.start for label in source.labels if label.start is not None]
    if starts:
        return min(starts)
    powers = np.concatenate(list(chain([np.zeros(0)], map(augment.frame_powers, sound_of(source.audio, channel)))))
    loud = np.flatnonzero(powers >= _SPEECH * powers.max(initial=0.0))
    return int(loud[0]) * augment.LEVEL_FRAME if len(loud) else 0
