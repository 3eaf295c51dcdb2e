"""openWakeWord (David Scripka): a speech embedding that all words share, and a small
classifier for each.

The package openwakeword is what runs. It downloads its models where it can; here they
are taken from the wheel of pyopen-wakeword, which holds the same .tflite files (release
v0.1, equal to the byte) and whose own runtime needs more processor time and hears 80 ms
later. A keyword's model may also be a .tflite file of openWakeWord.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kws.evaluate.replay.engines import REQUIREMENTS, asked_for, package

_THRESHOLD = 0.5  # of the engine's documentation
_SILENT_CHUNKS = 26  # what a score rests on: 76 frames of 10 ms for an embedding, 16 embeddings, each 80 ms later


class OpenWakeWord:
    """The adapter of openWakeWord, an `Engine` of `kws.evaluate.replay.systems`."""

    version = REQUIREMENTS["openwakeword"][0]
    chunk_samples = 1280  # what it is made for: a score every 80 ms

    def __init__(self, keywords: Sequence[str]) -> None:
        engine = package("openwakeword", "openwakeword")
        folder = Path(str(package("pyopen_wakeword", "openwakeword").__file__)).parent / "models"
        files = {file.stem: file for file in folder.glob("*.tflite")}
        mel, embedding = (files.pop(name) for name in ("melspectrogram", "embedding_model"))
        models = asked_for(keywords, files, "openwakeword")
        paths = [files.get(model, Path(model)) for model in models.values()]
        self._model = engine.Model(
            [str(path) for path in paths], melspec_model_path=str(mel), embedding_model_path=str(embedding)
        )
        self._names = [path.stem for path in paths]
        self.keywords = list(models)
        self.thresholds = [_THRESHOLD] * len(models)
        self.size_bytes = sum(file.stat().st_size for file in [mel, embedding, *paths])

    def process(self, chunk: npt.NDArray[np.int16]) -> list[float]:
        """The probability of each keyword after these 80 ms."""
        found = self._model.predict(chunk)
        return [float(found[name]) for name in self._names]

    def reset(self) -> None:
        """Hears silence until the buffers hold nothing else. The engine's own reset
        fills them with random noise, and scores would not repeat.
        """
        for _ in range(_SILENT_CHUNKS):
            self._model.predict(np.zeros(self.chunk_samples, np.int16))
