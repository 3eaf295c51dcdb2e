"""Mixers: what stands in the BiLSTM's place. One file each, chosen by name in a recipe.

A streaming mixer is a StreamingLayer (B, T, D) -> (B, T, D) of stride 1; a segment mixer is a SegmentLayer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from kws.model.mixers.attention import FullSelfAttention, SelfAttention
from kws.model.mixers.recurrent import BiLSTM, UniLSTM
from kws.model.mixers.xsa import ExclusiveSelfAttention, FullExclusiveSelfAttention
from kws.model.streaming import SegmentLayer, StreamingLayer

STREAMING: dict[str, Callable[[int, int, int], StreamingLayer]] = {
    "lstm": UniLSTM,
    "sa": SelfAttention,
    "xsa": ExclusiveSelfAttention,
}
SEGMENT: dict[str, Callable[[int, int, int], SegmentLayer]] = {
    "bilstm": BiLSTM,
    "sa_full": FullSelfAttention,
    "xsa_full": FullExclusiveSelfAttention,
}


@dataclass(frozen=True)
class MixerConfig:
    """What a mixer may depend on.

    width: D. heads: attention heads. window_frames: W, the frames an attention layer sees including its own.
    """

    width: int
    heads: int
    window_frames: int


def make_mixer(name: str, config: MixerConfig) -> StreamingLayer | SegmentLayer:
    """The mixer called `name`; raises ValueError with the known names."""
    known: dict[str, Callable[[int, int, int], StreamingLayer | SegmentLayer]] = {**STREAMING, **SEGMENT}
    if name not in known:
        raise ValueError(f"no mixer is called {name!r}; there are {', '.join(sorted(known))}")
    return known[name](config.width, config.heads, config.window_frames)


def is_streaming(name: str) -> bool:
    """Whether the mixer called `name` can run on endless audio."""
    return name in STREAMING
