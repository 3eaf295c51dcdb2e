"""Weights in eight bits: what is rounded comes back from the file bit for bit, and is off by half a step at most."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from kws.export.eight_bits import round_weights, store_in_bytes  # noqa: E402


def stored(weight: np.ndarray, channels: int) -> tuple[np.ndarray, int]:
    """What a runtime makes of a constant of a graph once it is stored, with the channels on another axis, and the
    bytes of the file.
    """
    moved = np.ascontiguousarray(np.moveaxis(weight, 0, channels))
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, moved.shape)
    nodes = [onnx.helper.make_node("Identity", ["w"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "g", [], [result], [onnx.numpy_helper.from_array(moved, "w")])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    store_in_bytes(proto)
    file = proto.SerializeToString()
    return np.moveaxis(onnxruntime.InferenceSession(file).run(None, {})[0], channels, 0), len(file)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**16),
    shape=st.sampled_from([(40, 30), (8, 16, 9), (64, 64), (1, 2000)]),
    scale=st.sampled_from([1e-9, 1e-3, 1.0, 50.0]),
    moved=st.integers(0, 1),
    empty=st.booleans(),
)
def test_rounded_weights_are_stored_exactly(seed, shape, scale, moved, empty):
    layer = torch.nn.Module()
    weight = scale * np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    weight[0] *= not empty
    layer.weight = torch.nn.Parameter(torch.from_numpy(weight.copy()))
    round_weights(layer)
    rounded = layer.weight.detach().numpy()
    file, size = stored(rounded, moved)
    np.testing.assert_array_equal(file, rounded)
    assert size < 1.3 * weight.size + 2000
    step = np.abs(weight).reshape(len(weight), -1).max(axis=1) / 127
    error = np.abs(rounded - weight).reshape(len(weight), -1).max(axis=1)
    assert (error <= 0.53 * step + 1e-12).all()


def test_small_and_unrounded_constants_stay():
    odd = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    for weight in (odd, odd[:8, :8]):
        file, size = stored(weight, 0)
        np.testing.assert_array_equal(file, weight)
        assert size > 4 * weight.size
