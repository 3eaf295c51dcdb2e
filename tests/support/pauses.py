"""A phrase of two words with a pause between them."""

import numpy as np

from kws import audio
from kws.units import samples
from trees import ROOT

_SMART, _MIRROR = (48.35, 48.88), (48.88, 49.35)  # seconds of the demo's recording


def paused(pause_s: float) -> np.ndarray:
    """ "Smart mirror" of the demo's recording (S,), with a pause in the noise of a quiet room."""
    sound = audio.read(ROOT / "demo/hear.wav")
    parts = [sound[samples(start) : samples(end)] for start, end in (_SMART, _MIRROR)]
    noise = 1e-4 * np.random.default_rng(0).standard_normal(samples(5.0))
    lead, pause = noise[:16_000], noise[16_000 : 16_000 + samples(pause_s)]
    return np.concatenate([lead, parts[0], pause, parts[1], lead]).astype(np.float32)
