"""Augmentation: small functions of a waveform (S,) float32 at 16 kHz and a numpy
Generator.
"""

import io
from typing import Any, NamedTuple

import numpy as np

from kws.arrays import Float64Array, Samples
from kws.errors import require
from kws.units import SAMPLE_RATE

_SPEED_STEP = 0.02  # rates are drawn on a grid, so that resamplers are ratios of small numbers
_SILENCE = 1e-6
LEVEL_FRAME = 400  # samples, 25 ms: what levels of speech are measured on
_LONGEST_RIR = SAMPLE_RATE  # of a recorded room; beyond, nothing is left that a convolution is worth
_BEFORE_DIRECT = 16  # samples of a recorded response that are kept before its peak: the direct sound's own rise


class Codec(NamedTuple):
    """A codec: its name in soundfile, and the sample rate (Hz) that it is used at.
    quality: soundfile's settings.
    """

    container: str
    subtype: str
    rate: int
    quality: dict[str, float]


# All give back as many samples as they took, not shifted, but for ADPCM's padding at
# the end. Opus at 16 kHz would cost ten times as much as the mean of these, and MP3 of
# a low constant bit rate comes back 1105 samples late.
CODECS = (
    Codec("OGG", "OPUS", 12_000, {}),
    Codec("OGG", "VORBIS", 16_000, {}),
    Codec("MP3", "MPEG_LAYER_III", 16_000, {"compression_level": 0.8}),
    Codec("WAV", "GSM610", 8_000, {}),
    Codec("WAV", "ULAW", 8_000, {}),
    Codec("WAV", "IMA_ADPCM", 16_000, {}),
)


def rms(x: Samples) -> float:
    """Root mean square, never 0."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + _SILENCE**2))


def decibels(db: float) -> float:
    """The factor of a level change in dB."""
    return float(10.0 ** (db / 20.0))


def speech_level(x: Samples) -> float:
    """RMS of the louder half of the 25 ms frames: the level of the speech, not of the
    silence around it.
    """
    powers = frame_powers(x)
    return louder_half(powers) if len(powers) else rms(x)


def frame_powers(x: Samples) -> Float64Array:
    """Mean squares of the whole frames of `LEVEL_FRAME` samples in `x`."""
    return np.square(x[: len(x) // LEVEL_FRAME * LEVEL_FRAME].reshape(-1, LEVEL_FRAME), dtype=np.float64).mean(axis=1)


def louder_half(powers: Float64Array) -> float:
    """RMS of the louder half of frames (at least one) of these powers."""
    return float(np.sqrt(np.sort(powers)[len(powers) // 2 :].mean() + _SILENCE**2))


def speed(x: Samples, low: float, high: float, rng: np.random.Generator) -> Samples:
    """`x` played faster or slower, tempo and pitch together (Ko et al. 2015)."""
    soxr = require("soxr", extra="audio")
    factor = max(low, round(rng.uniform(low, high) / _SPEED_STEP) * _SPEED_STEP)
    if abs(factor - 1.0) < _SPEED_STEP / 2:
        return x
    y: Samples = soxr.resample(x, SAMPLE_RATE * factor, SAMPLE_RATE, quality="LQ")
    return y


def stretch(
    x: Samples, tempo: tuple[float, float], semitones: tuple[float, float], rng: np.random.Generator
) -> Samples:
    """Tempo and pitch changed independently of each other, both drawn uniformly
    (Signalsmith Stretch).

    The formants move with the pitch, as in a shorter or longer vocal tract; 1 / tempo
    as many samples come back.
    """
    signalsmith = require("python_stretch", extra="train").Signalsmith
    stretcher = signalsmith.Stretch(0)  # its own randomness begins beyond twice the length, and then with this seed
    stretcher.preset(1, SAMPLE_RATE, cheaper=True)
    stretcher.setTimeFactor(rng.uniform(*tempo))
    stretcher.setTransposeSemitones(rng.uniform(*semitones))
    y: Samples = np.asarray(stretcher.process(x[None]))[0]
    return y


def shift(x: Samples, most: int, rng: np.random.Generator) -> Samples:
    """`x` moved by up to `most` samples to either side, at the same length. What leaves
    is lost, and silence takes its place.

    Warden 2018 does so by 100 ms with recordings of one word.
    """
    by = int(rng.integers(-most, most + 1))
    by = max(-len(x), min(len(x), by))
    silence = np.zeros(abs(by), np.float32)
    return np.concatenate([silence, x[: len(x) - by]] if by >= 0 else [x[-by:], silence])


def add_noise(x: Samples, noise: Samples, snr_db: float, level: float) -> Samples:
    """`noise` (at least as long as `x`) added so that `level` (see `speech_level`) over
    noise RMS is `snr_db`.
    """
    noise = noise[: len(x)]
    gain = level / (rms(noise) * decibels(snr_db))
    return (x + gain * noise).astype(np.float32, copy=False)


def coloured_noise(samples: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise whose power falls as 1 / f^a, a drawn from 0 (white) to 2
    (brown).
    """
    fft = require("scipy.fft", extra="train")
    bins = samples // 2 + 1
    slope = np.maximum(np.arange(bins, dtype=np.float32), 1) ** np.float32(-rng.uniform(0.0, 2.0) / 2)
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    spectrum *= slope
    noise: Samples = fft.irfft(spectrum, samples, overwrite_x=True)
    return noise


