"""microWakeWord (Kevin Ahrendt), by pymicro-wakeword: small streaming models, a score
every 30 ms.

A score is the engine's own: the mean of the last probabilities over the sliding window
that the model's file names; the threshold is that file's cutoff. A keyword's model may
also be a .json file of microWakeWord.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kws.evaluate.replay.engines import REQUIREMENTS, asked_for, package


class MicroWakeWord:
    """The adapter of microWakeWord, an `Engine` of `kws.evaluate.replay.systems`."""

    version = REQUIREMENTS["microwakeword"][0]
    chunk_samples = 480  # three steps of its features: one run of a model

    def __init__(self, keywords: Sequence[str]) -> None:
        engine = package("pymicro_wakeword", "microwakeword")
        shipped = {model.value for model in engine.Model}
        models = asked_for(keywords, shipped, "microwakeword")
        self._models = [
            engine.MicroWakeWord.from_builtin(engine.Model(model))
            if model in shipped
            else engine.MicroWakeWord.from_config(model)
            for model in models.values()
        ]
        self._features = engine.MicroWakeWordFeatures()
        self.keywords = list(models)
        # it fires above its cutoff, and means of 8-bit probabilities do lie on it
        self.thresholds = [float(np.nextafter(model.probability_cutoff, 2)) for model in self._models]
        self.size_bytes = sum(Path(model.tflite_model).stat().st_size for model in self._models)

    def process(self, chunk: npt.NDArray[np.int16]) -> list[float]:
        """The highest mean probability of each keyword in these 30 ms."""
        scores = [0.0] * len(self._models)
        for features in self._features.process_streaming(chunk.tobytes()):
            for index, model in enumerate(self._models):
                scores[index] = max(scores[index], model.process_streaming_prob(features))
        return scores

    def reset(self) -> None:
        """The features forget the noise that they adapted to, and the models their
        states.
        """
        self._features.reset()
        for model in self._models:
            model.reset()
