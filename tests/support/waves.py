"""Writing .wav files with the standard library."""

import wave

import numpy as np


def write_wave(path, samples, rate=16000):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "none"))
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path
