"""Makes the stored speech of a model: hears corpora once, and keeps the log-posteriors
with the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kws.arrays import Samples
from kws.audio import read
from kws.data.alignment import Aligner
from kws.data.manifest import Utterance
from kws.decoding.packed import joined
from kws.errors import KwsError
from kws.lexicon import load_cmudict
from kws.metadata import DataSource
from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.runtime.speech.store import Recording, StoredSpeech, digest


def hear_speech(path: Path, rows: Iterable[Utterance], data: Sequence[DataSource], skipped: list[str]) -> StoredSpeech:
    """The stored speech of the model in file `path`, from the recordings `rows`.

    data: names the speech. Texts are aligned with the sound (pocketsphinx), so that the
    words in which a phrase fires can be named. skipped: gets a sentence for each
    recording that cannot be read, and for each whose text cannot be found in it. Raises
    KwsError for a model of two passes, whose second pass needs the sound, and where
    nothing can be read.
    """
    model = OnnxModel.load(path)
    if model.info.verifier is not None:
        raise KwsError(f"{model.info.name} has two passes, and the second one needs the sound: store a model of one")
    deaf = Detector(model, [])
    aligner = Aligner(load_cmudict())
    posteriors, recordings = [], []
    for row in rows:
        try:
            samples = read(row.audio)
        except KwsError as error:
            skipped.append(str(error))
            continue
        heard = deaf.stream().process(samples, last=True).log_posteriors
        posteriors.append(heard)
        words = _words(aligner, samples, row, model.info.frame_samples, skipped)
        recordings.append(Recording(len(heard), row.speaker, words))
    if not recordings:
        raise KwsError("none of the recordings can be read")
    packed = joined(posteriors, model.info.temperature)
    return StoredSpeech(digest(path), model.info.frame_samples, tuple(data), tuple(recordings), packed)


def _words(
    aligner: Aligner, samples: Samples, row: Utterance, frame_samples: int, skipped: list[str]
) -> tuple[tuple[str, int], ...]:
    """The words of a recording, each with the frame after its last; none where the text
    is not known or not found.
    """
    if not row.text:
        return ()
    try:
        found = aligner.words(samples, row.text)
    except RuntimeError as error:  # pocketsphinx finds no alignment
        skipped.append(f"{row.audio}: {error}; its words are not stored")
        return ()
    if [word for word, _, _ in found] != row.text.split():
        skipped.append(f"{row.audio}: '{row.text}' is not found in it; its words are not stored")
        return ()
    return tuple((word, int(np.ceil(end / frame_samples))) for word, _, end in found)
