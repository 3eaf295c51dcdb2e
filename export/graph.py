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

from kws.model.acoustic import AcousticModel
from kws.model.streaming import flatten_state, unflatten_state

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


def export_graph(model: AcousticModel, chunk_frames: int) -> onnx.ModelProto:
    """The model as ONNX for chunks of `chunk_frames`, any batch; a state `x` comes out
    as `next.x`.
    """
    model = model.eval()
    graph = StreamingGraph(model)
    states = flatten_state(model.init_state(_BATCH_EXAMPLE))
    batch = {0: torch.export.Dim.DYNAMIC}
    return to_onnx(
        graph,
        (torch.zeros(_BATCH_EXAMPLE, chunk_frames * model.stride), *states.values()),
        inputs=["pcm", *states],
        outputs=["log_posteriors", *(f"next.{name}" for name in states)],
        dynamic_shapes=(batch, tuple(batch for _ in states)),
    )


def to_onnx(
    module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str], dynamic_shapes: Any = None
) -> onnx.ModelProto:
    """A module as torch exports it, its inputs and outputs named; sizes are those of the
    example but for `dynamic_shapes`, as torch.export takes them.
    """
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of torchvision's absence, which no model needs
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            module,
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        # weights that are only put in another order become constants, however large
        optimizer.optimize_ir(program.model, input_size_limit=_LARGEST, output_size_limit=_LARGEST)
        program.save(buffer)
    return onnx.load_from_string(buffer.getvalue())
