"""Model files that somebody made to mislead, to hang or to eat memory."""

import base64
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BIG = 2_500_000_000  # values: 10 GB of float32
ONE = numpy_helper.from_array(np.ones(1, np.float32), "hostile.one")
METADATA = "kws.manifest"


def grafted(model: onnx.ModelProto, nodes: list[onnx.NodeProto], last: str, *weights: onnx.TensorProto) -> bytes:
    """The model with nodes whose result `last` takes part in its log-posteriors, as
    nothing.
    """
    grown = onnx.ModelProto()
    grown.CopyFrom(model)
    graph = grown.graph
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["hostile.before" if output == name else output for output in node.output]
    graph.initializer.extend([*weights, numpy_helper.from_array(np.float32(0), "hostile.zero")])
    graph.node.extend(nodes)
    graph.node.append(helper.make_node("ReduceSum", [last], ["hostile.sum"], keepdims=0))
    graph.node.append(helper.make_node("Mul", ["hostile.sum", "hostile.zero"], ["hostile.nothing"]))
    graph.node.append(helper.make_node("Add", ["hostile.before", "hostile.nothing"], [name]))
    return grown.SerializeToString()


def numbers(name: str, *values: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def expanding(model: onnx.ModelProto) -> bytes:
    """One value that is expanded to 10 GB: a zip bomb of weights."""
    node = helper.make_node("Expand", [ONE.name, "hostile.shape"], ["hostile.big"])
    return grafted(model, [node], "hostile.big", ONE, numbers("hostile.shape", BIG))


def filled(model: onnx.ModelProto) -> bytes:
    """A constant of 10 GB that is not written out."""
    node = helper.make_node("ConstantOfShape", ["hostile.shape"], ["hostile.big"])
    return grafted(model, [node], "hostile.big", numbers("hostile.shape", BIG))


def doubling(model: onnx.ModelProto) -> bytes:
    """34 operators, each of which doubles what the one before gave."""
    names = [ONE.name, *(f"hostile.{n}" for n in range(34))]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]
    return grafted(model, nodes, names[-1], ONE)


def joined(model: onnx.ModelProto) -> bytes:
    """A text of 100 letters, and 39 operators, each of which doubles what the one
    before gave. The allocator that has a limit is not asked for the letters.
    """
    names = [f"hostile.{n}" for n in range(40)]
    nodes = [helper.make_node("Constant", [], names[:1], value_strings=["a" * 100])]
    nodes += [helper.make_node("StringConcat", [a, a], [b]) for a, b in pairwise(names)]
    return grafted(model, [*nodes, *_counted(names[-1])], "hostile.big")


def worded(model: onnx.ModelProto) -> bytes:
    """A text as a weight."""
    letters = helper.make_tensor("hostile.letters", TensorProto.STRING, [1], [b"a" * 100])
    return grafted(model, _counted(letters.name), "hostile.big", letters)


def _counted(name: str) -> list[onnx.NodeProto]:
    """The size of a tensor as the number `hostile.big`."""
    size = helper.make_node("Size", [name], ["hostile.size"])
    return [size, helper.make_node("Cast", ["hostile.size"], ["hostile.big"], to=TensorProto.FLOAT)]


def printed(model: onnx.ModelProto) -> bytes:
    """50 million numbers that are written out as text."""
    nodes = [helper.make_node("Expand", [ONE.name, "hostile.shape"], ["hostile.numbers"])]
    nodes += [helper.make_node("Cast", ["hostile.numbers"], ["hostile.text"], to=TensorProto.STRING)]
    return grafted(model, [*nodes, *_counted("hostile.text")], "hostile.big", ONE, numbers("hostile.shape", 50_000_000))


def sorted_out(model: onnx.ModelProto) -> bytes:
    """25 million numbers, of which an operator keeps a map of its own."""
    ends = {"hostile.first": 0, "hostile.end": 25_000_000, "hostile.step": 1}
    nodes = [helper.make_node("Range", list(ends), ["hostile.numbers"])]
    nodes += [helper.make_node("Unique", ["hostile.numbers"], ["hostile.few"]), *_counted("hostile.few")]
    weights = [numpy_helper.from_array(np.int64(value), name) for name, value in ends.items()]
    return grafted(model, nodes, "hostile.big", *weights)


def declared(model: onnx.ModelProto) -> bytes:
    """Weights that are said to have 10 GB, and are not there."""
    return grafted(model, [], "hostile.big", TensorProto(name="hostile.big", data_type=1, dims=[BIG]))


