"""Stored speech of the model of tones: tunes that the model heard, with their words."""

from pathlib import Path

import numpy as np

import tones
from kws.decoding.packed import PackedPosteriors
from kws.metadata import DataSource
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.speech.store import Recording, StoredSpeech, digest


def posteriors_of(model: Path, tunes: list[str]) -> list[np.ndarray]:
    """What the model makes of each tune, (T, V)."""
    deaf = Detector(OnnxModel.load(model), [])
    return [deaf.stream().process(tones.speak(tune), last=True).log_posteriors for tune in tunes]


def store(model: Path, tunes: list[str], repeats: int = 1) -> StoredSpeech:
    """The tunes as stored speech, each a recording of one speaker, its letters the only word."""
    heard = posteriors_of(model, tunes) * repeats
    words = [tune.replace(" ", "").lower() for tune in tunes * repeats]
    recordings = tuple(
        Recording(len(frames), f"speaker {number % 4}", ((word, len(frames)),) if word else ())
        for number, (word, frames) in enumerate(zip(words, heard, strict=True))
    )
    data = (DataSource("tunes", "none", "Jean-Baptiste Fourier"),)
    return StoredSpeech(digest(model), tones.FRAME, data, recordings, PackedPosteriors.of(np.concatenate(heard)))
