"""Makes detectors from a user's words: a model by path or name, phrases with or without
their phones, the keywords to hear, and their thresholds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from kws.errors import KwsError, nearest
from kws.lexicon.notes import phrase_notes
from kws.lexicon.text import phrase_name
from kws.metadata import Keyword
from kws.runtime.detector import Detector
from kws.runtime.second_pass import labels_heard
from kws.runtime.shipped import DEFAULT_MODEL, PHRASE_MODEL


def open_detector(model: str, phrases: Sequence[str], *, known: bool = False) -> Detector:
    """A detector of `model` that also hears `phrases` (words, or "PHRASE=PH ON ES").

    model: the path of an .onnx file, or the name of a model that ships with kws.
    known: a phrase without phones may name a keyword that the model has already.

    Raises KwsError for what is no model, for a phrase that cannot be spelled or is
    heard already, and where no keyword is left to hear.
    """
    detector = Detector.load(model)
    names = {keyword.name for keyword in detector.keywords} if known else set()
    phrases = [phrase for phrase in phrases if "=" in phrase or phrase_name(phrase) not in names]
    if not (phrases or detector.keywords):
        raise KwsError(f"the model {detector.info.name} has no keyword of its own: say what to hear with --keyword")
    return detector.with_keywords(phrases) if phrases else detector


def model_for(phrases: Iterable[str], words: Collection[str], *, known: bool = False) -> str:
    """The shipped model for a command that names none: `phones` where phrases are typed
    and no other word is named, otherwise the default model.

    phrases: typed phrases. words: names of keywords that are to be heard or have a
    threshold. known: a phrase may name a keyword of the default model, which then hears
    it.
    """
    names = {phrase_name(phrase) for phrase in phrases}
    if not names or set(words) - names:
        return DEFAULT_MODEL
    if known and names <= {keyword.name for keyword in Detector.load(DEFAULT_MODEL).keywords}:
        return DEFAULT_MODEL
    return PHRASE_MODEL


def calibrate_added(
    detector: Detector, thresholds: Collection[Threshold], fa_per_hour: float
) -> tuple[Detector, list[str]]:
    """The detector with thresholds for its added phrases, at which each fires
    `fa_per_hour` times an hour in the speech stored for the model; and a sentence on
    each phrase.

    A phrase to which one of `thresholds` belongs keeps that threshold. Without stored
    speech, or with that of another model, phrases keep the model's default.
    """
    own = {keyword.name for keyword in detector.info.keywords}
    added = [
        keyword
        for keyword in detector.keywords
        if keyword.name not in own and not any(threshold.concerns(keyword) for threshold in thresholds)
    ]
    if not added:
        return detector, []
    from kws.runtime.speech.phrases import calibrated, speech_of  # a detector without new phrases needs none

    said = []
    try:
        speech = speech_of(detector.model)
    except KwsError as error:
        speech = None
        said.append(str(error))
    if speech is None:
        names = ", ".join(f"'{keyword.name}'" for keyword in added)
        model, default = detector.info.name, detector.info.scoring.default_threshold
        said.append(
            f"{names}: the threshold is the default of {model}, {default:g}, which may be far off, for no speech is "
            f"stored for that model: type the phrase for {PHRASE_MODEL}, or choose a --threshold with kws score"
        )
        return detector, said
    found = {phrase.keyword.name: phrase for phrase in calibrated(speech, detector.info, added, fa_per_hour)}
    keywords = [found[word.name].keyword if word.name in found else word for word in detector.keywords]
    changed = Detector(detector.model, keywords, verify=detector.second_pass is not None)
    return changed, [str(phrase) for phrase in found.values()]


def notes(detector: Detector, phrases: Iterable[str]) -> list[str]:
    """Notes for the person who added these phrases to the detector, a sentence each."""
    own = {keyword.name for keyword in detector.info.keywords}
    added = {keyword.name: keyword.spellings for keyword in detector.keywords if keyword.name not in own}
    found = [note for phrase in phrases for note in phrase_notes(phrase, added.get(phrase_name(phrase), ()))]
    if detector.second_pass is not None:
        heard = labels_heard(detector.info, detector.second_pass.info)
        found += [
            f"'{name}' is longer than the {heard} phones that the verifier of {detector.info.name} hears, and may not "
            "fire: the model phones has no verifier"
            for name, spellings in added.items()
            if min(map(len, spellings)) > heard
        ]
    return list(dict.fromkeys(found))


def only_these(detectors: Sequence[Detector], words: Collection[str], phrases: Iterable[str]) -> list[Detector]:
    """The detectors, with the models' own keywords reduced to `words`; a detector
    without a keyword is left out. Added `phrases` stay.

    Raises KwsError for a word that no model has.
    """
    names = {keyword.name for detector in detectors for keyword in detector.keywords}
    wanted = {phrase_name(word) for word in words}
    for name in wanted - names:
        raise KwsError(f"--only {name}: the model has no such keyword, {nearest(name, sorted(names))}")
    wanted |= {phrase_name(phrase) for phrase in phrases}
    kept = [[keyword for keyword in detector.keywords if keyword.name in wanted] for detector in detectors]
    return [Detector(detector.model, own) for detector, own in zip(detectors, kept, strict=True) if own]


class Threshold(NamedTuple):
    """A threshold in (0, 1] of one keyword, or of every one where `keyword` is None."""

    keyword: str | None
    value: float

    def of(self, keyword: Keyword) -> Keyword:
        """The keyword with this threshold, if the threshold is meant for it; otherwise
        the keyword unchanged.
        """
        return replace(keyword, threshold=self.value, calibration=None) if self.concerns(keyword) else keyword

    def concerns(self, keyword: Keyword) -> bool:
        """Whether the threshold is meant for a keyword."""
        return self.keyword in (None, keyword.name)


def with_thresholds(detectors: Sequence[Detector], thresholds: Iterable[Threshold]) -> list[Detector]:
    """The detectors with thresholds changed one after the other. Raises KwsError for a
    keyword that none of them has.
    """
    changed = list(detectors)
    for threshold in thresholds:
        keywords = [keyword for detector in changed for keyword in detector.keywords]
        if not any(map(threshold.concerns, keywords)):
            names = ", ".join(keyword.name for keyword in keywords)
            raise KwsError(f"--threshold is for '{threshold.keyword}', and the keywords are {names}")
        changed = [Detector(detector.model, list(map(threshold.of, detector.keywords))) for detector in changed]
    return changed
