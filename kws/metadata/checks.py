"""Checks a model info: its parts must fit each other, and no model may be larger than
any real one. It is refused before memory is asked for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kws.controls import escaped
from kws.decoding.temperature import is_discount, is_temperature
from kws.jsonable import demand
from kws.lexicon import BLANK
from kws.units import SAMPLE_RATE

if TYPE_CHECKING:
    from kws.metadata import Keyword, ModelInfo, ScorerConfig, StateSpec, VerifierInfo

# Far beyond any model.
_MOST_CALL_S = 60
_MOST_VALUES = 2**24
_MOST_SPELLINGS = 10_000
_MOST_FRAMES = 1_000_000


def check(info: ModelInfo) -> None:
    """Raise KwsError for the first part of a model info that does not fit the
    others.
    """
    _check_clock(info)
    _check_tokens(info)
    _check_states(info.states)
    _check_scoring(info.scoring)
    if info.verifier is not None:
        _check_verifier(info.verifier, info.frame_samples)
    _check_size(info)
    names = [keyword.name for keyword in info.keywords]
    demand(len(set(names)) == len(names), "two keywords have the same name")
    for keyword in info.keywords:
        check_keyword(info, keyword)
    temperature = info.training.config.get("temperature", 1.0)
    demand(is_temperature(temperature), f"its temperature, {temperature!r}, divides no logits")
    discount = info.training.config.get("blank_discount", 0.0)
    demand(is_discount(discount), f"its blank_discount, {discount!r}, is none")


def check_keyword(info: ModelInfo, keyword: Keyword) -> None:
    """Raise KwsError unless the model's tokens can spell the keyword and its threshold
    makes sense.
    """
    known = set(info.tokens[1:])
    demand(bool(keyword.name.strip()), "a keyword has no name")
    _check_name(keyword.name)
    spelled = bool(keyword.spellings) and all(keyword.spellings)
    demand(spelled, f"keyword '{keyword.name}' has no spelling")
    strange = ", ".join(sorted({token for spelling in keyword.spellings for token in spelling} - known))
    demand(not strange, f"keyword '{keyword.name}' is spelled with unknown tokens: {strange}")
    demand(_fit(keyword), f"the words of keyword '{keyword.name}' end where its spellings do not")
    demand(0 < keyword.threshold <= 1, f"the threshold of '{keyword.name}' is not in (0, 1]")
    calibration = keyword.calibration
    if calibration is not None:
        counts = (calibration.fa_per_hour, calibration.false_accepts, calibration.hours)
        demand(min(counts) >= 0, f"the calibration of '{keyword.name}' has a negative count")


def _check_name(name: str) -> None:
    """Refuses what a terminal, a page or another program may take for a command."""
    demand(escaped(name) == name, f"the name '{escaped(name)}' has control characters")


def _fit(keyword: Keyword) -> bool:
    """Whether the borders belong to the spellings."""
    pairs = zip(keyword.spellings, keyword.borders, strict=False)
    inside = all(list(own) == sorted(set(own) & set(range(1, len(spelling)))) for spelling, own in pairs)
    return inside and len(keyword.borders) in (0, len(keyword.spellings))


def _check_clock(info: ModelInfo) -> None:
    demand(bool(info.name), "name is empty")
    _check_name(info.name)
    demand(info.sample_rate == SAMPLE_RATE, f"sample_rate is {info.sample_rate}, not {SAMPLE_RATE}")
    demand(info.frame_samples > 0 and info.frames_per_chunk > 0, "a frame or a chunk is empty")
    whole = info.frame_samples * info.frames_per_chunk
    demand(info.chunk_samples == whole, "chunk_samples is not frame_samples x frames_per_chunk")
    demand(info.chunks_per_call > 0, "a call takes no chunk")
    demand(info.parameters >= 0, "parameters is negative")


def _check_size(info: ModelInfo) -> None:
    """Refuses sizes far beyond any model, before memory is asked for them."""
    demand(info.chunk_samples * info.chunks_per_call <= _MOST_CALL_S * info.sample_rate, "a call takes too many chunks")
    states = sum(math.prod(state.shape) for state in info.states)
    demand(states <= _MOST_VALUES, f"the states have {states} values")
    spellings = [spelling for keyword in info.keywords for spelling in keyword.spellings]
    demand(len(spellings) <= _MOST_SPELLINGS, f"the keywords have {len(spellings)} spellings")
    demand(sum(map(len, spellings)) <= 10 * _MOST_SPELLINGS, "the spellings of the keywords are too long")
    scoring, verifier = info.scoring, info.verifier
    counts = [scoring.max_duration_frames, scoring.max_gap_frames, scoring.refractory_frames]
    if verifier is not None:
        counts.append(verifier.hold_frames)
        segment = verifier.segment_frames * verifier.mels
        demand(segment <= _MOST_VALUES, f"the verifier hears {segment} values at once")
    demand(max(counts) <= _MOST_FRAMES, f"something takes {max(counts)} frames")


def _check_tokens(info: ModelInfo) -> None:
    tokens = info.tokens
    demand(tokens[:1] == (BLANK,), f"token 0 is not {BLANK}")
    demand(len(tokens) > 1 and all(tokens), "tokens are missing or empty")
    demand(len(set(tokens)) == len(tokens), "a token stands twice")
    for token in tokens:
        _check_name(token)


def _check_states(states: tuple[StateSpec, ...]) -> None:
    names = [state.name for state in states]
    demand(len(set(names)) == len(names) and all(names), "state names are empty or stand twice")
    own = {"pcm", "log_posteriors", "features"}
    demand(not own & set(names), "a state is named like the sound, the features or the posteriors")
    for state in states:
        demand(state.dtype in ("float32", "int64"), f"state '{state.name}' has dtype '{state.dtype}'")
        demand(all(size > 0 for size in state.shape), f"state '{state.name}' has an empty axis")


def _check_verifier(verifier: VerifierInfo, frame_samples: int) -> None:
    per_frame = 100 * frame_samples // SAMPLE_RATE
    demand(verifier.mels > 0, "the verifier hears no mel band")
    demand(per_frame > 0 and verifier.segment_frames > 0, "the verifier hears no frame")
    demand(verifier.segment_frames % max(1, per_frame) == 0, "the verifier's segment is not a whole number of frames")
    demand(len(set(verifier.words)) == len(verifier.words), "a word of the verifier stands twice")
    demand(0 < verifier.floor < 1, "the verifier's floor is not in (0, 1)")
    demand(verifier.hold_frames >= 0, "the verifier's hold_frames is negative")
    demand(verifier.first_pass_weight >= 0, "the verifier's first_pass_weight is negative")


def _check_scoring(scoring: ScorerConfig) -> None:
    demand(scoring.peak_weight >= 0, "peak_weight is negative")
    demand(scoring.max_duration_frames > 0, "max_duration_frames is not positive")
    demand(scoring.max_gap_frames >= 0, "max_gap_frames is negative")
    demand(scoring.refractory_frames >= 0, "refractory_frames is negative")
    demand(0 < scoring.default_threshold <= 1, "default_threshold is not in (0, 1]")
