"""Classifies a short clip by the word that it says: a closed choice between words,
silence and everything else.

Each word is scored by the CTC likelihood of its spellings over the whole clip (see
kws.decoding.ctc), with every class as likely beforehand as any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.decoding.ctc import CtcLikelihood
from kws.decoding.temperature import sharpened
from kws.errors import KwsError
from kws.lexicon import SILENCE, UNKNOWN
from kws.runtime.detector import Detector

_LEAD = units.samples(0.2)  # digital silence before a clip, so that the model has settled when the word begins

Spellings = Sequence[Sequence[str]]


class Classifier:
    """Chooses between `classes`; immutable.

    classes: for each class its spellings in the model's tokens. The spellings of
    UNKNOWN are those of all words outside the other classes, each a word of its own;
    those of SILENCE are ignored. Raises KwsError for a token that the model does not
    have.
    """

    def __init__(self, detector: Detector, classes: Mapping[str, Spellings]) -> None:
        ids = {token: index for index, token in enumerate(detector.info.tokens)}
        spellings: list[list[int]] = []
        self.names = list(classes)
        self.owners: list[slice] = []
        for name, options in classes.items():
            first = len(spellings)
            try:
                spellings += [[ids[t] for t in option] for option in ([()] if name == SILENCE else options)]
            except KeyError as error:
                raise KwsError(f"the class '{name}' is spelled with {error}, which is no token of the model") from None
            if len(spellings) == first:
                raise KwsError(f"the class '{name}' has no spelling: give words that it may be")
            self.owners.append(slice(first, len(spellings)))
        self.detector = Detector(detector.model, ())
        self.likelihood = CtcLikelihood(spellings)

    def scores(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-likelihood of each class for a clip, (S,) float32 at 16 kHz ->
        (classes,).
        """
        stream = self.detector.stream()
        padded = np.concatenate([np.zeros(_LEAD, np.float32), samples])
        info, heard = self.detector.info, stream.process(padded, last=True).log_posteriors
        scores = self.likelihood(sharpened(heard, info.temperature, info.blank_discount))
        return np.array([self._of_class(name, scores[own]) for name, own in zip(self.names, self.owners, strict=True)])

    def __call__(self, samples: NDArray[np.float32]) -> str:
        """The likeliest class of a clip, (S,) float32 at 16 kHz."""
        return self.names[int(self.scores(samples).argmax())]

    @staticmethod
    def _of_class(name: str, scores: NDArray[np.float64]) -> float:
        """The log-likelihood of a class from those of its spellings: their sum for a
        word, their mean for UNKNOWN, of whose words only one is said.
        """
        total = float(np.logaddexp.reduce(scores))
        return total - float(np.log(len(scores))) if name == UNKNOWN else total
