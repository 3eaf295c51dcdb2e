"""The streaming contract that every layer of an acoustic model keeps.

Shapes: B batch, T frames in, T' frames out, D width.

One `forward` serves whole utterances and chunks: a whole utterance is a fresh state and
all frames at once. A state is a named tuple of tensors that goes in and comes out; the
module never keeps it. Every tensor of a state has the batch first, and a fresh state is
all zeros, so that a device can make one from shapes alone. kws.model.contract.verify
checks all of this for any layer.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

State = Any  # a Tensor, or a (named) tuple of States


class StreamingLayer(nn.Module, ABC):
    """A causal layer: output frame t depends on input frames [t * stride - look_back,
    (t + 1) * stride).

    Attributes:
        stride: input frames per output frame.
        look_back: input frames that an output frame sees before its own `stride`
            frames; None = unbounded.
    """

    stride: int = 1
    look_back: int | None = 0

    @abstractmethod
    def init_state(self, batch: int) -> State:
        """The state of `batch` fresh streams: zeros, on the layer's device and in its
        dtype.
        """

    @abstractmethod
    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, T, D), state -> (B, T', D'), state. T must be a multiple of `stride`."""

    def zeros(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Zeros beside the layer's own parameters or buffers."""
        like = [*self.parameters(), *self.buffers()][0]
        return torch.zeros(*shape, device=like.device, dtype=dtype or like.dtype)


class SegmentLayer(nn.Module, ABC):
    """A layer that sees the whole segment (BiLSTM, full-context attention): it cannot
    stream, and says so by type.
    """

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), valid frames (B,) -> (B, T, D); frames past a row's length never
        reach the others.
        """


def flatten_state(state: State, prefix: str = "") -> dict[str, Tensor]:
    """Dotted names -> tensors, in a fixed order: ``{"frontend.tail": ...,
    "blocks.0.kv": ...}``.
    """
    if isinstance(state, Tensor):
        return {prefix: state}
    names = getattr(state, "_fields", range(len(state)))
    flat: dict[str, Tensor] = {}
    for name, part in zip(names, state, strict=True):
        flat |= flatten_state(part, f"{prefix}.{name}" if prefix else str(name))
    return flat


def unflatten_state(like: State, tensors: list[Tensor]) -> State:
    """The inverse of `flatten_state`: the structure of `like` filled with `tensors` in
    order.
    """
    remaining = iter(tensors)

    def fill(part: State) -> State:
        if isinstance(part, Tensor):
            return next(remaining)
        filled = [fill(item) for item in part]
        return type(part)(*filled) if hasattr(part, "_fields") else tuple(filled)

    return fill(like)
