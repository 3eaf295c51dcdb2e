"""Limits for a model file from a stranger: bounded memory and time, and no other file.

Two things happen before onnxruntime opens a graph as it will run. The bytes are read
here, as far as it takes to see what a model of kws never has: other files for weights,
operators that hold graphs (loops and branches, whose work nobody can bound), strings
and the operator Unique (they take memory past the allocator), functions and operators
of another maker, and nodes without number. Then the graph is opened without the
optimiser, which would compute what is constant at once, and called with an allocator
and a clock that have limits. What was computed there is all that the optimiser
computes.

The numbers of fields are those of onnx.proto (ONNX's specification), the encoding is
that of Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from threading import Timer
from typing import TYPE_CHECKING, Any

from kws.errors import KwsError
from kws.onnxruntime_import import load_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

MOST_BYTES = 64_000_000  # of a model file; those that ship have 2.4 MB at most
MOST_NODES = 5_000  # those that ship have 240; onnxruntime takes seconds to open so many
_MOST_PARTS = 500_000  # of a file: its fields, whatever they are
MOST_MEMORY = 512 * 2**20  # bytes that one call may need at once
MOST_S = 10.0  # that one call may take; the operator that runs then is still finished

_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODES, _GRAPH_TENSORS, _GRAPH_SPARSE = 1, 5, 15
_NODE_TYPE, _NODE_ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_INT, _ATTRIBUTE_STRINGS = 3, (4, 9)
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_TYPE, _TENSOR_FILES, _TENSOR_PLACE = 2, 13, 14
_STRING_TYPE = 8  # of a tensor's values, and in what `Cast` makes
_UNBOUND = ("String", "Regex", "TfIdf", "Unique")  # how operators begin that take memory past the allocator

_NEVER = 4  # onnxruntime's "fatal" severity: what goes wrong is said by a KwsError, once
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DAMAGED = "its bytes are not those of an ONNX file"


def check(graph: bytes) -> None:
    """Raise KwsError for an ONNX file with a part that no model of kws has."""
    if len(graph) > MOST_BYTES:
        raise KwsError(f"it has more than {MOST_BYTES / 1e6:.0f} MB, and no more are opened")
    _Checker().model(memoryview(graph))


def graph_of(model: bytes) -> bytes:
    """The graph and its weights, as bytes, out of the bytes of an ONNX file: all of it
    but the metadata. Raises KwsError for other bytes.
    """
    return b"".join(value for number, value in _Checker()._messages(memoryview(model)) if number == _MODEL_GRAPH)


class _Checker:
    """One pass over the messages of a file, which counts what it meets."""

    def __init__(self) -> None:
        self._nodes = 0
        self._parts = 0

    def model(self, model: memoryview) -> None:
        for number, value in self._messages(model):
            if number == _MODEL_FUNCTIONS:
                raise KwsError("it has functions of its own")
            if number == _MODEL_GRAPH:
                self._graph(value)

    def _graph(self, graph: memoryview) -> None:
        for number, value in self._messages(graph):
            if number == _GRAPH_SPARSE:
                raise KwsError("it has sparse weights")
            if number == _GRAPH_TENSORS:
                self._tensor(value)
            if number == _GRAPH_NODES:
                self._node(value)

    def _node(self, node: memoryview) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise KwsError(f"its graph has more than {MOST_NODES} operators, and no more are opened")
        fields = list(self._messages(node))
        kind = ["", *(_text(value) for number, value in fields if number == _NODE_TYPE)][-1]  # as a parser takes it
        if kind.startswith(_UNBOUND):
            raise _unbound(kind)
        for number, value in fields:
            if number == _NODE_DOMAIN and _text(value) not in ("", "ai.onnx"):
                raise KwsError(f"its operator {kind} is of another maker, {_text(value)}")
            if number == _NODE_ATTRIBUTES:
                self._attribute(value, kind)

    def _attribute(self, attribute: memoryview, kind: str) -> None:
        for number, value in self._fields(attribute):
            if not isinstance(value, memoryview):
                if kind == "Cast" and number == _ATTRIBUTE_INT and _is_string(value):
                    raise _unbound(kind)
                continue
            if kind == "Constant" and number in _ATTRIBUTE_STRINGS:  # elsewhere it names a mode of the operator
                raise _unbound(kind)
            if number in _ATTRIBUTE_GRAPHS:
                raise KwsError(f"its operator {kind} holds a graph, and nobody can say for how long that runs")
            if number in _ATTRIBUTE_SPARSE:
                raise KwsError("it has sparse weights")
            if number in _ATTRIBUTE_TENSORS:
                self._tensor(value)

    def _tensor(self, tensor: memoryview) -> None:
        for number, value in self._fields(tensor):
            if number == _TENSOR_FILES or (number == _TENSOR_PLACE and value != 0):
                raise KwsError("it keeps weights in another file, and a model of kws is one file")
            if number == _TENSOR_TYPE and isinstance(value, int) and _is_string(value):
                raise KwsError("it has strings for weights, and nobody can bound their memory")

    def _messages(self, message: memoryview) -> Iterator[tuple[int, memoryview]]:
        """The fields that are texts or messages."""
        return ((number, value) for number, value in self._fields(message) if isinstance(value, memoryview))

    def _fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Number and value of every field of a message, in order."""
        at, end = 0, len(message)
        while at < end:
            self._parts += 1
            if self._parts > _MOST_PARTS:
                raise KwsError(f"it has more than {_MOST_PARTS} parts, and no more are opened")
            key, at = _varint(message, at)
            number, kind = key >> 3, key & 7
            if kind == _VARINT:
                value, at = _varint(message, at)
                yield number, value
                continue
            if kind == _BYTES:
                size, at = _varint(message, at)
            elif kind in (_FIXED32, _FIXED64):
                size = 4 if kind == _FIXED32 else 8
            else:
                raise KwsError(_DAMAGED)
            if size > end - at:
                raise KwsError(_DAMAGED)
            if kind == _BYTES:
                yield number, message[at : at + size]
            at += size


