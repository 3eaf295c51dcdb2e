"""Reference sequences: a constant second input of the mixers `random` and `fixed`
(mixers/position.py).

A model holds them as buffers `random_reference` and `fixed_reference`, so that a
checkpoint brings them along.

Shapes: W window in frames of 40 ms, D width, F hops of 10 ms, M mel bands.
"""

import torch
from torch import Tensor

from kws.errors import KwsError


def random_reference(window: int, width: int) -> Tensor:
    """(1, W, D) noise, the same in every model of this shape."""
    return torch.randn(1, window, width, generator=torch.Generator().manual_seed(0))


def fixed_reference(log_mel: Tensor, needed: int) -> Tensor:
    """The first `needed` hops of an utterance (F, M); KwsError where it has fewer."""
    if len(log_mel) < needed:
        raise KwsError(
            f"the mixer fixed needs a reference of {needed} hops of 10 ms, the window, and there are "
            f"{len(log_mel)}: give longer rows or a smaller window_frames"
        )
    return log_mel[:needed]
