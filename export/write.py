"""Writes a checkpoint as the one file that a device needs (`kws export` is the
command).

The file holds the graph (frontend included), the weights in half precision (cast back
to single precision when the file is opened) and the model info. It is written only if
it computes what the checkpoint computes.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kws import __version__
from kws.errors import KwsError
from kws.export.graph import chunks_per_call, export_graph
from kws.export.verify import TOLERANCE, largest_difference
from kws.files import whole
from kws.lexicon.text import phrase_name
from kws.metadata import ONE_PASS_SCHEMA, DataSource, Keyword, ModelInfo, ScorerConfig, StateSpec, Training, embed
from kws.model.acoustic import parameter_count
from kws.model.checkpoint import Checkpoint, halved_sizes, load_checkpoint
from kws.model.streaming import flatten_state
from kws.units import SAMPLE_RATE

_NEWER = ("temperature", "blank_discount", "vocal_tract", "teacher", "teacher_weight")  # fields that older recipes lack
_IR_VERSION = 9  # of onnxruntime 1.17, the oldest that pyproject.toml allows


@dataclass(frozen=True)
class Written:
    """A model file that was verified. difference: its largest difference from torch, in
    log-posteriors. str() describes the file.
    """

    path: Path
    parameters: int
    difference: float

    def __str__(self) -> str:
        size_kb = self.path.stat().st_size / 1000
        return (
            f"{self.path}: {self.parameters:,} parameters, {size_kb:,.0f} kB, "
            f"differs from torch by {self.difference:.1e}"
        )


def write_model(path: Path, output: Path, name: str | None = None, chunk_frames: int = 2) -> Written:
    """Writes the checkpoint `path` as the model file `output`, once it is verified.

    name: the model's; None takes the recipe's. chunk_frames: frames of 40 ms per call
    of the graph. Raises KwsError, and writes nothing, where the log-posteriors of ONNX
    and torch differ by more than `verify.TOLERANCE`.
    """
    checkpoint = load_checkpoint(path)
    checkpoint.model.phrase_head = None  # tokens alone leave a stream
    if chunk_frames < 1:
        raise KwsError(f"--chunk-frames {chunk_frames}: a chunk has at least one frame")
    proto = export_graph(checkpoint.model, chunk_frames)
    info = make_info(checkpoint, name or checkpoint.recipe["name"], chunk_frames)
    finish(proto, info, halved_sizes(checkpoint.model))
    with whole(output) as partial:
        onnx.save(proto, partial)
        difference = largest_difference(checkpoint.model, partial)
        if not difference <= TOLERANCE:
            raise KwsError(
                f"ONNX and torch differ by {difference:.2e} in log-posteriors (at most {TOLERANCE:.0e} is allowed): "
                f"{output} was not written"
            )
    return Written(output, info.parameters, difference)


def finish(proto: onnx.ModelProto, info: ModelInfo, sizes: set[int]) -> None:
    """Stores weights of these sizes in half precision, removes the exporter's notes,
    and adds the model info.
    """
    halve_weights(proto, sizes)
    without_notes(proto)
    embed(proto, info)
    onnx.checker.check_model(proto)


def halve_weights(proto: onnx.ModelProto, sizes: set[int]) -> None:
    """Stores weights of these sizes in half precision, where they have no more, and
    casts them back.
    """
    casts = []
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        exact = array.dtype == np.float32 and array.size in sizes and np.array_equal(array, array.astype(np.float16))
        if exact:
            half = numpy_helper.from_array(array.astype(np.float16), f"{tensor.name}.half")
            casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(half)
    put_first(proto, casts)


def put_first(proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Puts nodes, which compute constants, before all others of a graph."""
    after = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *after])


def without_notes(proto: onnx.ModelProto) -> None:
    """Removes the exporter's notes on nodes and tensors. Only such notes need version
    10 of the format; without them 9 will do.
    """
    proto.ir_version = min(proto.ir_version, _IR_VERSION)
    for node in proto.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]


def make_info(checkpoint: Checkpoint, name: str, chunk_frames: int) -> ModelInfo:
    """The model info of a checkpoint. Thresholds are the recipe's default until `kws
    calibrate` sets them.
    """
    model, recipe = checkpoint.model, checkpoint.recipe
    scoring = ScorerConfig(**recipe["scoring"])
    states = flatten_state(model.init_state(1))
    keywords = tuple(
        Keyword.of(phrase_name(keyword), spellings, scoring.default_threshold)
        for keyword, spellings in checkpoint.spellings.items()
    )
    return ModelInfo(
        schema=ONE_PASS_SCHEMA,
        name=name,
        sample_rate=SAMPLE_RATE,
        chunk_samples=chunk_frames * model.stride,
        frame_samples=model.stride,
        frames_per_chunk=chunk_frames,
        chunks_per_call=chunks_per_call(model, chunk_frames),
        tokens=model.config.tokens,
        states=tuple(
            StateSpec(state, tuple(t.shape[1:]), str(t.dtype).removeprefix("torch.")) for state, t in states.items()
        ),
        keywords=keywords,
        scoring=scoring,
        training=_training(recipe, checkpoint.spent),
        parameters=parameter_count(model),
        kws_version=__version__,
        commit=commit(),
    )


def _training(recipe: dict[str, Any], spent: dict[str, Any]) -> Training:
    config = {key: recipe[key] for key in ("model", "scenes", "learning_rate", "precision")} | {"spent": spent}
    config |= {key: recipe[key] for key in _NEWER if key in recipe}
    return Training(recipe["name"], recipe["seed"], recipe["steps"], data_sources(recipe), config)


def data_sources(recipe: dict[str, Any]) -> tuple[DataSource, ...]:
    """The corpora of a training by `recipe`, with what their licences ask to be
    said.
    """
    corpora = [*recipe["speech"], *filter(None, (recipe["noise"], recipe.get("rooms")))]
    return tuple(DataSource(c["title"], c["licence"], c["attribution"]) for c in corpora)


def commit() -> str | None:
    """The commit of the checkout that this code runs from; None outside of one."""
    folder = Path(__file__).resolve().parent
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None