def slow(model: onnx.ModelProto) -> bytes:
    """Products of matrices that take minutes, and little memory."""
    names = [f"hostile.{n}" for n in range(400)]
    nodes = [helper.make_node("Expand", [ONE.name, "hostile.shape"], names[:1])]
    nodes += [helper.make_node("MatMul", [a, names[0]], [b]) for a, b in pairwise(names)]
    return grafted(model, nodes, names[-1], ONE, numbers("hostile.shape", 2000, 2000))


def external(model: onnx.ModelProto, place: str = "/etc/passwd") -> bytes:
    """Weights that are read from another file."""
    weights = TensorProto(name="hostile.big", data_type=1, dims=[100], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", place), ("length", "400")):
        weights.external_data.add(key=key, value=value)
    return grafted(model, [], "hostile.big", weights)


def climbing(model: onnx.ModelProto) -> bytes:
    """The same, by a relative path."""
    return external(model, "../" * 12 + "etc/passwd")


def foreign_operator(model: onnx.ModelProto) -> bytes:
    """An operator of another maker."""
    node = helper.make_node("Open", [ONE.name], ["hostile.big"], domain="com.example")
    return grafted(model, [node], "hostile.big", ONE)


def endless(model: onnx.ModelProto) -> bytes:
    """A loop that never ends."""
    info = helper.make_tensor_value_info
    inputs = [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, [1])]
    outputs = [info("go.on", TensorProto.BOOL, []), info("v.on", TensorProto.FLOAT, [1])]
    steps = [helper.make_node("Identity", [name], [f"{name}.on"]) for name in ("go", "v")]
    body = helper.make_graph(steps, "body", inputs, outputs)
    node = helper.make_node("Loop", ["", "hostile.true", ONE.name], ["hostile.big"], body=body)
    return grafted(model, [node], "hostile.big", ONE, numpy_helper.from_array(np.array(True), "hostile.true"))


def crowded(model: onnx.ModelProto) -> bytes:
    """20,000 operators, which onnxruntime takes half a minute to open."""
    names = [ONE.name, *(f"{n:x}" for n in range(20_000))]
    nodes = [helper.make_node("Neg", [a], [b]) for a, b in pairwise(names)]
    return grafted(model, nodes, names[-1], ONE)


def heavy(model: onnx.ModelProto) -> bytes:
    """A file of 70 MB."""
    return grafted(model, [], "hostile.big", numpy_helper.from_array(np.zeros(17_500_000, np.float32), "hostile.big"))


def with_metadata(model: onnx.ModelProto, **texts: str) -> bytes:
    """The model with metadata entries replaced."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    kept = {entry.key: entry.value for entry in model.metadata_props} | texts
    helper.set_model_props(changed, {key: value for key, value in kept.items() if value})
    return changed.SerializeToString()


def foreign(model: onnx.ModelProto) -> bytes:
    """Somebody else's model: without a model info."""
    return with_metadata(model, **{METADATA: ""})


def hidden(model: onnx.ModelProto) -> bytes:
    """A second pass that holds the loop."""
    return with_metadata(model, **{"kws.verifier": base64.b64encode(endless(model)).decode()})


BUILT: tuple[Callable[[onnx.ModelProto], bytes], ...] = (
    expanding, filled, doubling, joined, worded, printed, sorted_out, declared, slow, external, climbing,
    foreign_operator, endless, crowded, heavy, foreign, hidden,
)  # fmt: skip
EXTREMES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, -0.5, "", "a" * 10_000, [], {}, [[[]]], ["a"], [2**40, 2**40],
)  # fmt: skip


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A file that is truncated, or has some bytes changed, cut out or doubled."""
    kind, at = rng.integers(4), int(rng.integers(len(content)))
    length = int(rng.integers(1, 200))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + rng.bytes(length) + content[at + length :]
    if kind == 2:
        return content[:at] + content[at + length :]
    return content[:at] + content[at : at + length] * 2 + content[at + length :]


def lying(model: onnx.ModelProto, rng: np.random.Generator) -> bytes:
    """The model with a model info of which some values are extreme, or missing."""
    info = json.loads(next(entry.value for entry in model.metadata_props if entry.key == METADATA))
    for _ in range(int(rng.integers(1, 4))):
        place, key = _somewhere(info, rng)
        if place is not None and rng.random() < 0.1:
            del place[key]
        elif place is not None:
            place[key] = EXTREMES[int(rng.integers(len(EXTREMES)))]
    return with_metadata(model, **{METADATA: json.dumps(info)})


def _somewhere(value: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """A container somewhere in JSON, and a key of it; None where it is empty."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return None, None
    key = keys[int(rng.integers(len(keys)))]
    inner = value[key]
    return _somewhere(inner, rng) if isinstance(inner, dict | list) and inner and rng.random() < 0.8 else (value, key)
