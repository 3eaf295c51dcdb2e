"""A streaming model as a graph of tensors: PCM and states in, log-posteriors and states
out.

Shapes: B batch, S samples of a call, T frames of a call, V tokens.
"""

import io
import logging
import warnings
from typing import Any

import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn
from torch._dynamo import config as tracing

from kws.export.lean import lean
from kws.model.acoustic import AcousticModel
from kws.model.streaming import flatten_state, unflatten_state
from kws.model.windows import MOST_HOPS

OPSET = 20
_LARGEST = 2**22  # values of a tensor
_BATCH_EXAMPLE = 2  # anything but 1, which exporters take for a constant


class StreamingGraph(nn.Module):
    """(B, S) PCM and the flat states -> (B, T, V) log-posteriors and the next flat
    states.
    """

    def __init__(self, model: AcousticModel) -> None:
        super().__init__()
        self.model = model
        self.like = model.init_state(1)

    def forward(self, pcm: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        log_posteriors, after = self.model(pcm, unflatten_state(self.like, list(states)))
        return (log_posteriors, *flatten_state(after).values())


def chunks_per_call(model: AcousticModel, chunk_frames: int) -> int:
    """The most chunks of `chunk_frames` that one call of the model's graph takes.

    One where a mixer's graph is laid out for one number of frames, and with chunks of a
    single frame: a product with one row is summed in another order than the same row
    among others, and a stream's numbers must not depend on how its chunks are put
    together.
    """
    free = model.any_length and chunk_frames > 1
    frames = min(model.config.window_frames, MOST_HOPS // model.subsampling.stride)
    return max(1, frames // chunk_frames) if free else 1


def export_graph(model: AcousticModel, chunk_frames: int) -> onnx.ModelProto:
    """The model as ONNX for 1 to `chunks_per_call` chunks of `chunk_frames`, any batch;
    a state `x` comes out as `next.x`.
    """
    model = model.eval()
    graph = StreamingGraph(model)
    states = flatten_state(model.init_state(_BATCH_EXAMPLE))
    most = chunk_frames * chunks_per_call(model, chunk_frames)
    pcm = torch.zeros(_BATCH_EXAMPLE, most * model.stride)
    batch = torch.export.Dim.DYNAMIC
    dims: dict[int, Any] = {0: batch}
    if most > chunk_frames:
        dims[1] = model.stride * torch.export.Dim("frames", min=2, max=most)
    proto = to_onnx(
        graph,
        (pcm, *states.values()),
        inputs=["pcm", *states],
        outputs=["log_posteriors", *(f"next.{name}" for name in states)],
        dynamic_shapes=(dims, tuple({0: batch} for _ in states)),
    )
    if most > chunk_frames:  # behind an LSTM the exporter writes down the example's number
        proto.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "frames"
    return proto


def to_onnx(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    dynamic_shapes: Any = None,
    *,
    small: bool = False,
) -> onnx.ModelProto:
    """A module as torch exports it, its inputs and outputs named; sizes are those of
    the example but for `dynamic_shapes`, as torch.export takes them.

    small: leave tables that repeat a few numbers to the runtime, which computes them
    when it opens the file.
    """
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of torchvision's absence, which no model needs
    # the tracer's cache of shapes is keyed by symbolic sizes: here it costs half as much again as it saves
    uncached = tracing.patch(fake_tensor_cache_enabled=False)
    with warnings.catch_warnings(), torch.no_grad(), uncached:
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            module,
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            opset_version=OPSET,
            dynamo=True,
            optimize=not small,  # below, where a node may be left alone
            verbose=False,
        )
        # weights that are only put in another order become constants, however large
        optimizer.optimize_ir(
            program.model,
            input_size_limit=_LARGEST,
            output_size_limit=_LARGEST,
            should_fold=lambda node: False if small and node.op_type == "Expand" else None,
        )
        lean(program.model)
        program.save(buffer)
    return onnx.load_from_string(buffer.getvalue())
