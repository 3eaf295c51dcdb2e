"""Sets the thresholds of new phrases by stored speech, and says what each threshold
rests on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kws.decoding.trigger import LEAST
from kws.digits import probability
from kws.errors import KwsError
from kws.lexicon.text import contains
from kws.metadata import Calibration, Keyword, ModelInfo
from kws.runtime.session import OnnxModel
from kws.runtime.speech import replay
from kws.runtime.speech.store import Recording, StoredSpeech, digest, place, read_speech
from kws.runtime.speech.tail import tail_of

_NAMED = 3  # of what a phrase sounds like
_DIGITS = 10_000  # of a threshold
_AROUND_FRAMES = 19  # 0.75 s: as kws score counts, an event so long after its word is still the word's
HARD = 0.38  # of 1,336 recordings of six typed phrases one in four reaches it: see recipes/phones/RESULTS.md


@dataclass(frozen=True)
class CalibratedPhrase:
    """A phrase with its threshold, and the peaks that the threshold rests on.

    events: the number of peaks above the score `level`, without those in which the
    phrase is truly said. sounds_like: the words that were said in the highest peaks, as
    far as they are known.
    """

    keyword: Keyword
    events: int
    level: float
    sounds_like: tuple[str, ...]

    def __str__(self) -> str:
        keyword, calibration = self.keyword, self.keyword.calibration
        assert calibration is not None
        events = "one event" if self.events == 1 else f"{self.events} events"
        rate, hours = calibration.fa_per_hour, calibration.hours
        threshold, level = probability(keyword.threshold), probability(self.level)
        found = f"'{keyword.name}' fires at {threshold} for {rate:g} false accepts an hour"
        parts = [f"{found}, from {hours:.1f} h of speech: {events} above {level}"]
        if self.sounds_like:
            parts.append("it sounds like " + ", ".join(f'"{words}"' for words in self.sounds_like))
        if keyword.threshold > HARD:
            parts.append("few will be heard so high: choose a longer phrase, or allow more with --fa-per-hour")
        return "; ".join(parts)


def speech_of(model: OnnxModel) -> StoredSpeech | None:
    """The stored speech beside a model's file; None where there is none. Raises
    KwsError for a damaged file, and for the speech of another model.
    """
    path = place(model.path)
    if not path.is_file():
        return None
    speech = read_speech(path)
    if speech.model != digest(model.path) or speech.posteriors.levels.shape[1] != len(model.info.tokens):
        raise KwsError(f"{path} is the speech of another model than {model.path}: make it again with kws data store")
    return speech


def required_speech(model: OnnxModel) -> StoredSpeech:
    """`speech_of` for a model that must have some; KwsError otherwise."""
    speech = speech_of(model)
    if speech is None:
        raise KwsError(
            f"no speech is stored for {model.info.name}: give with_keywords a threshold, load the model 'phones', "
            f"or make {place(model.path).name} with kws data store"
        )
    return speech


def calibrated(
    speech: StoredSpeech, info: ModelInfo, keywords: Sequence[Keyword], fa_per_hour: float
) -> list[CalibratedPhrase]:
    """Each keyword with the threshold at which it fires `fa_per_hour` times an hour in
    speech that does not say it.

    info: of the model that the speech is of.
    """
    scorer = info.scoring.scorer(info.tokens, [keyword.spelled for keyword in keywords])
    every = replay.peaks(speech, scorer, info.scoring)
    return [_calibrated(speech, keyword, own, fa_per_hour) for keyword, own in zip(keywords, every, strict=True)]


def _calibrated(
    speech: StoredSpeech, keyword: Keyword, peaks: Sequence[replay.Peak], fa_per_hour: float
) -> CalibratedPhrase:
    false = [peak for peak in peaks if not _is_said(keyword.name, speech.recordings[peak.recording], peak)]
    tail = tail_of([peak.score for peak in false], speech.hours, fa_per_hour, replay.FLOOR)
    threshold = math.ceil(max(tail.threshold, LEAST) * _DIGITS) / _DIGITS
    near = [peak for peak in false if peak.score >= threshold / 2]
    heard = [replay.said(speech.recordings[peak.recording], peak) for peak in near]
    counted = sum(peak.score >= threshold for peak in false)
    data = "stored speech: " + ", ".join(source.name for source in speech.data)
    return CalibratedPhrase(
        replace(keyword, threshold=threshold, calibration=Calibration(fa_per_hour, counted, speech.hours, data)),
        tail.events,
        tail.level,
        tuple(dict.fromkeys(words for words in heard if words))[:_NAMED],
    )


def _is_said(phrase: str, recording: Recording, peak: replay.Peak) -> bool:
    """Whether a peak is of the phrase itself, which is truly said there."""
    first, last = peak.frame + 1 - peak.age - _AROUND_FRAMES, peak.frame + 1 + _AROUND_FRAMES
    return contains(" ".join(word for word, start, end in recording.spans if start < last and end > first), phrase)
