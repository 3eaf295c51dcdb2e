"""Log-posteriors at another temperature (Guo et al. 2017, "On calibration of modern
neural networks", arXiv 1706.04599).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from kws.arrays import Float32Array, Float64Array

MOST_TEMPERATURE = 100.0

F = TypeVar("F", Float32Array, Float64Array)


def is_temperature(value: object) -> bool:
    """Whether logits can be divided by this number."""
    return isinstance(value, int | float) and 0 < value <= MOST_TEMPERATURE


def softened(log_posteriors: F, temperature: float) -> F:
    """Log-posteriors (..., V) as they would be had the logits been divided by
    `temperature`; 1 changes nothing.
    """
    if temperature == 1:
        return log_posteriors
    logits = log_posteriors / temperature
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits
