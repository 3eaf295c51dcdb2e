"""Verification: the file computes, chunk by chunk, what the checkpoint computes on
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
    `path` chunk by chunk.
    """
    session = OnnxModel.load(path)
    chunk = session.info.chunk_samples
    worst = 0.0
    for batch in _BATCHES:
        pcm = probe(batch, -(-_SECONDS * SAMPLE_RATE // chunk) * chunk)
        with torch.no_grad():
            expected, _ = model(torch.from_numpy(pcm), model.init_state(batch))
        worst = max(worst, float(np.abs(in_chunks(session, pcm) - expected.numpy()).max()))
    return worst


def in_chunks(session: OnnxModel, pcm: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Log-posteriors (B, F, V) of sounds (B, S) that go through a model chunk by chunk,
    from zeros.
    """
    states, parts = session.zero_states(len(pcm)), []
    for chunk in np.split(pcm, pcm.shape[1] // session.info.chunk_samples, axis=1):
        log_posteriors, states, _ = session.run(np.ascontiguousarray(chunk), states)
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
