"""The verifier: the second pass of a trigger, which hears a whole segment at once.

Log-mel energies of the last seconds in, the log-odds of each word and the CTC
log-posteriors of tokens out. Its mixers see the whole segment, before and after each
frame (Adya et al. 2020, "Hybrid Transformer/CTC networks for hardware efficient voice
triggering", arXiv 2008.02323: self-attention in the second pass; the branch for whole
phrases is that of Sigtia et al. 2020, arXiv 2001.09519).

Shapes: B segments, F hops of 10 ms, M mel bands, T = F / 4 frames of 40 ms,
D width, V tokens, W words.
"""

import itertools
from typing import cast

import torch
from torch import Tensor, nn

from kws.errors import KwsError
from kws.model.config import VerifierConfig
from kws.model.encoder import Block, Subsampling
from kws.model.frontend import FLOOR
from kws.model.level import raised_segments
from kws.model.mixers import MixerConfig, SegmentMixer, make_mixer, parse_pattern
from kws.units import HOP_SAMPLES

_BLANK_BIAS = 3.0
_RARE = -2.0  # of the log-odds: most segments hold no word
LEAD_SAMPLES = 2 * HOP_SAMPLES  # before a segment of sound: the first frame's window reaches so far back


class Verifier(nn.Module):
    """(B, F, M) log-mel energies -> (B, W) log-odds and (B, T, V) log-posteriors.

    Each word looks at the frames by attention weights of its own, and its log-odds are
    a linear function of the frames' weighted mean. Raises KwsError for a mixer that
    does not hear whole segments.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: VerifierConfig) -> None:
        super().__init__()
        self.config = config
        self.subsampling = Subsampling(config.mels, config.channels, config.width)
        shape = MixerConfig(config.width, config.heads, config.window_frames)
        count = config.blocks + config.word_blocks
        specs = itertools.islice(itertools.cycle(parse_pattern(config.mixer)), count)
        mixers = [make_mixer(spec, shape) for spec in specs]
        if not all(isinstance(mixer, SegmentMixer) for mixer in mixers):
            raise KwsError(f"the mixer {config.mixer} does not hear whole segments: take xsa+full, sa+full or bilstm")
        blocks = [Block(mixer, config.width, config.expansion, config.kernel, config.dropout) for mixer in mixers]
        self.blocks = nn.ModuleList(blocks[: config.blocks])
        self.word_blocks = nn.ModuleList(blocks[config.blocks :])
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, len(config.tokens))
        nn.init.constant_(self.head.bias[:1], _BLANK_BIAS)
        self.look = nn.Linear(config.width, len(config.words))
        self.word = nn.Parameter(0.05 * torch.randn(len(config.words), config.width))
        self.rarity = nn.Parameter(torch.full((len(config.words),), _RARE))
        self.register_buffer("mean", torch.zeros(config.mels))
        self.register_buffer("scale", torch.ones(config.mels))

    @property
    def silence(self) -> float:
        """The log-mel energy of digital silence."""
        return float(torch.log(torch.tensor(FLOOR)))

    def set_normalisation(self, mean: Tensor, deviation: Tensor) -> None:
        """Per-band mean and standard deviation of training data, (M,) each."""
        self.mean.copy_(mean)
        self.scale.copy_(1 / deviation)

    def hidden(self, features: Tensor) -> Tensor:
        """(B, F, M) -> (B, T, D), the input of the heads."""
        return self.encode(self.normalised(features))

    def normalised(self, features: Tensor) -> Tensor:
        """Log-mel energies (B, F, M), those of quiet segments raised, by the model's
        global constants.
        """
        return (raised_segments(features) - self.mean) * self.scale

    def encode(self, normalised: Tensor) -> Tensor:
        """(B, F, M) normalised features -> (B, T, D)."""
        x, _ = self.subsampling(normalised, self.subsampling.init_state(len(normalised)))
        return self.norm(_through(self.blocks, x))

    def log_odds(self, hidden: Tensor) -> Tensor:
        """(B, T, D) -> (B, W), natural logarithms of P(word) / P(no such word)."""
        hidden = _through(self.word_blocks, hidden)
        weights = torch.softmax(self.look(hidden), dim=1)
        pooled = weights.transpose(1, 2) @ hidden
        return (pooled * self.word).sum(-1) + self.rarity

    def log_posteriors(self, hidden: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V)."""
        return torch.log_softmax(self.head(hidden), dim=-1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(features)
        return self.log_odds(hidden), self.log_posteriors(hidden)


def _through(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """(B, T, D) through blocks that hear whole segments."""
    lengths = torch.full((len(x),), x.shape[1], device=x.device)
    for block in cast("list[Block]", list(blocks)):
        x = block.segment(x, lengths)
    return x
