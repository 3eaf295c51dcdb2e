"""Random points, and the largest singular value of a whole Jacobian, for the tests of smoothness."""

import numpy as np
import torch


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(seed: int, *shape: int):
    return torch.from_numpy(rng(seed).standard_normal(shape))


def dense(f, x):
    """The largest singular value of the whole Jacobian at one row (1, ...)."""
    jacobian = torch.autograd.functional.jacobian(f, x).reshape(-1, x.numel())
    return torch.linalg.matrix_norm(jacobian, ord=2).item()
