"""The encoder of Whisper with a CTC head over phones: a teacher for models that train.

The encoder is that of Radford et al. 2022, "Robust speech recognition via large-scale
weak supervision", arXiv 2212.04356: two convolutions over a log-mel spectrogram, then
blocks of attention over all frames. It heard 680,000 hours of speech. Its frames last
20 ms; the head reads two of them at once, so that teacher and student have the same
frames.

Shapes: B rows, S samples, F hops of 10 ms, M mel bands, T frames of 40 ms, D width, V
tokens.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.data.torchaudio_import import load_torchaudio
from kws.errors import KwsError
from kws.model.checkpoint import halved, read_values, write_values
from kws.units import HOP_SAMPLES, SAMPLE_RATE

_FORMAT = "kws.teacher.1"
_WINDOW = 400  # samples of a hop's spectrum
_BLANK_BIAS = 3.0  # as in kws.model.acoustic
_HEAD_WIDTH = 64  # of an attention head, in Whisper of any size
LONGEST_S = 30.0  # of a row: Whisper has no positions behind it


@dataclass(frozen=True)
class WhisperConfig:
    """The shape of an encoder. positions: frames of 20 ms that it has places for.
    tokens: of the head, blank first. delay_frames: of 40 ms, by which a streaming
    student should say a phone later than this teacher, which hears what follows.
    """

    width: int
    blocks: int
    tokens: tuple[str, ...]
    mels: int = 80
    positions: int = 1500
    dropout: float = 0.1
    delay_frames: int = 0


class WhisperPhones(nn.Module):
    """(B, S) PCM in [-1, 1], S a multiple of 640 and at most 30 s -> (B, T, V)
    log-posteriors.
    """

    positions: Tensor
    window: Tensor
    filters: Tensor

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        width, mels = config.width, config.mels
        self.conv1 = nn.Conv1d(mels, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(_Block(width, config.dropout) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * width, len(config.tokens))
        nn.init.constant_(self.head.bias[:1], _BLANK_BIAS)
        self.register_buffer("positions", torch.zeros(config.positions, width))
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)
        filters = load_torchaudio().functional.melscale_fbanks(
            _WINDOW // 2 + 1, 0.0, SAMPLE_RATE / 2, mels, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("filters", filters, persistent=False)

    def features(self, pcm: Tensor) -> Tensor:
        """(B, S) PCM -> (B, F, M): Whisper's log-mel spectrogram, which keeps the
        upper 80 dB of a row.
        """
        spectrum = torch.stft(pcm, _WINDOW, HOP_SAMPLES, window=self.window, return_complex=True)[..., :-1]
        energies = torch.square(spectrum.abs()).transpose(1, 2) @ self.filters
        mel = torch.log10(energies.clamp(min=1e-10))
        return (torch.maximum(mel, mel.amax(dim=(1, 2), keepdim=True) - 8.0) + 4.0) / 4.0

    def from_features(self, mel: Tensor) -> Tensor:
        """(B, F, M) of `features` -> (B, T, V) log-posteriors."""
        x = functional.gelu(self.conv1(mel.transpose(1, 2)))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        x = self.dropout(self.norm(x[:, : x.shape[1] // 2 * 2]))
        return torch.log_softmax(self.head(x.reshape(len(x), x.shape[1] // 2, -1)).float(), dim=-1)

    def forward(self, pcm: Tensor) -> Tensor:
        return self.from_features(self.features(pcm))


class _Block(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x), of all frames (B, T, D)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = width // _HEAD_WIDTH
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        split = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, heads, head width)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.out(mixed))
        return cast("Tensor", x + self.dropout(self.contract(functional.gelu(self.expand(self.feed_forward_norm(x))))))


def from_arrays(arrays: dict[str, Tensor], tokens: tuple[str, ...]) -> WhisperPhones:
    """The encoder with the weights of a CTranslate2 model of Whisper, and a new head.

    Raises KwsError where they are those of another model.
    """
    blocks = sum(name.startswith("encoder/layer_") and name.endswith("/ffn/linear_0/weight") for name in arrays)
    try:
        weights = _named(arrays, blocks)
        width, mels = weights["conv1.weight"].shape[:2]
        positions = len(weights["positions"])
        model = WhisperPhones(WhisperConfig(width, blocks, tokens, mels, positions))
        model.load_state_dict(model.state_dict() | weights)
    except (KeyError, ValueError, RuntimeError) as error:
        raise KwsError(f"the weights are not those of Whisper: {str(error).splitlines()[0]}") from error
    return model


def _named(arrays: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """The encoder's weights by the names that they have here."""
    found = {
        "conv1": ("conv1", "weight", "bias"),
        "conv2": ("conv2", "weight", "bias"),
        "norm": ("layer_norm", "gamma", "beta"),
    }
    for block in range(blocks):
        own, theirs = f"blocks.{block}", f"layer_{block}"
        found |= {
            f"{own}.attention_norm": (f"{theirs}/self_attention/layer_norm", "gamma", "beta"),
            f"{own}.qkv": (f"{theirs}/self_attention/linear_0", "weight", "bias"),
            f"{own}.out": (f"{theirs}/self_attention/linear_1", "weight", "bias"),
            f"{own}.feed_forward_norm": (f"{theirs}/ffn/layer_norm", "gamma", "beta"),
            f"{own}.expand": (f"{theirs}/ffn/linear_0", "weight", "bias"),
            f"{own}.contract": (f"{theirs}/ffn/linear_1", "weight", "bias"),
        }
    if not arrays["encoder/conv1/weight"].is_floating_point():
        raise KwsError("the weights of this Whisper are rounded to integers: give a model in half or single precision")
    weights = {"positions": arrays["encoder/position_encodings/encodings"].float()}
    for name, (place, weight, bias) in found.items():
        weights[f"{name}.weight"] = arrays[f"encoder/{place}/{weight}"].float()
        weights[f"{name}.bias"] = arrays[f"encoder/{place}/{bias}"].float()
    return weights


def save_teacher(path: Path, model: WhisperPhones, recipe: dict[str, Any], spent: dict[str, Any]) -> None:
    """Writes `path` whole or not at all, with its recipe and the resources that the
    training took; large weights in half precision.
    """
    config = asdict(model.config) | {"tokens": list(model.config.tokens)}
    values = {"format": _FORMAT, "config": config, "weights": halved(model), "recipe": recipe, "spent": spent}
    write_values(path, values)


def load_teacher(path: Path) -> WhisperPhones:
    """Reads a file that `save_teacher` wrote, in evaluation mode; KwsError for any
    other.
    """
    values = read_values(path, _FORMAT, "a teacher: give the model.ckpt of `phone_teacher`")
    model = WhisperPhones(WhisperConfig(**values["config"] | {"tokens": tuple(values["config"]["tokens"])}))
    model.load_state_dict(values["weights"])
    return model.eval()
