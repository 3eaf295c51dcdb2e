"""Made-up log-posteriors, for the tests of scoring and of explaining."""

import numpy as np


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def frames(*rows, tokens=4):
    """Posteriors (T, V) that give (token, probability) of each row, the rest shared; 0.97 if bare."""
    rows = [row if isinstance(row, tuple) else (row, 0.97) for row in rows]
    posteriors = np.array([[(1 - p) / (tokens - 1)] * tokens for _, p in rows])
    for row, (token, p) in zip(posteriors, rows, strict=True):
        row[token] = p
    return np.log(posteriors)
