"""The diagnosis of one attempt of a keyword: its path phone by phone, and the phones or
gaps that cost it the score.

The log of a score is (sum of the LLRs of labels and of the blanks before them + peak
weight x sum of the labels' best log-posteriors) / labels (decoding/scorer.py). So each
part of a path has a share in the score, and the score that the path would have with
some parts perfect is known without running the model again.

T frames of an excerpt, V tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kws.arrays import Float64Array
from kws.decoding.scorer import Path, best_path
from kws.decoding.temperature import sharpened
from kws.lexicon import PHONES, Spelling
from kws.lexicon.borders import Borders
from kws.metadata import Keyword, ModelInfo
from kws.runtime.detector import Detector
from kws.runtime.explain.search import LENIENCE, Attempt, Excerpt, Verdict, limit
from kws.runtime.explain.sound import level_db

Cause = Literal["fired", "refractory", "refused", "too long", "gap", "phones", "nothing like it"]

CLEAR = 0.5  # the posterior from which on a phone was heard

_ASIDE_FRAMES = 4  # where a phone of the best path may stand that belongs to the keyword's first or last one
_RIVAL = 0.2  # the posterior from which on something else was heard
_FEWEST_PHONES = 3  # of a spelling that is proposed: anything shorter is heard everywhere
_FEWEST, _ALIKE = 0.6, 0.6  # its length, in phones of the usual spelling, and its likeness to that (difflib's ratio)
_FLOOR = 1e-12


class Phone(NamedTuple):
    """One label of a path, and the blanks before it.

    start, end: its frames since the stream began, `end` not included. best: the highest
    posterior in its frames. peak: the log-posterior that counts for the score, which
    the model's temperature softens. llr, gap_llr: the LLR of its frames, and of the
    blanks before it. gap: the number of these blanks. rival, rival_best: the token that
    the model heard most there besides the label, and its posterior; the rival's name is
    None where it was heard little, or less than the label.
    """

    name: str
    start: int
    end: int
    best: float
    peak: float
    llr: float
    gap: int
    gap_llr: float
    rival: str | None
    rival_best: float


class HeardPhone(NamedTuple):
    """A token of the best path, the frame in which it begins and its highest
    posterior.
    """

    name: str
    frame: int
    best: float


class Proposal(NamedTuple):
    """Another spelling, and the score that it reaches here."""

    spelling: Spelling
    score: float


@dataclass(frozen=True)
class Diagnosis:
    """An attempt explained.

    column: the keyword's place among all keywords.
    score: of the path, which covers the frames [start, frame]. limit: what that score
        is held against, the threshold or the floor of a first pass.
    verdict: of the verifier; None where it was not asked, or where there is none.
    decided: the frame in which the attempt is decided, later than `frame` where there
        is a verdict.
    phones: one for each label of `spelling`. places: as in `scorer.Path`.
    heard: the best path of the excerpt. heard_near: its part around the attempt.
    lacking, extra_sounds: the smallest set of labels, and of gaps before labels, that
        would have to be perfect for the score to reach the threshold; worst first.
    score_if_perfect: the score if they were.
    event: the frame of an earlier event whose refractory time silenced this attempt.
    peak: (score, frame), the highest score from `frame` on until the keyword may fire
        again, of the pass whose path this is.
    level_db: level of the loudest 20 ms of the stretch, in dB of full scale.
    """

    keyword: Keyword
    column: int
    cause: Cause
    score: float
    limit: float
    verdict: Verdict | None
    start: int
    frame: int
    decided: int
    phones: tuple[Phone, ...]
    places: NDArray[np.int64]
    heard: tuple[HeardPhone, ...]
    lacking: tuple[int, ...]
    extra_sounds: tuple[int, ...]
    score_if_perfect: float
    event: int | None
    peak: tuple[float, int]
    level_db: float
    proposal: Proposal | None
    excerpt: Excerpt | None

    @property
    def spelling(self) -> Spelling:
        """The spelling that fits best."""
        return tuple(phone.name for phone in self.phones)

    @property
    def borders(self) -> Borders:
        """After how many labels of the spelling a word ends."""
        return self.keyword.spelled[self.spelling]

    @property
    def fired(self) -> bool:
        """Whether the attempt is an event."""
        return self.cause == "fired"

    @property
    def heard_near(self) -> tuple[HeardPhone, ...]:
        """The phones that were heard from a little before the path to a little after
        it.
        """
        begin, end = self.start - _ASIDE_FRAMES, self.frame + _ASIDE_FRAMES
        return tuple(token for token in self.heard if begin <= token.frame <= end)

    @property
    def gap(self) -> int:
        """The longest run of blanks in the path, in frames."""
        return max(phone.gap for phone in self.phones)


def tell(
    detector: Detector,
    attempt: Attempt,
    excerpt: Excerpt,
    slow: bool,
    events: list[Attempt],
    verdict: Verdict | None = None,
) -> Diagnosis:
    """The diagnosis of an attempt. slow: the attempt needs the longer limits of
    `Search`. events: those of the stream so far. verdict: of the verifier, where it was
    asked.
    """
    info, scoring, keyword = detector.info, detector.info.scoring, detector.keywords[attempt.keyword]
    spelled = [k.spelled for k in detector.keywords]
    scorer = scoring.scorer(info.tokens, spelled, LENIENCE if slow else 1)
    rows = slice(0, attempt.frame + 1 - excerpt.first_frame)
    state = excerpt.lenient if slow else excerpt.strict
    path = scorer.trace(excerpt.log_posteriors[rows], attempt.keyword, state)
    assert path is not None, "an attempt has a path"
    spelling = [one for own in spelled for one in own][path.spelling]
    posteriors = posteriors_of(excerpt, info)
    phones = phones_of(path, spelling, posteriors[rows], info.tokens, excerpt.first_frame)
    least = limit(detector, attempt.keyword)
    lacking, extra_sounds, score_if_perfect = parts_lacking(phones, scoring.peak_weight, least)
    longest = scoring.longest_frames(spelling, keyword.spelled[spelling])
    cause = _outcome(attempt, attempt in events, slow, longest, least, verdict) or _failing(phones, lacking)
    stretch = slice(*((f - excerpt.first_frame) * info.frame_samples for f in (attempt.start, attempt.frame + 1)))
    held = 0 if verdict is None or info.verifier is None else info.verifier.hold_frames
    return Diagnosis(
        keyword,
        attempt.keyword,
        cause,
        attempt.score,
        least,
        verdict,
        attempt.start,
        attempt.frame,
        attempt.frame + held,
        phones,
        path.places,
        heard_in(excerpt, posteriors, info.tokens),
        lacking,
        extra_sounds,
        score_if_perfect,
        _event_before(attempt, events) if cause == "refractory" else None,
        _peak(attempt, excerpt, scoring.refractory_frames),
        level_db(excerpt.samples[stretch]),
        None,
        excerpt,
    )


def _outcome(
    attempt: Attempt, fired: bool, slow: bool, longest_frames: int, least: float, verdict: Verdict | None
) -> Cause | None:
    """The cause that is not in the phones; None where it is."""
    if fired:
        return "fired"
    if slow:
        return "too long" if attempt.age > longest_frames else "gap"
    if verdict is not None and not verdict.accepted:
        return "refused"
    return "refractory" if attempt.score >= least else None


def _failing(phones: tuple[Phone, ...], lacking: tuple[int, ...]) -> Cause:
    """Whether some phones failed, or nearly all."""
    unclear = sum(phone.best < CLEAR for phone in phones)
    return "nothing like it" if 2 * min(unclear, len(lacking)) >= len(phones) else "phones"


def _event_before(attempt: Attempt, events: list[Attempt]) -> int | None:
    """The frame of the keyword's last event before the attempt."""
    return next((e.frame for e in reversed(events) if e.keyword == attempt.keyword and e.frame <= attempt.frame), None)


