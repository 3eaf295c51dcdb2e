"""Weights in eight bits: a number of one byte for each, and a scale for each output
channel (Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", arXiv 1712.05877).

Only the file is smaller. A runtime turns them into single precision when it opens the
file, and computes as before.
"""

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from kws.export.write import put_first

_WORTH = 512  # values of a tensor
_LARGEST = 127
_STEPS = 2**12  # of a scale between two powers of two


def round_weights(module: nn.Module) -> None:
    """Rounds the large matrices and kernels of a module, in place, to what
    `store_in_bytes` can store.
    """
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1 and weight.numel() >= _WORTH:
                whole, scale = _rounded(weight.numpy(), 0)
                weight.copy_(torch.from_numpy(whole * scale))


def store_in_bytes(proto: onnx.ModelProto) -> None:
    """Stores each large constant that `round_weights` has rounded as bytes and scales,
    from which nodes of the graph compute it.
    """
    scales, nodes = [], []
    for tensor in proto.graph.initializer:
        found = _exact(numpy_helper.to_array(tensor))
        if found is not None:
            whole, scale = found
            names = [f"{tensor.name}.{part}" for part in ("bytes", "whole", "scale")]
            nodes += [
                helper.make_node("Cast", [names[0]], [names[1]], to=TensorProto.FLOAT),
                helper.make_node("Mul", [names[1], names[2]], [tensor.name]),
            ]
            scales.append(numpy_helper.from_array(scale, names[2]))
            tensor.CopyFrom(numpy_helper.from_array(whole.astype(np.int8), names[0]))
    proto.graph.initializer.extend(scales)
    put_first(proto, nodes)


def _exact(array: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
    """The whole numbers and scales of a rounded array, along the shortest axis that has
    them; None for any other array. The exporter may have moved the channels to
    another axis.
    """
    if array.dtype == np.float32 and array.size >= _WORTH and array.ndim > 1:
        for axis in sorted(range(array.ndim), key=lambda axis: array.shape[axis]):
            whole, scale = _rounded(array.astype(np.float32), axis)
            if np.array_equal(whole * scale, array):
                return whole, scale
    return None


def _rounded(weight: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Whole numbers of -127 to 127 and the scale of each channel on `axis`. A scale has
    twelve bits, so that the products are exact, and the largest gives the scale again.
    """
    others = tuple(other for other in range(weight.ndim) if other != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    fraction, exponent = np.frexp(np.where(largest > 0, largest, 1) / _LARGEST)
    scale = np.ldexp(np.rint(fraction * _STEPS) / _STEPS, exponent).astype(np.float32)
    return np.clip(np.rint(weight / scale), -_LARGEST, _LARGEST), scale
