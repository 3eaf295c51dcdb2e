"""The model info: what a model file says about itself, as JSON in its metadata.

One `.onnx` file is the whole product, so nothing that running needs is said anywhere
else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any

from kws.decoding.scorer import PAUSE_FRAMES, KeywordScorer, longest_path
from kws.errors import KwsError
from kws.jsonable import decode, demand
from kws.lexicon.borders import Borders, Spelled, with_borders
from kws.metadata.checks import check, check_keyword

SCHEMA = 2  # raised when an older kws would misread the file; added fields do not need that
ONE_PASS_SCHEMA = 1  # of files without a verifier, which an older kws reads as well
METADATA_KEY = "kws.manifest"  # of the model info; the key is older than that name, and shipped files have it
VERIFIER_KEY = "kws.verifier"  # the verifier's own ONNX file, in base64


@dataclass(frozen=True)
class StateSpec:
    """One state tensor of the graph: input `name`, output "next." + `name`; zeros in a
    fresh stream.
    """

    name: str
    shape: tuple[int, ...]  # without the batch axis
    dtype: str  # "float32" or "int64"


@dataclass(frozen=True)
class Calibration:
    """The basis of a threshold: false accepts counted in hours of the data named."""

    fa_per_hour: float
    false_accepts: int
    hours: float
    data: str


@dataclass(frozen=True)
class Keyword:
    """A phrase that the model hears: its spellings in tokens and the score at which it
    fires.

    borders: of each spelling after how many tokens a word ends, where a speaker may
    pause; empty where that is not known.
    """

    name: str
    spellings: tuple[tuple[str, ...], ...]
    threshold: float
    calibration: Calibration | None = None
    borders: tuple[Borders, ...] = ()

    @classmethod
    def of(cls, name: str, spellings: Iterable[Sequence[str]], threshold: float) -> Keyword:
        """A keyword of these spellings; of their borders too, where `spellings` is a
        mapping to borders (`Spelled`).
        """
        own = with_borders(spellings)
        return cls(name, tuple(own), threshold, borders=tuple(own.values()) if any(own.values()) else ())

    @property
    def spelled(self) -> Spelled:
        """The spellings with their borders."""
        return dict(zip(self.spellings, self.borders or repeat(()), strict=False))


@dataclass(frozen=True)
class ScorerConfig:
    """Constants of the scorer and the trigger (see kws.decoding.scorer and
    kws.decoding.trigger).
    """

    peak_weight: float
    max_duration_frames: int
    max_gap_frames: int
    refractory_frames: int
    default_threshold: float  # of phrases that are added at run time

    @property
    def pause_frames(self) -> int:
        """The longest run of blanks between two words."""
        return max(PAUSE_FRAMES, self.max_gap_frames)

    def longest_frames(self, spelling: Sequence[object], borders: Borders = ()) -> int:
        """How many frames the path of a spelling may cover: max_duration_frames, more
        where the spelling has many labels, and a pause more for each border.
        """
        pauses = len(borders) * (self.pause_frames - self.max_gap_frames)
        return longest_path(len(spelling), self.max_duration_frames) + pauses

    def scorer(
        self, tokens: Sequence[str], spellings: Sequence[Collection[Sequence[str]]], lenience: int = 1
    ) -> KeywordScorer:
        """The scorer of keywords, each given by its spellings in tokens, or by those
        with their borders (`Spelled`).

        lenience: multiplies the limits of duration and gap.
        """
        ids = {token: number for number, token in enumerate(tokens)}
        every = [spelled for own in spellings for spelled in with_borders(own).items()]
        return KeywordScorer(
            [[ids[token] for token in spelling] for spelling, _ in every],
            [keyword for keyword, own in enumerate(spellings) for _ in with_borders(own)],
            peak_weight=self.peak_weight,
            max_duration_frames=[lenience * self.longest_frames(*spelled) for spelled in every],
            max_gap_frames=lenience * self.max_gap_frames,
            borders=[ends for _, ends in every],
            max_pause_frames=lenience * self.pause_frames,
        )


@dataclass(frozen=True)
class DataSource:
    """A corpus that the model was trained on, with what its licence asks to be said."""

    name: str
    licence: str
    attribution: str


@dataclass(frozen=True)
class Training:
    """The training of the weights: its recipe, seed, steps, data and settings."""

    recipe: str
    seed: int
    steps: int
    data: tuple[DataSource, ...]
    config: Mapping[str, Any]


@dataclass(frozen=True)
class VerifierInfo:
    """The second pass of a model file (see kws.runtime.second_pass).

    segment_frames: hops of 10 ms that it hears at once. mels: bands of its features.
    silence: the features of digital silence, which stand before the begin of a stream.
    words: the keywords that it tells apart, in the order of its log-odds. floor: the
    first pass's score from which on it is asked. hold_frames: how many frames after the
    first pass's peak it is asked. first_pass_weight: of the logarithm of the first
    pass's score beside the log-odds. parameters: its trainable scalars, which
    `ModelInfo.parameters` does not count.
    """

    segment_frames: int
    mels: int
    silence: float
    words: tuple[str, ...]
    floor: float
    hold_frames: int
    first_pass_weight: float
    parameters: int


@dataclass(frozen=True)
class ModelInfo:
    """Everything that a model file says about itself. Raises KwsError where the parts
    do not fit.
    """

    schema: int
    name: str
    sample_rate: int  # Hz
    chunk_samples: int  # the least that one call of the graph takes
    frame_samples: int  # one row of log-posteriors
    frames_per_chunk: int
    tokens: tuple[str, ...]  # token 0 is the CTC blank
    states: tuple[StateSpec, ...]
    keywords: tuple[Keyword, ...]
    scoring: ScorerConfig
    training: Training
    parameters: int
    kws_version: str
    commit: str | None = None
    chunks_per_call: int = 1  # the most
    verifier: VerifierInfo | None = None  # of a model with two passes

    def __post_init__(self) -> None:
        schema = ONE_PASS_SCHEMA if self.verifier is None else SCHEMA
        demand(self.schema == schema, f"schema is {self.schema}, not {schema}")
        check(self)

    def check_keyword(self, keyword: Keyword) -> None:
        """Raise KwsError unless the model's tokens can spell the keyword and its
        threshold makes sense.
        """
        check_keyword(self, keyword)

    @property
    def follows_level(self) -> bool:
        """Whether the model raises quiet sound by itself."""
        return any(state.name == "frontend.level" for state in self.states)

    @property
    def temperature(self) -> float:
        """The number by which the model's logits were divided after training, for the
        sake of typed phrases. Whole clips are classified, and speech is stored, by the
        posteriors before.
        """
        return float(self.training.config.get("temperature", 1.0))

    @property
    def blank_discount(self) -> float:
        """What was taken from the blank's logit after that, in nats. Whole clips are
        classified by the posteriors before.
        """
        return float(self.training.config.get("blank_discount", 0.0))

    def to_json(self) -> str:
        """The text for the model's metadata."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelInfo:
        """Read a model info. Raises KwsError with one sentence for anything that
        `to_json` cannot have written.

        Fields unknown to this version are passed over: a later version may add some.
        """
        try:
            data = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise KwsError(f"the model info is not JSON ({error})") from error
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise KwsError(f"the model info has schema {schema} and this kws reads {SCHEMA}: upgrade kws")
        try:
            info = decode(cls, data)
        except KwsError as error:
            raise KwsError(f"the model info is not valid: {error}") from error
        assert isinstance(info, ModelInfo)
        return info


def embed(model: Any, info: ModelInfo, verifier: bytes | None = None) -> None:
    """Put the model info into the metadata of an onnx.ModelProto, in place of an older
    one; and, where one is given, the ONNX file of its verifier.
    """
    _put(model, METADATA_KEY, info.to_json())
    if verifier is not None:
        _put(model, VERIFIER_KEY, base64.b64encode(verifier).decode("ascii"))


def _put(model: Any, key: str, text: str) -> None:
    entries = [entry for entry in model.metadata_props if entry.key == key]
    entry = entries[0] if entries else model.metadata_props.add(key=key)
    entry.value = text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