def posteriors_of(excerpt: Excerpt, info: ModelInfo) -> Float64Array:
    """(T, V): what the model heard, without what softens its scores."""
    return np.exp(sharpened(excerpt.log_posteriors.astype(np.float64), info.temperature, info.blank_discount))


def phones_of(
    path: Path, spelling: Spelling, posteriors: Float64Array, tokens: tuple[str, ...], first_frame: int
) -> tuple[Phone, ...]:
    """The labels of a path that ends with the last of the excerpt's frames, whose
    posteriors are (T, V), the first being `first_frame`.
    """
    start = first_frame + len(posteriors) - len(path.places)
    posteriors = posteriors[-len(path.places) :]
    costs = np.diff(path.llr, prepend=0.0)
    spans = [np.flatnonzero(path.places == 2 * label) for label in range(len(spelling))]
    found = []
    for label, (name, span) in enumerate(zip(spelling, spans, strict=True)):
        blanks = path.places == 2 * label - 1
        around = slice(
            spans[label - 1][-1] + 1 if label else 0, spans[label + 1][0] if label + 1 < len(spans) else None
        )
        others = posteriors[around].max(axis=0)
        others[[0, *(tokens.index(spelling[n]) for n in range(max(0, label - 1), min(len(spans), label + 2)))]] = 0.0
        best = float(posteriors[span, tokens.index(name)].max())
        found.append(
            Phone(
                name,
                start + int(span[0]),
                start + int(span[-1]) + 1,
                best,
                float(path.peaks[span[-1]]),
                float(costs[span].sum()),
                int(blanks.sum()),
                float(costs[blanks].sum()),
                tokens[int(others.argmax())] if others.max() >= max(_RIVAL, best) else None,
                float(others.max()),
            )
        )
    return tuple(found)


