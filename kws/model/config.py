"""The shape of an acoustic model, as plain values that can be read without torch."""

from dataclasses import asdict, dataclass
from typing import Any

from kws.lexicon import TOKENS


@dataclass(frozen=True)
class AcousticConfig:
    """Everything that the shape of a model depends on.

    mixer: a pattern of kws.model.mixers, dealt to the blocks in turn: `xsa`, `sa+full`,
    `xsa,static`, `FILE.py:CLASS`. width: D, of the blocks' inputs and outputs. blocks:
    how many. heads: of attention. window_frames: what an attention layer sees, in
    frames of 40 ms, the same in training, evaluation, streaming and export. expansion:
    the feed-forward's hidden width in units of D. kernel: of the convolution in the
    feed-forward, in frames. channels: of the first convolution of the subsampling.
    mels: mel bands. follow_level: whether quiet sound is raised first
    (kws.model.level). extend_band: whether bands that a telephone cuts off are filled
    (kws.model.upper_bands). tokens: what the head tells apart, blank first. phrases:
    how many whole phrases a second head tells apart
    (`AcousticModel.whole_with_phrases`); 0 is no such head.
    """

    mixer: str = "xsa"
    width: int = 128
    blocks: int = 3
    heads: int = 4
    window_frames: int = 32
    expansion: int = 2
    kernel: int = 5
    channels: int = 96
    mels: int = 40
    follow_level: bool = False
    extend_band: bool = False
    dropout: float = 0.1
    tokens: tuple[str, ...] = TOKENS
    phrases: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"tokens": list(self.tokens)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "AcousticConfig":
        return cls(**values | {"tokens": tuple(values["tokens"])})


@dataclass(frozen=True)
class VerifierConfig:
    """Everything that the shape of a verifier depends on; what is not said here is as
    in AcousticConfig.

    mixer: of segments, such as `xsa+full`. words: the keywords that it tells apart.
    segment_frames: hops of 10 ms that it hears at once. word_blocks: blocks behind the
    others that serve the words alone, not phones.
    """

    words: tuple[str, ...]
    mixer: str = "xsa+full"
    width: int = 96
    blocks: int = 4
    heads: int = 4
    window_frames: int = 32
    expansion: int = 2
    kernel: int = 5
    channels: int = 96
    mels: int = 40
    dropout: float = 0.1
    tokens: tuple[str, ...] = TOKENS
    segment_frames: int = 200
    word_blocks: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"tokens": list(self.tokens), "words": list(self.words)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "VerifierConfig":
        return cls(**values | {"tokens": tuple(values["tokens"]), "words": tuple(values["words"])})
