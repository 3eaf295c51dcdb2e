"""Detector: a model and the keywords it listens for.

T frames, K keywords, V tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from kws import units
from kws.decoding.trigger import LEAST, Trigger
from kws.decoding.wait_bound import WaitBound
from kws.errors import InputError, KwsError
from kws.events import Detection
from kws.lexicon import spell_all
from kws.metadata import Keyword, ModelInfo
from kws.runtime.gate import Gate, quiet_chunks
from kws.runtime.pause_before import PauseBefore
from kws.runtime.second_pass import SecondPass
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import DEFAULT_MODEL, find
from kws.runtime.stream import Stream
from kws.runtime.streams import Streams


class Detector:
    """A model with its keywords and thresholds. Immutable: streams and threads may
    share one.

    >>> stream = Detector.load("wake-words").stream()
    >>> for detection in stream.push(samples):
    ...     print(detection.keyword, detection.end_s)
    """

    def __init__(
        self,
        model: OnnxModel,
        keywords: Sequence[Keyword] | None = None,
        *,
        verify: bool = True,
        after_pause: bool = False,
    ) -> None:
        """A detector for the model's own keywords, or for those given (spelled in the
        model's tokens).

        verify: use the second pass of a model that has one; with False, scores are
        those of the first pass. after_pause: see `said_after_pause`.
        """
        info = model.info
        scoring = info.scoring
        self.model = model
        self.keywords = info.keywords if keywords is None else tuple(keywords)
        for keyword in self.keywords:
            info.check_keyword(keyword)
        self.after_pause = after_pause
        self.scorer = scoring.scorer(info.tokens, [keyword.spelled for keyword in self.keywords])
        thresholds = [keyword.threshold for keyword in self.keywords]
        self.trigger = Trigger(thresholds, scoring.refractory_frames)
        self.second_pass = SecondPass(model, self.keywords) if verify and info.verifier is not None else None
        proposed_from = thresholds if self.second_pass is None else [self.second_pass.info.floor] * len(thresholds)
        self.wait_bound = WaitBound(
            [keyword.spellings for keyword in self.keywords], proposed_from, scoring.peak_weight
        )

    def __repr__(self) -> str:
        words = ", ".join(f"{keyword.name} at {keyword.threshold:g}" for keyword in self.keywords)
        return f"<kws.Detector {self.info.name}: {words or 'no keyword yet'}>"

    @classmethod
    def load(cls, model: str | PathLike[str] = DEFAULT_MODEL) -> Detector:
        """Open a model: the path of an .onnx file, or the name of one that ships with
        kws.

        Raises KwsError with one sentence for anything that is not a model of kws.
        """
        return cls(OnnxModel.load(find(model)))

    @property
    def info(self) -> ModelInfo:
        """The model info of the model's file."""
        return self.model.info

    def with_keywords(
        self, phrases: Iterable[str] | Mapping[str, Sequence[Sequence[str]]], threshold: float | None = None
    ) -> Detector:
        """A detector that hears further phrases too, without any training.

        >>> detector.with_keywords(["good morning", "hey zorgo=HH EY - Z AO R G OW"])

        phrases: words that the CMU dictionary spells (the extra `lexicon`), or words
        with their phones; or a mapping from each name to its spellings in the model's
        tokens, or to such spellings with the numbers of tokens after which their words
        end (kws.lexicon.borders.Spelled). A pause of up to a second between two words
        makes no difference. threshold: the score in (0, 1] at which the phrases fire;
        None: the model's default for added phrases.

        Raises KwsError for a name that the detector hears already, for a phrase or a
        token that cannot be used, and for a threshold outside (0, 1].
        """
        if isinstance(phrases, str):
            raise InputError(f"with_keywords takes a list of phrases: with_keywords([{phrases!r}])")
        if not isinstance(phrases, Mapping):
            phrases = spell_all(_texts(phrases))
        threshold = self.info.scoring.default_threshold if threshold is None else threshold
        known = {keyword.name for keyword in self.keywords}
        for name in phrases:
            if name in known:
                raise KwsError(f"the model hears '{name}' already")
        added = [Keyword.of(name, spellings, threshold) for name, spellings in phrases.items()]
        return self._with([*self.keywords, *added])

    def with_phrases(self, *phrases: str, fa_per_hour: float = 0.5) -> Detector:
        """A detector that hears further phrases too, each at a threshold of its own.

        >>> detector = kws.Detector.load("phones").with_phrases("good morning", fa_per_hour=0.5)

        The threshold is the one at which the phrase fires `fa_per_hour` times an hour
        in the speech that is stored beside the model (see kws.runtime.speech.tail); it
        is found in seconds, without recordings. `keywords` has it, with the false
        accepts counted there. Other keywords stay as they are.

        phrases: as `with_keywords` takes them. Raises KwsError where that does, and for
        a model without stored speech, or with that of another model.
        """
        from kws.runtime.speech.phrases import calibrated, required_speech  # a detector without new phrases needs none

        if not 0 < fa_per_hour < float("inf"):
            raise InputError(f"fa_per_hour is {fa_per_hour}, not a rate above 0")
        speech = required_speech(self.model)
        added = self.with_keywords(phrases).keywords[len(self.keywords) :]
        found = calibrated(speech, self.info, added, fa_per_hour)
        keywords = [*self.keywords, *(phrase.keyword for phrase in found)]
        return self._with(keywords)

    def with_threshold(self, threshold: float) -> Detector:
        """A detector with one threshold, in (0, 1], for every keyword."""
        changed = [replace(keyword, threshold=threshold, calibration=None) for keyword in self.keywords]
        return self._with(changed)

    def said_after_pause(self) -> Detector:
        """A detector that hears a phrase only after half a second of quiet, and not in
        the middle of a sentence (see pause_before.py for what is quiet).
        """
        return Detector(self.model, self.keywords, verify=self.second_pass is not None, after_pause=True)

    def _with(self, keywords: Sequence[Keyword]) -> Detector:
        """This detector with other keywords."""
        verify = self.second_pass is not None
        return Detector(self.model, keywords, verify=verify, after_pause=self.after_pause)

    def stream(self, sample_rate: int = units.SAMPLE_RATE, *, gate: bool = False) -> Stream:
        """A fresh stream of samples at sample_rate Hz; rates other than 16 kHz need
        soxr (the extra `audio`).

        gate: the model sleeps while it is quiet (see gate.py), which costs next to
        nothing.
        """
        return Stream(self, sample_rate, self._new_gate() if gate else None)

    def streams(self, *, gate: bool = False) -> Streams:
        """An empty set of streams, which streams join and leave (`Streams.join`). Their
        chunks run through the model together, which costs less than one by one. gate:
        as of `stream`, for each.
        """
        return Streams(self, self._new_gate if gate else None)

    def _new_gate(self) -> Gate:
        """A fresh gate, for one stream."""
        hold = 0 if self.second_pass is None else self.second_pass.info.hold_frames
        return Gate(self.info.chunk_samples, quiet_chunks(self.info, self.scorer.longest_gap, hold))

    def new_pause_before(self) -> PauseBefore | None:
        """The filter of one stream for phrases that must follow a pause; None for a
        detector that hears phrases anywhere.
        """
        if not self.after_pause:
            return None
        hold = 0 if self.second_pass is None else self.second_pass.info.hold_frames
        spelled = [one for keyword in self.keywords for one in keyword.spelled.items()]
        longest = max((self.info.scoring.longest_frames(*one) for one in spelled), default=0)
        least = min([LEAST, *(keyword.threshold for keyword in self.keywords)])
        return PauseBefore(self.info.frame_samples, longest + hold, least)

    def detections(
        self,
        fired: Sequence[tuple[int, int]],
        scores: NDArray[np.float64],
        ages: NDArray[np.int64],
        first_frame: int,
    ) -> list[Detection]:
        """The detections of the events that `Trigger.run` found, as pairs (row,
        keyword), in scores and ages (T, K) of the frames from number `first_frame` on.
        """
        frame_samples = self.info.frame_samples
        return [
            Detection(
                keyword=self.keywords[keyword].name,
                score=float(scores[row, keyword]),
                start=(first_frame + row + 1 - int(ages[row, keyword])) * frame_samples,
                end=(first_frame + row + 1) * frame_samples,
            )
            for row, keyword in fired
        ]


def _texts(phrases: Iterable[object]) -> list[str]:
    """The phrases, if all are text; InputError otherwise."""
    texts = list(phrases)
    for phrase in texts:
        if not isinstance(phrase, str):
            raise InputError(f"a phrase is text such as 'good morning' or 'zorgo=Z AO R G OW', not {phrase!r}")
    return [str(phrase) for phrase in texts]