def parts_lacking(
    phones: tuple[Phone, ...], peak_weight: float, threshold: float
) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """The fewest labels and gaps that must be perfect for the threshold to be reached,
    and the score with them so.
    """
    losses = [(phone.llr + peak_weight * phone.peak, label, True) for label, phone in enumerate(phones)]
    losses += [(phone.gap_llr, label, False) for label, phone in enumerate(phones)]
    log = sum(loss for loss, _, _ in losses)
    lacking: list[int] = []
    extra_sounds: list[int] = []
    for loss, label, is_label in sorted(losses):
        if log / len(phones) >= math.log(threshold) - _FLOOR:
            break
        (lacking if is_label else extra_sounds).append(label)
        log -= loss
    return tuple(lacking), tuple(extra_sounds), math.exp(min(0.0, log / len(phones)))


def heard_in(excerpt: Excerpt, posteriors: Float64Array, tokens: tuple[str, ...]) -> tuple[HeardPhone, ...]:
    """The phones that the model heard in an excerpt, whatever the keyword: its greedy
    path.
    """
    found = best_path(excerpt.log_posteriors)
    ends = [*(begin for _, begin in found), len(excerpt.log_posteriors)][1:]
    heard = []
    for (token, begin), end in zip(found, ends, strict=False):
        best = float(posteriors[begin:end, token].max())
        heard.append(HeardPhone(tokens[token], begin + excerpt.first_frame, best))
    return tuple(heard)


def _peak(attempt: Attempt, excerpt: Excerpt, refractory_frames: int) -> tuple[float, int]:
    """(score, frame) of the peak, were the attempt an event."""
    row = attempt.frame - excerpt.first_frame
    scores = excerpt.scores[row : row + max(1, refractory_frames), attempt.keyword]
    best = int(scores.argmax())
    return max(float(scores[best]), attempt.score), attempt.frame + best


def propose(detector: Detector, diagnosis: Diagnosis) -> Proposal | None:
    """A spelling nearer to what was heard that would fire here as a phrase of the
    user's own, if there is one.
    """
    excerpt = diagnosis.excerpt
    if excerpt is None or diagnosis.cause != "phones":
        return None
    changed = list(diagnosis.spelling)
    for label in diagnosis.lacking:
        changed[label] = diagnosis.phones[label].rival or ""
    candidates = [tuple(filter(None, changed)), tuple(token.name for token in diagnosis.heard_near)]
    scoring = detector.info.scoring
    border = diagnosis.frame + 1 + _ASIDE_FRAMES - excerpt.first_frame
    for spelling in dict.fromkeys(candidates):
        sayable = set(spelling) <= set(PHONES) and len(spelling) >= max(_FEWEST_PHONES, _FEWEST * len(diagnosis.phones))
        alike = SequenceMatcher(None, spelling, diagnosis.spelling, autojunk=False).ratio() >= _ALIKE
        if spelling in diagnosis.keyword.spellings or not (sayable and alike):
            continue
        scorer = scoring.scorer(detector.info.tokens, [[spelling]])
        scores, _, _ = scorer.score(excerpt.log_posteriors[:border])
        score = float(scores[diagnosis.start - excerpt.first_frame :].max())
        if score >= scoring.default_threshold:
            return Proposal(spelling, score)
    return None
