"""The acoustic model: PCM in, CTC log-posteriors over tokens out.

Shapes: B batch, S samples, T frames of 40 ms, V tokens (blank first), D width, K
phrases.
"""

import itertools
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from kws.errors import KwsError
from kws.model.config import AcousticConfig
from kws.model.contract import verify
from kws.model.encoder import Block, BlockState, Subsampling, stream_through
from kws.model.level import make_frontend
from kws.model.mixers import MixerConfig, StreamingMixer, is_streaming, make_mixer, parse_pattern
from kws.model.mixers.own import is_own
from kws.model.references import fixed_reference, random_reference
from kws.model.streaming import State, StreamingLayer

_BLANK_BIAS = 3.0  # most frames are blank: saying so from the start saves the first hundred steps of CTC


class AcousticState(NamedTuple):
    """State of an acoustic model: one part per layer."""

    frontend: State
    subsampling: State
    blocks: tuple[BlockState, ...]


class AcousticModel(StreamingLayer):
    """(B, S) PCM, S a multiple of 640 -> (B, S / 640, V) log-posteriors.

    With a segment mixer only `whole` works. `mean` and `scale` normalise the mel bands;
    they are global constants that `set_normalisation` takes from training data.
    """

    mean: Tensor
    scale: Tensor
    random_reference: Tensor | None
    fixed_reference: Tensor | None

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        self.streaming = is_streaming(config.mixer)
        self.frontend = make_frontend(config.mels, follow_level=config.follow_level, extend_band=config.extend_band)
        self.subsampling = Subsampling(config.mels, config.channels, config.width)
        mixers = MixerConfig(config.width, config.heads, config.window_frames)
        specs = itertools.islice(itertools.cycle(parse_pattern(config.mixer)), config.blocks)
        self.blocks = nn.ModuleList(
            Block(make_mixer(spec, mixers), config.width, config.expansion, config.kernel, config.dropout)
            for spec in specs
        )
        self.head_norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, len(config.tokens))
        nn.init.constant_(self.head.bias[:1], _BLANK_BIAS)
        self.phrase_head = nn.Linear(config.width, 1 + config.phrases) if config.phrases else None
        if self.phrase_head is not None:
            nn.init.constant_(self.phrase_head.bias[:1], _BLANK_BIAS)
        self.register_buffer("mean", torch.zeros(config.mels))
        self.register_buffer("scale", torch.ones(config.mels))
        self._make_references()
        self.stride = self.frontend.stride * self.subsampling.stride
        self.look_back = self._look_back_samples()

    @property
    def any_length(self) -> bool:
        """Whether a graph of the model can take any number of frames up to its
        window.
        """
        return all(block.mixer.any_length for block in self._blocks())

    def _look_back_samples(self) -> int | None:
        frames = 0
        for block in self._blocks():
            if not self.streaming or block.mixer.look_back is None:
                return None
            frames += block.mixer.look_back + block.feed_forward.past
        if self.frontend.look_back is None:
            return None
        hops = frames * self.subsampling.stride + self.subsampling.past
        return hops * self.frontend.stride + self.frontend.look_back

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))

    def set_normalisation(self, mean: Tensor, deviation: Tensor) -> None:
        """Per-band mean and standard deviation of the log-mel energies of training
        data, (M,) each.
        """
        self.mean.copy_(mean)
        self.scale.copy_(1 / deviation)

    def _make_references(self) -> None:
        """Buffers for the sequences that mixers read, and only for those."""
        config, reads = self.config, {block.mixer.reads for block in self._blocks()}
        noise = random_reference(config.window_frames, config.width) if "random" in reads else None
        mel = torch.zeros(1, config.window_frames * self.subsampling.stride, config.mels) if "fixed" in reads else None
        self.register_buffer("random_reference", noise)
        self.register_buffer("fixed_reference", mel)

    def set_reference(self, log_mel: Tensor) -> None:
        """Keeps log-mel energies (F, M) of one training utterance, for `fixed` mixers:
        they read its first 4 W hops of 10 ms.

        Nothing happens in a model without such mixers. Raises KwsError where the
        utterance is too short.
        """
        if self.fixed_reference is not None:
            self.fixed_reference.copy_(fixed_reference(log_mel, self.fixed_reference.shape[1]))

    def _references(self) -> dict[str, Tensor]:
        """The sequences (1, W, D) that mixers read, before any block."""
        references = {}
        if self.random_reference is not None:
            references["random"] = self.random_reference
        if self.fixed_reference is not None:
            mel = self.normalised(self.fixed_reference)
            references["fixed"], _ = self.subsampling(mel, self.subsampling.init_state(1))
        return references

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
        return self.normalised(mel), state

    def normalised(self, mel: Tensor) -> Tensor:
        """Log-mel energies (..., M) of the frontend, by the model's global
        constants.
        """
        return (mel - self.mean) * self.scale

    def forward(self, x: Tensor, state: AcousticState) -> tuple[Tensor, AcousticState]:
        mel, frontend = self.features(x, state.frontend)
        y, encoder = self.encode(mel, state)
        return y, encoder._replace(frontend=frontend)

    def encode(self, mel: Tensor, state: AcousticState) -> tuple[Tensor, AcousticState]:
        """(B, 4 T, M) normalised mel -> (B, T, V) log-posteriors; the frontend's state
        passes through.
        """
        hidden, state = self._hidden_stream(mel, state)
        return self.posteriors(hidden), state

    def _hidden_stream(self, mel: Tensor, state: AcousticState) -> tuple[Tensor, AcousticState]:
        x, subsampling = self.subsampling(mel, state.subsampling)
        x, blocks = stream_through(self._blocks(), x, state.blocks, self._references())
        return self.head_norm(x), AcousticState(state.frontend, subsampling, blocks)

    def _hidden_segment(self, mel: Tensor, lengths: Tensor) -> Tensor:
        x, _ = self.subsampling(mel, self.subsampling.init_state(mel.shape[0]))
        for block in self._blocks():
            x = block.segment(x, lengths)
        return self.head_norm(x)

    def hidden(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """(B, 4 T, M) normalised mel of whole utterances, valid frames of 40 ms (B,) ->
        (B, T, D), the input of the heads.

        Frames from `lengths` on are padding and mean nothing.
        """
        if self.streaming:
            return self._hidden_stream(mel, self.init_state(mel.shape[0]))[0]
        return self._hidden_segment(mel, lengths)

    def whole(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """Log-posteriors (B, T, V) of whole utterances as in `hidden`, for streaming
        and for segment mixers.
        """
        return self.posteriors(self.hidden(mel, lengths))

    def whole_with_phrases(self, mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The log-posteriors of `whole`, and those of whole phrases (B, T, 1 + K),
        blank first, from the same pass.

        Raises KwsError where the model has no phrases.
        """
        hidden = self.hidden(mel, lengths)
        return self.posteriors(hidden), self.phrase_posteriors(hidden)

    def posteriors(self, hidden: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V) log-posteriors of tokens, in single precision or
        better.
        """
        return _log_softmax(self.head(hidden))

    def soften(self, temperature: float, blank_discount: float = 0.0) -> None:
        """Divides the logits of tokens by `temperature` from now on (temperature
        scaling: Guo et al. 2017, "On calibration of modern neural networks", arXiv
        1706.04599), and then takes `blank_discount` from the blank's. Both are put into
        the weights.
        """
        with torch.no_grad():
            self.head.weight.div_(temperature)
            self.head.bias.div_(temperature)
            self.head.bias[0] -= blank_discount

    def sharpen(self, temperature: float, blank_discount: float = 0.0) -> None:
        """Undoes `soften`."""
        with torch.no_grad():
            self.head.bias[0] += blank_discount
            self.head.weight.mul_(temperature)
            self.head.bias.mul_(temperature)

    def phrase_posteriors(self, hidden: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, 1 + K) log-posteriors of phrases: the phrase branch of
        Sigtia et al. 2020, "Multi-task learning for voice trigger detection", arXiv
        2001.09519, a linear layer on what the phones are read from.
        """
        if self.phrase_head is None:
            raise KwsError("this model has no phrase branch: train one by a recipe with a phrase_weight")
        return _log_softmax(self.phrase_head(hidden))


def verify_own_mixers(config: AcousticConfig) -> None:
    """Hold the mixers of the user's own (FILE.py:CLASS) in a model of this shape to the
    streaming law.

    Raises KwsError where one cannot be made, and its subclass ContractError where one
    breaks the law.
    """
    shape, frames = MixerConfig(config.width, config.heads, config.window_frames), 2 * config.window_frames + 8
    for spec in parse_pattern(config.mixer):
        if not is_own(spec.base):
            continue
        try:
            mixer = make_mixer(spec, shape)
        except (TypeError, ValueError, RuntimeError) as error:
            raise KwsError(f"the mixer {spec} cannot be made: {type(error).__name__}: {error}") from error
        if isinstance(mixer, StreamingMixer):
            noise = torch.Generator().manual_seed(0)
            x = torch.randn(2, frames, config.width, generator=noise)
            reads = {"": None, "front": x.flip(1)}
            guide = reads.get(mixer.reads, torch.randn(1, config.window_frames, config.width, generator=noise))
            verify(mixer, x, guide)


def _log_softmax(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))


def parameter_count(module: nn.Module) -> int:
    """Trainable scalars of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
