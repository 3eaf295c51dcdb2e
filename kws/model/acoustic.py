"""The acoustic model: PCM in, CTC log-posteriors over tokens out.

Shapes: B batch, S samples, T frames of 40 ms, V tokens (blank first).
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from kws.errors import KwsError
from kws.lexicon import TOKENS
from kws.model.encoder import Block, Subsampling
from kws.model.frontend import HOP_SAMPLES, WINDOW_SAMPLES, LogMel
from kws.model.mixers import MixerConfig, is_streaming, make_mixer
from kws.model.streaming import State, StreamingLayer

_BLANK_BIAS = 3.0  # most frames are blank: saying so from the start saves the first hundred steps of CTC


@dataclass(frozen=True)
class AcousticConfig:
    """Everything that the shape of a model depends on.

    mixer: a name of kws.model.mixers. kernel: of the convolution in the feed-forward, in frames. window_frames: what
    an attention layer sees, in 40 ms frames, the same in training, evaluation, streaming and export.
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
    dropout: float = 0.1
    tokens: tuple[str, ...] = TOKENS

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"tokens": list(self.tokens)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "AcousticConfig":
        return cls(**values | {"tokens": tuple(values["tokens"])})


class AcousticState(NamedTuple):
    """State of an acoustic model: one part per layer."""

    frontend: State
    subsampling: State
    blocks: tuple[State, ...]


class AcousticModel(StreamingLayer):
    """(B, S) PCM, S a multiple of 640 -> (B, S / 640, V) log-posteriors.

    With a segment mixer only `whole` works. `mean` and `scale` normalise the mel bands; they are global constants
    that `set_normalisation` takes from training data.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        self.streaming = is_streaming(config.mixer)
        self.frontend = LogMel(config.mels)
        self.subsampling = Subsampling(config.mels, config.channels, config.width)
        mixers = MixerConfig(config.width, config.heads, config.window_frames)
        self.blocks = nn.ModuleList(
            Block(
                make_mixer(config.mixer, mixers),
                config.width,
                config.expansion,
                config.kernel,
                config.dropout,
            )
            for _ in range(config.blocks)
        )
        self.head_norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, len(config.tokens))
        nn.init.constant_(self.head.bias[:1], _BLANK_BIAS)
        self.register_buffer("mean", torch.zeros(config.mels))
        self.register_buffer("scale", torch.ones(config.mels))
        self.stride = self.frontend.stride * self.subsampling.stride
        self.look_back = self._look_back_samples()

    def _look_back_samples(self) -> int | None:
        frames = 0
        for block in self._blocks():
            if not self.streaming or block.mixer.look_back is None:
                return None
            frames += block.mixer.look_back + block.feed_forward.past
        mel_frames = frames * self.subsampling.stride + self.subsampling.past
        return mel_frames * self.frontend.stride + WINDOW_SAMPLES - HOP_SAMPLES

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))

    def set_normalisation(self, mean: Tensor, deviation: Tensor) -> None:
        """Per-band mean and standard deviation of the log-mel energies of training data, (M,) each."""
        self.mean.copy_(mean)
        self.scale.copy_(1 / deviation)

    def init_state(self, batch: int) -> AcousticState:
        if not self.streaming:
            raise KwsError(f"the mixer {self.config.mixer} sees whole segments: a model with it cannot stream")
        return AcousticState(
            self.frontend.init_state(batch),
            self.subsampling.init_state(batch),
            tuple(block.init_state(batch) for block in self._blocks()),
        )

    def features(self, pcm: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, S) PCM -> (B, S / 160, M) normalised log-mel energies."""
        mel, state = self.frontend(pcm, state)
        return (mel - self.mean) * self.scale, state

    def forward(self, x: Tensor, state: AcousticState) -> tuple[Tensor, AcousticState]:
        mel, frontend = self.features(x, state.frontend)
        y, encoder = self.encode(mel, state)
        return y, encoder._replace(frontend=frontend)

    def encode(self, mel: Tensor, state: AcousticState) -> tuple[Tensor, AcousticState]:
        """(B, 4 T, M) normalised mel -> (B, T, V) log-posteriors; the frontend's state passes through."""
        x, subsampling = self.subsampling(mel, state.subsampling)
        states = []
        for block, block_state in zip(self._blocks(), state.blocks, strict=True):
            x, after = block.stream(x, block_state)
            states.append(after)
        return self._posteriors(x), AcousticState(state.frontend, subsampling, tuple(states))

    def encode_segment(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """(B, 4 T, M) normalised mel, valid frames of 40 ms (B,) -> (B, T, V): for segment mixers."""
        x, _ = self.subsampling(mel, self.subsampling.init_state(mel.shape[0]))
        for block in self._blocks():
            x = block.segment(x, lengths)
        return self._posteriors(x)

    def whole(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """Log-posteriors of whole utterances from normalised mel, whichever kind the mixer is."""
        if self.streaming:
            return self.encode(mel, self.init_state(mel.shape[0]))[0]
        return self.encode_segment(mel, lengths)

    def _posteriors(self, x: Tensor) -> Tensor:
        logits = self.head(self.head_norm(x))
        return torch.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))


def parameter_count(module: nn.Module) -> int:
    """Trainable scalars of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
