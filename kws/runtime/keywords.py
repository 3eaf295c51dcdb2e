"""A detector from a user's words: a model by path or name, and phrases with or without
their phones.
"""

from __future__ import annotations

from collections.abc import Sequence

from kws.errors import KwsError
from kws.lexicon import phrase_name
from kws.runtime.detector import Detector


def open_detector(
    model: str, phrases: Sequence[str], threshold: float | None = None, *, known: bool = False
) -> Detector:
    """A detector of `model` that also hears `phrases` (words, or "PHRASE=PH ON ES").

    model: the path of an .onnx file, or the name of a model that ships with kws.
    threshold: in (0, 1], for all keywords; None keeps each keyword's own.
    known: a phrase without phones may name a keyword that the model has already.

    Raises KwsError for what is no model, for a phrase that cannot be spelled or is
    heard already, and where no keyword is left to hear.
    """
    detector = Detector.load(model)
    names = {keyword.name for keyword in detector.keywords} if known else set()
    phrases = [phrase for phrase in phrases if "=" in phrase or phrase_name(phrase) not in names]
    if not (phrases or detector.keywords):
        raise KwsError(f"the model {detector.info.name} has no keyword of its own: say what to hear with --keyword")
    if phrases:
        detector = detector.with_keywords(phrases)
    return detector if threshold is None else detector.with_threshold(threshold)
