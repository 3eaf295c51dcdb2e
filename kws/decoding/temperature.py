"""Log-posteriors at another temperature (Guo et al. 2017, "On calibration of modern
neural networks", arXiv 1706.04599).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from kws.arrays import Float32Array, Float64Array

MOST_TEMPERATURE = 100.0
MOST_DISCOUNT = 20.0  # nats: beyond, a model says blanks alone, or never one

F = TypeVar("F", Float32Array, Float64Array)


def is_temperature(value: object) -> bool:
    """Whether logits can be divided by this number."""
    return isinstance(value, int | float) and 0 < value <= MOST_TEMPERATURE


def is_discount(value: object) -> bool:
    """Whether this number can be taken from the blank's logit."""
    return isinstance(value, int | float) and abs(value) <= MOST_DISCOUNT


def softened(log_posteriors: F, temperature: float) -> F:
    """Log-posteriors (..., V) as they would be had the logits been divided by
    `temperature`; 1 changes nothing.
    """
    if temperature == 1:
        return log_posteriors
    return _normalised(log_posteriors / temperature)


def sharpened(log_posteriors: F, temperature: float, blank_discount: float) -> F:
    """The log-posteriors (..., V), blank first, that a model gave before its logits
    were divided by `temperature` and `blank_discount` was taken from the blank's.
    """
    logits = log_posteriors.copy()
    logits[..., 0] += blank_discount
    return _normalised(logits * temperature)


def _normalised(logits: F) -> F:
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits
