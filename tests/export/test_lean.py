"""A graph whose sizes are told and not computed gives the same numbers, with fewer nodes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

import onnxruntime  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.export.graph import to_onnx  # noqa: E402
from kws.export.lean import reshaped_sizes  # noqa: E402
from kws.model.windows import along_time, windows  # noqa: E402

KERNEL, WIDTH = 5, 6


class Layered(torch.nn.Module):
    """Windows with and without a stride, a convolution, heads, and places that are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(KERNEL, WIDTH))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = torch.nn.functional.pad(x, (0, 0, 3, 0))
        by_head = along_time(x, self.weight).unflatten(2, (2, WIDTH // 2)).transpose(1, 2)
        places = torch.arange(by_head.shape[2])[:, None]
        strided = windows(x, KERNEL, 2).flatten(2)
        return windows(x, KERNEL), strided, by_head.flatten(2), by_head + places


@pytest.fixture(scope="module")
def exported():
    """The module, and its graph for any batch and any even number of frames."""
    module = Layered().eval()
    dims = {0: torch.export.Dim.DYNAMIC, 1: 2 * torch.export.Dim("pairs", min=2, max=20)}
    names = ["windows", "strided", "flat", "placed"]
    return module, to_onnx(module, (torch.zeros(2, 20, WIDTH),), ["x"], names, (dims,))


@settings(deadline=None, max_examples=20)
@given(batch=st.integers(1, 3), pairs=st.integers(2, 20))
def test_any_size_gives_what_torch_gives(exported, batch, pairs):
    module, proto = exported
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(pairs).standard_normal((batch, 2 * pairs, WIDTH)).astype(np.float32)
    with torch.no_grad():
        sound = torch.from_numpy(x)
        for found, wanted in zip(session.run(None, {"x": x}), module(sound), strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-5)


def test_no_shape_is_computed_that_can_be_told(exported):
    proto = exported[1]
    constants = {tensor.name for tensor in proto.graph.initializer}
    reshapes = [node for node in proto.graph.node if node.op_type == "Reshape"]
    assert reshapes and all(node.input[1] in constants for node in reshapes)
    assert sum(node.op_type == "Shape" for node in proto.graph.node) == 1, "the frames alone"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (["b", "t", 480], ["b", "t", 30, 16], [0, 0, 30, 16]),
        (["b", "t", 4, 32], ["b", "t", 128], [0, 0, 128]),
        (["b", 4, "t", "l"], ["b", 4, "t*l"], [0, 4, None]),
        (["b", "s"], ["b", "s/160", 160], [0, None, 160]),
        (["b", "t"], ["t", "b"], [None, None]),
        ([2, "t", 3], [2, 3, "t"], [2, 3, None]),
    ],
)
def test_a_size_stays_only_where_it_was(before, after, told):
    assert reshaped_sizes(before, after) == told