def simulated_rir(rng: np.random.Generator) -> Samples:
    """A simulated impulse response: direct sound, then exponentially decaying noise
    (after Polack 1988).

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


def recorded_rir(x: Samples) -> tuple[Samples, int]:
    """A recorded (or elsewhere simulated) impulse response made ready for `convolve`,
    and its delay in samples.

    What lies before the direct sound is cut off, so that speech stays where its labels
    are, and the energy of 5 ms around the direct sound becomes 1, so that levels mean
    what they mean in a dry row.
    """
    peak = int(np.abs(x).argmax())
    start = max(0, peak - _BEFORE_DIRECT)
    direct = x[max(0, peak - SAMPLE_RATE // 400) : peak + SAMPLE_RATE // 400]
    scale = max(float(np.sqrt(np.sum(np.square(direct, dtype=np.float64)))), _SILENCE)
    return (x[start : start + _LONGEST_RIR] / np.float32(scale)), peak - start


def microphone_filter(rng: np.random.Generator, points: int = 129) -> Samples:
    """A short linear-phase filter with a random smooth response of about +-6 dB:
    another microphone.
    """
    knots = rng.normal(0.0, 3.5, size=6)
    response_db = np.interp(np.linspace(0, 1, points // 2 + 1), np.linspace(0, 1, len(knots)), knots)
    impulse = np.fft.irfft(10.0 ** (response_db / 20.0), points - 1)
    return (np.roll(impulse, points // 2) * np.hanning(points - 1)).astype(np.float32)


def telephone_filter(rng: np.random.Generator, taps: int = 257) -> Samples:
    """A linear-phase band-pass filter from 150 to 400 Hz up to 3.0 to 3.8 kHz: a
    telephone line.
    """
    signal = require("scipy.signal", extra="train")
    band_hz = [rng.uniform(150.0, 400.0), rng.uniform(3000.0, 3800.0)]
    response: Samples = signal.firwin(taps, band_hz, pass_zero=False, fs=SAMPLE_RATE).astype(np.float32)
    return response


def overdrive(x: Samples, most_db: float, rng: np.random.Generator) -> Samples:
    """The peaks cut off, by up to `most_db` dB: hard as by a converter or, as likely,
    soft as by an amplifier.
    """
    ceiling = np.float32(np.abs(x).max(initial=_SILENCE) * decibels(-rng.uniform(0.0, most_db)))
    if rng.random() < 0.5:
        return np.clip(x, -ceiling, ceiling)
    return ceiling * np.tanh(x / ceiling)


def through_codec(x: Samples, codec: Codec) -> Samples:
    """`x`, cut to [-1, 1], encoded and decoded in memory: as long as before and not
    shifted.
    """
    soundfile: Any = require("soundfile", extra="audio")
    soxr: Any = require("soxr", extra="audio")
    coded = np.clip(x, -1.0, 1.0)
    if codec.rate != SAMPLE_RATE:
        coded = soxr.resample(coded, SAMPLE_RATE, codec.rate, quality="LQ")
    file = io.BytesIO()
    soundfile.write(file, coded, codec.rate, format=codec.container, subtype=codec.subtype, **codec.quality)
    file.seek(0)
    y, _ = soundfile.read(file, dtype="float32")
    if codec.rate != SAMPLE_RATE:
        y = soxr.resample(y, codec.rate, SAMPLE_RATE, quality="LQ")
    missing = max(0, len(x) - len(y))
    return np.pad(y[: len(x)], (0, missing)) if missing else y[: len(x)]


def convolve(x: Samples, response: Samples, delay: int = 0) -> Samples:
    """`x` through a filter, as long as before, `delay` samples of the filter's own
    delay taken away.
    """
    signal = require("scipy.signal", extra="train")
    y: Samples = signal.oaconvolve(x, response)[delay : delay + len(x)]
    return y.astype(np.float32, copy=False)


def convolve_centred(x: Samples, response: Samples) -> Samples:
    """`x` through a symmetric filter, whose delay is half its length, without that
    delay.
    """
    return convolve(x, response, len(response) // 2)