def _unbound(kind: str) -> KwsError:
    return KwsError(f"its operator {kind} takes memory that nobody can bound")


def _is_string(number: int) -> bool:
    """Whether a number means the type of strings to a parser, which reads 32 bits."""
    return number & 0xFFFFFFFF == _STRING_TYPE


def _text(value: memoryview) -> str:
    return bytes(value[:40]).decode(errors="replace")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise KwsError(_DAMAGED)


def single_thread() -> onnxruntime.SessionOptions:
    """Options of any session of kws: one thread, and no messages of its own."""
    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # a chunk is too small to share: two threads cost more than they bring
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _NEVER
    return options


class GuardedSession:
    """A session for the first calls of an untrusted graph. It is opened without the
    optimiser, and its calls may take `MOST_MEMORY` and `MOST_S`.

    It has the methods of an onnxruntime.InferenceSession that `OnnxModel` uses.
    """

    def __init__(self, graph: bytes) -> None:
        runtime = load_onnxruntime()
        _bound_memory(runtime)
        options = single_thread()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.use_env_allocators", "1")
        self._runtime = runtime
        self._session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, outputs: list[str], feed: dict[str, Any]) -> list[Any]:
        """Runs the graph. Raises KwsError where a limit is reached, and what
        onnxruntime raises.
        """
        options = self._runtime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        late = Timer(MOST_S, setattr, (options, "terminate", True))
        late.daemon = True
        late.start()
        try:
            found: list[Any] = self._session.run(outputs, feed, options)
        except Exception as error:  # onnxruntime has no common class of errors
            if options.terminate:
                raise KwsError(f"one call takes more than {MOST_S:g} s") from error
            if "requested bytes" in str(error) or "bad allocation" in str(error) or "bad_alloc" in str(error):
                raise KwsError(f"one call needs more than {MOST_MEMORY / 2**20:.0f} MB of memory") from error
            raise
        finally:
            late.cancel()
        return found

    def get_inputs(self) -> list[Any]:
        """Passed on from the InferenceSession."""
        return list(self._session.get_inputs())

    def get_outputs(self) -> list[Any]:
        """Passed on from the InferenceSession."""
        return list(self._session.get_outputs())

    def get_modelmeta(self) -> Any:
        """Passed on from the InferenceSession."""
        return self._session.get_modelmeta()


def _bound_memory(runtime: Any) -> None:
    """Give the guarded sessions of this process an allocator with a limit. Only they
    ask for it.
    """
    as_asked = {"arena_extend_strategy": 1, "initial_chunk_size_bytes": 2**20, "max_dead_bytes_per_chunk": 2**20}
    limits = runtime.OrtArenaCfg({"max_mem": MOST_MEMORY, **as_asked})
    memory = runtime.OrtMemoryInfo("Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT)
    with suppress(Exception):  # it has one already, which onnxruntime has no way to ask
        runtime.create_and_register_allocator(memory, limits)
