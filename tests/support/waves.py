"""Writing .wav files with the standard library, and reading sound files with kws."""

import wave

import numpy as np

from kws import audio
from kws.errors import KwsError


def write_wave(path, samples, rate=16000):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "none"))
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def heard(path, block=1_700, rate=16_000):
    """The samples (n,) that come before the error, in blocks of that size, and the error, which names the file."""
    parts, sentence = [np.empty(0, np.float32)], None
    try:
        parts.extend(audio.blocks(path, block, rate))
    except KwsError as error:
        sentence = str(error)
    assert sentence is None or (str(path) in sentence and "\n" not in sentence)
    return np.concatenate(parts), sentence
