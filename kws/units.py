"""Time is counted in samples at one rate; seconds exist only where people read."""

from __future__ import annotations

SAMPLE_RATE = 16_000  # Hz, of every model, manifest and event
HOP_SAMPLES = SAMPLE_RATE // 100  # 10 ms, of log-mel energies and of pocketsphinx
FLUSH_SAMPLES = SAMPLE_RATE // 2  # of silence after a sound, whose last posteriors come some frames later


def seconds(samples: int, rate: int = SAMPLE_RATE) -> float:
    """Length in seconds of a number of samples."""
    return samples / rate


def samples(seconds: float, rate: int = SAMPLE_RATE) -> int:
    """Number of samples nearest to a length in seconds."""
    return round(seconds * rate)
