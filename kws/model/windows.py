"""The input rows that each output row of a convolution over time sees.

Shapes: B batch, T rows of output (hops or frames), D width.

In training these are slices, one for each place in the kernel. In a graph that is
exported they are one Gather, which costs a device less than as many slices.
"""

import torch
from torch import Tensor

MOST_HOPS = 128  # as many as a call of an exported graph has at most


def windows(x: Tensor, kernel: int, stride: int = 1) -> Tensor:
    """(B, T stride + kernel - stride, D) -> (B, T, kernel, D)."""
    if not torch.compiler.is_exporting():
        return torch.stack(_shifted(x, kernel, stride), dim=2)
    frames = (x.shape[1] - (kernel - stride)) // stride
    most = frames if isinstance(frames, int) else MOST_HOPS
    seen = stride * torch.arange(most)[:, None] + torch.arange(kernel)
    return x.index_select(1, seen[:frames].flatten()).unflatten(1, (frames, kernel))


def along_time(x: Tensor, weight: Tensor) -> Tensor:
    """(B, T + kernel - 1, D) and (kernel, D) weights -> (B, T, D): each channel
    convolved by itself.
    """
    if torch.compiler.is_exporting():
        return (windows(x, len(weight)) * weight).sum(2)
    # a third of the time of Conv1d in training
    first, *others = (frame * tap for frame, tap in zip(_shifted(x, len(weight)), weight, strict=True))
    return sum(others, start=first)


def _shifted(x: Tensor, kernel: int, stride: int = 1) -> list[Tensor]:
    """For each place of the kernel the input that meets it, (B, T, D)."""
    return [x[:, i : i + 1 - kernel or None : stride] for i in range(kernel)]
