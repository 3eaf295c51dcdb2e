"""Augmentation: small functions of a waveform (S,) float32 at 16 kHz and a numpy Generator."""

import numpy as np
import numpy.typing as npt

from kws.errors import require
from kws.units import SAMPLE_RATE

Wave = npt.NDArray[np.float32]
_SPEED_STEP = 0.02  # rates are drawn on a grid, so that resamplers are ratios of small numbers
_SILENCE = 1e-6


def rms(x: Wave) -> float:
    """Root mean square, never 0."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + _SILENCE**2))


def decibels(db: float) -> float:
    """The factor of a level change in dB."""
    return float(10.0 ** (db / 20.0))


def speech_level(x: Wave, frame: int = 400) -> float:
    """RMS of the louder half of the 25 ms frames: the level of the speech, not of the silence around it."""
    frames = np.square(x[: len(x) // frame * frame].reshape(-1, frame), dtype=np.float64).mean(axis=1)
    if not len(frames):
        return rms(x)
    return float(np.sqrt(np.sort(frames)[len(frames) // 2 :].mean() + _SILENCE**2))


def speed(x: Wave, low: float, high: float, rng: np.random.Generator) -> Wave:
    """Played faster or slower, tempo and pitch together (Ko et al. 2015)."""
    soxr = require("soxr", extra="audio")
    factor = round(rng.uniform(low, high) / _SPEED_STEP) * _SPEED_STEP
    if abs(factor - 1.0) < _SPEED_STEP / 2:
        return x
    y: Wave = soxr.resample(x, SAMPLE_RATE * factor, SAMPLE_RATE, quality="LQ")
    return y


def add_noise(x: Wave, noise: Wave, snr_db: float, level: float) -> Wave:
    """`noise` (at least as long as `x`) added so that `level` (see `speech_level`) over noise RMS is `snr_db`."""
    noise = noise[: len(x)]
    gain = level / (rms(noise) * decibels(snr_db))
    return (x + gain * noise).astype(np.float32)


def coloured_noise(samples: int, rng: np.random.Generator) -> Wave:
    """Gaussian noise whose power falls as 1 / f^a, a drawn from 0 (white) to 2 (brown)."""
    fft = require("scipy.fft", extra="train")
    bins = samples // 2 + 1
    slope = np.maximum(np.arange(bins, dtype=np.float32), 1) ** np.float32(-rng.uniform(0.0, 2.0) / 2)
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64) * slope
    noise: Wave = fft.irfft(spectrum, samples)
    return noise


def room_response(rng: np.random.Generator) -> Wave:
    """A simulated impulse response: direct sound, then exponentially decaying noise (after Polack 1988).

    Reverberation time 0.1 to 0.7 s; direct-to-reverberant ratio -3 to 12 dB.
    """
    rt60_s = rng.uniform(0.1, 0.7)
    samples = int(rt60_s * SAMPLE_RATE)
    decay = np.exp(-6.9 * np.arange(samples) / samples)
    tail = rng.standard_normal(samples) * decay
    tail[: int(rng.uniform(0.001, 0.006) * SAMPLE_RATE)] = 0.0
    tail *= decibels(-rng.uniform(-3.0, 12.0)) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail.astype(np.float32)


def tilt_response(rng: np.random.Generator, points: int = 129) -> Wave:
    """A short linear-phase filter with a random smooth response of about +-6 dB: another microphone."""
    knots = rng.normal(0.0, 3.5, size=6)
    response_db = np.interp(np.linspace(0, 1, points // 2 + 1), np.linspace(0, 1, len(knots)), knots)
    impulse = np.fft.irfft(10.0 ** (response_db / 20.0), points - 1)
    return (np.roll(impulse, points // 2) * np.hanning(points - 1)).astype(np.float32)


def convolve(x: Wave, response: Wave, delay: int = 0) -> Wave:
    """`x` through a filter, as long as before, `delay` samples of the filter's own delay taken away."""
    signal = require("scipy.signal", extra="train")
    y: Wave = signal.oaconvolve(x, response)[delay : delay + len(x)]
    return y.astype(np.float32)
