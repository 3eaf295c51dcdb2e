"""A model file opened for running by onnxruntime.

B streams at once, C chunks per call, F frames per call, V tokens. The graph takes `pcm`
(B, C * chunk_samples) and the states named in its model info, and gives
`log_posteriors` (B, F, V) and each state's successor, "next." + name.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Float32Array
from kws.errors import KwsError
from kws.metadata import METADATA_KEY, ModelInfo
from kws.onnxruntime_import import load_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

States = tuple[NDArray[Any], ...]

_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}
_NEVER = 4  # onnxruntime's "fatal" severity: what goes wrong is said by a KwsError, once


class OnnxModel:
    """One .onnx file: its model info and its graph. Immutable; any number of streams
    and threads may run it.
    """

    def __init__(self, path: Path, info: ModelInfo, session: onnxruntime.InferenceSession) -> None:
        self.path = path
        self.info = info
        self._session = session
        names = [state.name for state in info.states]
        self._inputs = ["pcm", *names]
        self._outputs = ["log_posteriors", *(f"next.{name}" for name in names)]

    @classmethod
    def load(cls, path: str | PathLike[str]) -> OnnxModel:
        """Open a model file for one thread.

        Raises KwsError with one sentence naming the file where it is missing,
        truncated, not ONNX, without a valid manifest, of a newer schema, or with a
        graph that its manifest does not describe.
        """
        path = Path(path)
        session = _open(path)
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise KwsError(f"{path} is an ONNX file, but not one of kws: it has no manifest")
        try:
            model = cls(path, ModelInfo.from_json(text), session)
            model._check_graph()
            model._check_posteriors()
        except KwsError as error:
            raise KwsError(f"{path} cannot be used: {error}") from error
        return model

    def init_states(self, batch: int = 1) -> States:
        """The states of fresh streams, all zeros: each (B, *shape)."""
        return tuple(np.zeros((batch, *state.shape), state.dtype) for state in self.info.states)

    def run(self, pcm: Float32Array, states: States) -> tuple[Float32Array, States]:
        """Run C chunks, 1 to `info.chunks_per_call`, in one call of the graph.

        pcm: (B, C * chunk_samples) in [-1, 1]. Returns the log-posteriors (B, F, V) and
        the states for the next call. Results do not depend on C: C calls with one chunk
        each give the same bits. Raises KwsError where onnxruntime fails.
        """
        feed = dict(zip(self._inputs, (pcm, *states), strict=True))
        try:
            posteriors, *following = self._session.run(self._outputs, feed)
        except Exception as error:  # onnxruntime has no common class of errors
            raise KwsError(f"the model failed to run: {_first_line(error)}") from error
        return posteriors, tuple(following)

    def _check_graph(self) -> None:
        info = self.info
        chunk = [None, info.chunk_samples]
        frames = [None, info.frames_per_chunk, len(info.tokens)]
        states = [(_TYPES[state.dtype], [None, *state.shape]) for state in info.states]
        wanted_in = [("tensor(float)", chunk), *states]
        wanted_out = [("tensor(float)", frames), *states]
        _compare(self._session.get_inputs(), self._inputs, wanted_in)
        _compare(self._session.get_outputs(), self._outputs, wanted_out)

    def _check_posteriors(self) -> None:
        """Run the least and the most silence: it must work, and give logarithms of
        probabilities.
        """
        info = self.info
        for chunks in sorted({1, info.chunks_per_call}):
            silence = np.zeros((1, chunks * info.chunk_samples), np.float32)
            posteriors, _ = self.run(silence, self.init_states())
            shape = (1, chunks * info.frames_per_chunk, len(info.tokens))
            if posteriors.shape != shape:
                raise KwsError(f"the graph gave log-posteriors of shape {posteriors.shape}, not {shape}")
            if not np.allclose(np.exp(posteriors.astype(np.float64)).sum(axis=2), 1, atol=0.01):
                raise KwsError("the graph's log-posteriors are not logarithms of probabilities")


def _open(path: Path) -> onnxruntime.InferenceSession:
    if not path.exists():
        raise KwsError(f"{path} does not exist")
    if path.is_dir():
        raise KwsError(f"{path} is a folder, not an .onnx file")
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a chunk is too small to share: two threads cost more than they bring
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _NEVER
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of errors
        raise KwsError(f"{path} is not a model that onnxruntime can load: {_first_line(error)}") from error


def _compare(found: list[Any], names: list[str], wanted: list[tuple[str, list[int | None]]]) -> None:
    """Raise KwsError unless the graph has exactly the tensors wanted; a free axis fits
    any size.
    """
    if sorted(tensor.name for tensor in found) != sorted(names):
        have = ", ".join(tensor.name for tensor in found)
        raise KwsError(f"the manifest calls for the tensors {', '.join(names)}, the graph has {have}")
    by_name = {tensor.name: tensor for tensor in found}
    for name, (kind, shape) in zip(names, wanted, strict=True):
        tensor = by_name[name]
        fits = len(tensor.shape) == len(shape) and all(
            size is None or not isinstance(axis, int) or axis == size
            for axis, size in zip(tensor.shape, shape, strict=True)
        )
        if tensor.type != kind or not fits:
            raise KwsError(f"'{name}' of the graph is {tensor.type} {tensor.shape}, the manifest says {kind} {shape}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")
