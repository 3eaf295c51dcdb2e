"""An autoregressive decoder that learns beside CTC and is dropped at inference.

It tells each phone of a row from the phones before it and from all that the encoder
heard, so that the encoder is also asked for what a frame-by-frame loss leaves open:
which phones belong together. Adya et al. 2020, "Hybrid Transformer/CTC Networks for
Hardware Efficient Voice Triggering", arXiv 2008.02323, train their voice trigger so,
after the joint loss of Watanabe et al. 2017, "Hybrid CTC/Attention Architecture for
End-to-End Speech Recognition"; the layer is that of Vaswani et al. 2017, normalised
before each part.

Shapes: B rows, T frames of 40 ms, U most tokens of a row, D width, V tokens (blank
first).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kws.errors import KwsError
from kws.model.config import AcousticConfig

EDGE = 0  # CTC's blank, which no transcript holds: here it begins a row where it is read and ends it where it is told
_UNTOLD = -100  # places behind a row's end, in torch's word for targets that count for nothing
_LONGEST_WAVE = 10_000.0  # tokens, over 2 pi: Vaswani et al. 2017


class Decoder(nn.Module):
    """Hidden frames (B, T, D), valid frames (B,), tokens (B, U) -> logits (B, U + 1, V)
    of each next token.

    Place u sees the tokens before u and all valid frames. Its width, heads and dropout
    are those of the encoder that `config` describes. Raises KwsError where the width is
    no multiple of the heads.
    """

    def __init__(self, config: AcousticConfig, layers: int = 1) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        if width % heads:
            raise KwsError(f"the decoder needs a width that is a multiple of its heads: {width} is none of {heads}")
        self.embedding = nn.Embedding(len(config.tokens), width)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                width, heads, config.expansion * width, config.dropout, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(config.tokens))

    def forward(self, hidden: Tensor, frames: Tensor, tokens: Tensor) -> Tensor:
        return self.logits(hidden, frames, self.embedding(F.pad(tokens, (1, 0), value=EDGE)))

    def logits(self, hidden: Tensor, frames: Tensor, embedded: Tensor) -> Tensor:
        """The logits of `forward` for embedded tokens (B, U + 1, D), before which
        stands the embedding that begins a row.
        """
        places = embedded.shape[1]
        x = embedded + sinusoids(places, embedded.shape[2]).to(embedded)
        later = torch.ones(places, places, dtype=torch.bool, device=x.device).triu(1)
        padding = torch.arange(hidden.shape[1], device=x.device) >= frames.to(x.device)[:, None]
        for layer in self.layers:
            x = layer(x, hidden, tgt_mask=later, memory_key_padding_mask=padding)
        out: Tensor = self.head(self.norm(x))
        return out

    def loss(self, hidden: Tensor, frames: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """Mean cross-entropy per token of `targets`, which hold all rows in one as for
        CTC, each row's end included.
        """
        rows = targets.split(target_lengths.tolist())
        tokens = nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=EDGE)
        told = F.pad(tokens, (0, 1), value=EDGE)
        behind = torch.arange(told.shape[1], device=told.device) > target_lengths[:, None]
        logits = self(hidden, frames, tokens)
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(exact.flatten(0, 1), told.masked_fill(behind, _UNTOLD).flatten(), ignore_index=_UNTOLD)


def sinusoids(places: int, width: int) -> Tensor:
    """(places, D) positions: sine and cosine of place / 10000^(2 i / D) by turns
    (Vaswani et al. 2017).
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(_LONGEST_WAVE) / width))
    angles = torch.arange(places)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
