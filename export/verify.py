"""Verifies that a model file computes, chunk by chunk, what its checkpoint computes on
whole audio.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from kws.model.acoustic import AcousticModel
from kws.runtime.session import OnnxModel
from kws.units import SAMPLE_RATE

TOLERANCE = 1e-4  # of log-posteriors
_SECONDS = 12
_BATCHES = (1, 3)


def largest_difference(model: AcousticModel, path: Path) -> float:
    """Largest absolute difference in log-posteriors between `model` on whole audio and
    `path` on pieces of it.

    The pieces: single chunks, and the most chunks that a call takes.
    """
    session = OnnxModel.load(path)
    chunk = session.info.chunk_samples
    worst = 0.0
    for batch in _BATCHES:
        pcm = probe(batch, -(-_SECONDS * SAMPLE_RATE // chunk) * chunk)
        with torch.no_grad():
            expected, _ = model(torch.from_numpy(pcm), model.init_state(batch))
        for call in {chunk, chunk * session.info.chunks_per_call}:
            heard = in_calls(session, pcm, call)
            worst = max(worst, float(np.abs(heard - expected.numpy()).max()))
    return worst


def in_calls(session: OnnxModel, pcm: npt.NDArray[np.float32], samples: int) -> npt.NDArray[np.float32]:
    """Log-posteriors (B, T, V) of sounds (B, S) that go through a model from zeros,
    `samples` at a time.
    """
    states, parts = session.zero_states(len(pcm)), []
    for start in range(0, pcm.shape[1], samples):
        log_posteriors, states, _ = session.run(np.ascontiguousarray(pcm[:, start : start + samples]), states)
        parts.append(log_posteriors)
    return np.concatenate(parts, axis=1)


def probe(batch: int, samples: int) -> npt.NDArray[np.float32]:
    """Sounds (B, S) of every kind that a stream meets: silence, noise of all levels,
    chirps, full scale.
    """
    rng = np.random.default_rng(0)
    t = np.arange(samples) / SAMPLE_RATE
    level = 10.0 ** rng.uniform(-4, 0, size=(batch, 1)) * (0.5 + 0.5 * np.sin(2 * np.pi * 0.4 * t))
    chirp = np.sin(2 * np.pi * (100 + 300 * (t % 3)) * t)
    pcm = level * (0.5 * rng.standard_normal((batch, samples)) + chirp)
    pcm[:, samples // 2 : samples // 2 + SAMPLE_RATE] = 0.0
    return np.clip(pcm, -1, 1).astype(np.float32)
