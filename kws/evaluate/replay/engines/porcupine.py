"""Porcupine 1.9 (Picovoice), by pvporcupine: the last release that needs no access key.

It only fires, at the sensitivity that it was made with. So eleven of it hear the same
sound, at sensitivities from 0 to 1, and the score is that of the strictest that fires:
1 - sensitivity / 2, from 0.5 (sensitivity 1) to 1. One pass gives all operating points
in that way; `OneSensitivity` is what a device would run, for measuring costs. A
keyword's model may also be a .ppn file.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kws.evaluate.replay.engines import REQUIREMENTS, asked_for, package

_DEFAULT = 0.5


class Porcupine:
    """The adapter of Porcupine, an `Engine` of `kws.evaluate.replay.systems`."""

    version = REQUIREMENTS["porcupine"][0]
    sensitivities = tuple(step / 10 for step in range(11))

    def __init__(self, keywords: Sequence[str]) -> None:
        self._engine = package("pvporcupine", "porcupine")
        paths = self._engine.KEYWORD_PATHS
        models = asked_for(keywords, paths, "porcupine")
        self._files = [paths.get(model, model) for model in models.values()]
        self._rungs = self._made()
        self.keywords = list(models)
        self.thresholds = [_score(_DEFAULT)] * len(models)
        self.chunk_samples = int(self._rungs[0].frame_length)
        self.size_bytes = sum(Path(file).stat().st_size for file in [self._engine.MODEL_PATH, *self._files])

    def process(self, chunk: npt.NDArray[np.int16]) -> list[float]:
        """For each keyword the score of the strictest sensitivity at which it fires
        here, 0 if it does not.
        """
        scores = [0.0] * len(self._files)
        pcm = chunk.tolist()
        for sensitivity, rung in zip(self.sensitivities, self._rungs, strict=True):
            fired = rung.process(pcm)
            if fired >= 0:
                scores[fired] = max(scores[fired], _score(sensitivity))
        return scores

    def reset(self) -> None:
        """Makes the engine anew: it has no reset, and silence does not make it forget
        the voice before.
        """
        for rung in self._rungs:
            rung.delete()
        self._rungs = self._made()

    def _made(self) -> list[Any]:
        files = self._files
        made = [
            self._engine.create(keyword_paths=files, sensitivities=[sensitivity] * len(files))
            for sensitivity in self.sensitivities
        ]
        _close({Path(file).resolve() for file in files})
        return made


class OneSensitivity(Porcupine):
    """Porcupine at its default sensitivity alone."""

    sensitivities = (_DEFAULT,)


def _score(sensitivity: float) -> float:
    return 1 - sensitivity / 2


def _close(files: set[Path]) -> None:
    """Closes what the library leaves open of each file that it has read, or a process
    could not open another soon.
    """
    opened = Path("/proc/self/fd")
    for descriptor in list(opened.iterdir()) if opened.is_dir() else []:
        if descriptor.resolve() in files:
            os.close(int(descriptor.name))
