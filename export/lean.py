"""Simplifies an exported graph: fewer nodes that compute the same numbers.

The exporter computes every size inside the graph. Here each Reshape gets a constant
shape instead, which says which sizes stay and which one is left over.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnxscript import ir
from onnxscript.ir.passes import common

_AS_BEFORE, _THE_REST = 0, -1  # what ONNX's Reshape takes for a size
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def lean(model: ir.Model) -> None:
    """Makes shapes constant wherever the known sizes allow it. Then removes the nodes
    that nothing uses and those that compute a value twice.
    """
    for node in list(model.graph):
        if node.op_type == "Squeeze":
            _leave_a_list(node)
        elif node.op_type == "Reshape":
            _from_the_first(node)
            _say_shape(model.graph, node)
            _gather_at_once(node)
    common.RemoveUnusedNodesPass()(model)
    common.CommonSubexpressionEliminationPass()(model)


def _leave_a_list(node: ir.Node) -> None:
    """Removes the Squeeze of a one-element tensor, together with the Reshapes that undo
    it, where only arithmetic lies between them.
    """
    again: list[ir.Node] = []
    if node.outputs[0].shape == [] and _reckoned(node.outputs[0], again):
        for last in again:
            _skip(last)
        _skip(node)


def _reckoned(number: ir.Value, again: list[ir.Node]) -> bool:
    """Whether a scalar goes through arithmetic alone until Reshapes make it a tensor of
    one element again. Appends those Reshapes to `again`.
    """
    for user in number.consumers():
        if user.op_type in _ARITHMETIC:
            if not _reckoned(user.outputs[0], again):
                return False
        elif user.op_type == "Reshape" and user.outputs[0].shape == [1] and not user.outputs[0].is_graph_output():
            again.append(user)
        else:
            return False
    return not number.is_graph_output()


def _from_the_first(node: ir.Node) -> None:
    """Lets a Reshape of a Reshape read the input of the first."""
    source = node.inputs[0]
    producer = None if source is None else source.producer()
    if producer is not None and producer.op_type == "Reshape":
        node.replace_input_with(0, producer.inputs[0])


def _say_shape(graph: ir.Graph, node: ir.Node) -> None:
    """Gives a Reshape a constant shape, or else one with as few computed parts as
    possible.
    """
    source, computed, shaped = node.inputs[0], node.inputs[1], node.outputs[0]
    if source is None or computed is None or source.shape is None or shaped.shape is None:
        return
    sizes = reshaped_sizes(list(source.shape), list(shaped.shape))
    unknown = [axis for axis, size in enumerate(sizes) if size is None]
    if unknown:
        sizes[unknown.pop()] = _THE_REST
    if not unknown:
        shape = _constant(graph, sizes)
    else:
        concat = computed.producer()
        if concat is None or concat.op_type != "Concat" or len(concat.inputs) != len(sizes):
            return
        parts = [
            part if size is None else _constant(graph, [size]) for part, size in zip(concat.inputs, sizes, strict=True)
        ]
        joined = ir.node("Concat", parts, attributes={"axis": 0})
        graph.insert_before(node, joined)
        shape = joined.outputs[0]
    node.replace_input_with(1, shape)
    node.attributes.pop("allowzero", None)


def reshaped_sizes(before: Sequence[Any], after: Sequence[Any]) -> list[int | None]:
    """The sizes to give a Reshape from one shape to another: a number, 0 for a size
    that equals the input's on that axis, None for one that must be computed.

    before, after: numbers, or symbols that are equal where the sizes are.
    """
    sizes: list[int | None] = []
    for axis, size in enumerate(after):
        if isinstance(size, int):
            sizes.append(size)
        else:
            known = axis < len(before) and getattr(size, "value", size) is not None
            sizes.append(_AS_BEFORE if known and before[axis] == size else None)
    return sizes


def _gather_at_once(node: ir.Node) -> None:
    """Lets a Gather read a table of indices directly, where the graph flattens the
    table first and a Reshape restores its shape afterwards.
    """
    gather = None if node.inputs[0] is None else node.inputs[0].producer()
    if gather is None or gather.op_type != "Gather" or node.outputs[0].is_graph_output():
        return
    source, places = gather.inputs
    listed = None if places is None else places.producer()
    table = listed.inputs[0] if listed is not None and listed.op_type == "Reshape" else None
    if source is None or source.shape is None or table is None or table.shape is None:
        return
    axis = gather.attributes["axis"].as_int()
    if [*source.shape[:axis], *table.shape, *source.shape[axis + 1 :]] == list(node.outputs[0].shape or []):
        gather.replace_input_with(1, table)
        gather.outputs[0].shape = node.outputs[0].shape
        _skip(node)


def _skip(node: ir.Node) -> None:
    """Connects the users of a node's output to its first input."""
    assert node.inputs[0] is not None
    node.outputs[0].replace_all_uses_with(node.inputs[0])


def _constant(graph: ir.Graph, sizes: Sequence[int | None]) -> ir.Value:
    """An int64 tensor of sizes as an initializer of the graph; equal lists share
    one.
    """
    name = "sizes." + ".".join(map(str, sizes))
    if name not in graph.initializers:
        value = ir.Value(name=name, const_value=ir.tensor(np.array(sizes, np.int64), name=name))
        graph.register_initializer(value)
    return graph.initializers[name]
