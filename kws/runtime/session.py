"""A model file opened for running by onnxruntime.

B streams at once, C chunks and T frames per call, V tokens. The graph takes `pcm`
(B, C * chunk_samples) and the states named in its model info, and gives
`log_posteriors` (B, T, V) and each state's successor, "next." + name.

In a model of two passes it also gives `features` (B, F hops of 10 ms, M mel bands), the
log-mel energies. A second graph, the verifier, takes the last `segment_frames` of them
and gives `log_odds` (1, W words) and `log_posteriors` (1, T, V).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Float32Array
from kws.errors import KwsError
from kws.metadata import METADATA_KEY, VERIFIER_KEY, ModelInfo
from kws.onnxruntime_import import load_onnxruntime
from kws.runtime.shipped import ships
from kws.runtime.strangers import MOST_BYTES, GuardedSession, check, single_thread
from kws.units import HOP_SAMPLES

if TYPE_CHECKING:
    import onnxruntime

    _AnySession: TypeAlias = onnxruntime.InferenceSession | GuardedSession
    _Opened: TypeAlias = Callable[[bytes], _AnySession]

States = tuple[NDArray[Any], ...]


class Output(NamedTuple):
    """The output of one call of the graph.

    log_posteriors: (B, T, V). states: for the next call. features: (B, F, M), or None
    in a model of one pass.
    """

    log_posteriors: Float32Array
    states: States
    features: Float32Array | None


_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)"}
_VERIFIER_OUTPUTS = ["log_odds", "log_posteriors"]
_QUIET_S = 4  # more than the look-back of the shipped models: no frame before it is remembered


class OnnxModel:
    """One .onnx file: its model info and its graph. Immutable; any number of streams
    and threads may run it.
    """

    def __init__(
        self,
        path: Path,
        info: ModelInfo,
        session: _AnySession,
        verifier: _AnySession | bytes | None = None,
    ) -> None:
        """verifier: its graph, opened or as bytes, which the first candidate opens."""
        self.path = path
        self.info = info
        self._session = session
        self._verifier = verifier
        self._opening = Lock()
        self._quiet: States = self.zero_states()
        names = [state.name for state in info.states]
        self._inputs = ["pcm", *names]
        self._outputs = ["log_posteriors", *(f"next.{name}" for name in names)]
        if info.verifier is not None:
            self._outputs.append("features")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> OnnxModel:
        """Open a model file for one thread.

        Raises KwsError, one sentence that names the file, where it is missing,
        truncated, not ONNX, without a valid model info, or of a newer schema. It does
        so, too, where the graph does not fit the model info, or needs more of the
        machine than a stranger may ask for (see strangers.py).
        """
        path = Path(path)
        graph = _read(path)
        opened = _session if ships(path) else GuardedSession  # of our own nothing is to be feared, and start-up counts
        session = _open(path, graph, opened)
        try:
            metadata = session.get_modelmeta().custom_metadata_map
            text = metadata.get(METADATA_KEY)
            if text is None:
                raise KwsError("it is an ONNX file, but not one of kws: it has no model info")
            info = ModelInfo.from_json(text)
            verifier = None if info.verifier is None else verifier_bytes(metadata)
            if opened is _session:
                model = cls(path, info, session, verifier)
            else:
                checked = cls(path, info, session, None if verifier is None else _open_verifier(verifier, opened))
                checked._check_graph()
                checked._check_posteriors()
                checked._check_verifier()
                second = None if verifier is None else _open_verifier(verifier, _session)
                model = cls(path, info, _open(path, graph, _session), second)
            model._quiet = model._hear_silence()
        except UnicodeDecodeError as error:  # of a name in the graph, or in the metadata
            raise KwsError(f"{path} cannot be used: it holds text that is not UTF-8") from error
        except KwsError as error:
            raise KwsError(f"{path} cannot be used: {error}") from error
        return model

    def init_states(self, batch: int = 1) -> States:
        """The states of fresh streams, each (B, *shape): those that a few seconds of
        silence leave.

        A word is then heard from the first sample on, as after a pause.
        """
        return tuple(np.repeat(state, batch, axis=0) for state in self._quiet)

    def zero_states(self, batch: int = 1) -> States:
        """The states in which a training's utterances begin, all zeros: each (B,
        *shape).
        """
        return tuple(np.zeros((batch, *state.shape), state.dtype) for state in self.info.states)

    def _hear_silence(self) -> States:
        """The states after `_QUIET_S` of silence."""
        info, states = self.info, self.zero_states()
        chunks = -(-_QUIET_S * info.sample_rate // info.chunk_samples)
        while chunks > 0:
            together = min(chunks, info.chunks_per_call)
            states = self.run(np.zeros((1, together * info.chunk_samples), np.float32), states).states
            chunks -= together
        return states

    def run(self, pcm: Float32Array, states: States) -> Output:
        """Run C chunks, 1 to `info.chunks_per_call`, in one call of the graph.

        pcm: (B, C * chunk_samples) in [-1, 1]. Results do not depend on C: C calls with
        one chunk each give the same bits, or, of a model that follows the level, the
        same to rounding. Raises KwsError where onnxruntime fails.
        """
        feed = dict(zip(self._inputs, (pcm, *states), strict=True))
        try:
            posteriors, *following = self._session.run(self._outputs, feed)
        except KwsError:
            raise
        except Exception as error:  # onnxruntime has no common class of errors
            raise KwsError(f"the model failed to run: {_first_line(error)}") from error
        features = None if self.info.verifier is None else following.pop()
        return Output(posteriors, tuple(following), features)

    def verify(self, features: Float32Array) -> tuple[Float32Array, Float32Array]:
        """The verifier's log-odds (W,) of its words and log-posteriors (T, V) for
        `features` (segment_frames, M).

        Only for a model with a verifier. Raises KwsError where onnxruntime fails.
        """
        try:
            log_odds, log_posteriors = self._opened_verifier().run(_VERIFIER_OUTPUTS, {"features": features[None]})
        except KwsError:
            raise
        except Exception as error:  # onnxruntime has no common class of errors
            raise KwsError(f"the verifier failed to run: {_first_line(error)}") from error
        return log_odds[0], log_posteriors[0]

    def _opened_verifier(self) -> _AnySession:
        """The verifier, which the first candidate of all streams opens."""
        with self._opening:
            if isinstance(self._verifier, bytes):
                self._verifier = _open_verifier(self._verifier, _session)
            assert self._verifier is not None
            return self._verifier

    def _check_graph(self) -> None:
        info = self.info
        chunk = [None, info.chunk_samples]
        frames = [None, info.frames_per_chunk, len(info.tokens)]
        states = [(_TYPES[state.dtype], [None, *state.shape]) for state in info.states]
        wanted_in = [("tensor(float)", chunk), *states]
        wanted_out = [("tensor(float)", frames), *states]
        if info.verifier is not None:
            wanted_out.append(("tensor(float)", [None, None, info.verifier.mels]))
        _compare(self._session.get_inputs(), self._inputs, wanted_in)
        _compare(self._session.get_outputs(), self._outputs, wanted_out)

    def _check_posteriors(self) -> None:
        """Run the least and the most silence: it must work, and give logarithms of
        probabilities.
        """
        info = self.info
        for chunks in sorted({1, info.chunks_per_call}):
            silence = np.zeros((1, chunks * info.chunk_samples), np.float32)
            posteriors, _, features = self.run(silence, self.zero_states())
            self._check_features(features, chunks)
            shape = (1, chunks * info.frames_per_chunk, len(info.tokens))
            if posteriors.shape != shape:
                raise KwsError(f"the graph gave log-posteriors of shape {posteriors.shape}, not {shape}")
            if not np.allclose(np.exp(posteriors.astype(np.float64)).sum(axis=2), 1, atol=0.01):
                raise KwsError("the graph's log-posteriors are not logarithms of probabilities")

    def _check_features(self, features: Float32Array | None, chunks: int) -> None:
        """Check the features of so many chunks of silence: their size must be the one
        that the verifier takes.
        """
        verifier = self.info.verifier
        if verifier is None or features is None:
            return
        frames = chunks * self.info.chunk_samples // HOP_SAMPLES
        if features.shape != (1, frames, verifier.mels):
            raise KwsError(f"the graph gave features of shape {features.shape}, not {(1, frames, verifier.mels)}")

    def _check_verifier(self) -> None:
        """Run the verifier on silence: it must work, and give what its info says."""
        verifier, info = self.info.verifier, self.info
        if verifier is None:
            return
        silence = np.full((verifier.segment_frames, verifier.mels), verifier.silence, np.float32)
        log_odds, posteriors = self.verify(silence)
        frames = verifier.segment_frames * HOP_SAMPLES // info.frame_samples
        found, wanted = (log_odds.shape, posteriors.shape), ((len(verifier.words),), (frames, len(info.tokens)))
        if found != wanted:
            raise KwsError(f"the verifier gave log-odds and log-posteriors of shapes {found}, not {wanted}")
        if not (np.isfinite(log_odds).all() and np.isfinite(posteriors).all()):
            raise KwsError("the verifier gave numbers that are not finite")


def verifier_bytes(metadata: dict[str, str]) -> bytes:
    """The ONNX file of the verifier that a model file carries in its metadata."""
    text = metadata.get(VERIFIER_KEY)
    if text is None:
        raise KwsError("its model info calls for a verifier, and the file has none")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise KwsError(f"its verifier is damaged ({error})") from error


def _open_verifier(graph: bytes, opened: _Opened) -> _AnySession:
    try:
        check(graph)
        return opened(graph)
    except Exception as error:  # onnxruntime has no common class of errors
        raise KwsError(f"its verifier is damaged ({_first_line(error)})") from error


def _read(path: Path) -> bytes:
    """The bytes of a model file, of which no more are taken than a model may have."""
    if path.is_dir():
        raise KwsError(f"{path} is a folder, not an .onnx file")
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise KwsError(f"{path} does not exist") from error
    except OSError as error:
        raise KwsError(f"{path} cannot be read: {error.strerror}") from error


def _open(path: Path, graph: bytes, opened: _Opened) -> _AnySession:
    try:
        check(graph)
    except KwsError as error:
        raise KwsError(f"{path} cannot be used: {error}") from error
    try:
        return opened(graph)
    except Exception as error:  # onnxruntime has no common class of errors
        raise KwsError(f"{path} is not a model that onnxruntime can load: {_first_line(error)}") from error


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    """A session of one thread for the bytes of a graph."""
    onnxruntime = load_onnxruntime()
    return onnxruntime.InferenceSession(graph, single_thread(), providers=["CPUExecutionProvider"])


def _compare(found: list[Any], names: list[str], wanted: list[tuple[str, list[int | None]]]) -> None:
    """Raise KwsError unless the graph has exactly the tensors wanted; a free axis fits
    any size.
    """
    if sorted(tensor.name for tensor in found) != sorted(names):
        have = ", ".join(tensor.name for tensor in found)
        raise KwsError(f"the model info calls for the tensors {', '.join(names)}, the graph has {have}")
    by_name = {tensor.name: tensor for tensor in found}
    for name, (kind, shape) in zip(names, wanted, strict=True):
        tensor = by_name[name]
        fits = len(tensor.shape) == len(shape) and all(
            size is None or not isinstance(axis, int) or axis == size
            for axis, size in zip(tensor.shape, shape, strict=True)
        )
        if tensor.type != kind or not fits:
            raise KwsError(f"'{name}' of the graph is {tensor.type} {tensor.shape}, the model info says {kind} {shape}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")
