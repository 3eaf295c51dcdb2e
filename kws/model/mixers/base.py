"""The interface of mixers: a layer (B, T, D) -> (B, T, D) of stride 1 that brings
frames together.

Shapes: B batch, T frames, D width, W window.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from kws.model.mixers.spec import Switches
from kws.model.streaming import SegmentLayer, State, StreamingLayer


@dataclass(frozen=True)
class MixerConfig:
    """The sizes that a mixer may depend on.

    width: D. heads: attention heads. window_frames: W, the frames an attention layer
    sees including its own.
    """

    width: int
    heads: int
    window_frames: int


class StreamingMixer(StreamingLayer):
    """A mixer for endless audio, made from (MixerConfig, Switches).

    Attributes:
        fits: names of the switches that it takes.
        reads: second input of the mixer, given as `guide`. "": none. "front": the
            encoder's input embeddings (B, T, D). "random" or "fixed": a constant
            reference sequence (1, W, D), passed through the blocks below this one.
        any_length: whether a graph of it takes any number of frames up to W; otherwise
            it takes only the number that it was exported with.
    """

    fits: ClassVar[frozenset[str]] = frozenset()
    reads: ClassVar[str] = ""
    any_length: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Tensor, state: State, guide: Tensor | None = None) -> tuple[Tensor, State]:
        """(B, T, D), state -> (B, T, D), state. `guide` as `reads` says; None = x
        itself.
        """


class SegmentMixer(SegmentLayer):
    """A mixer that sees whole segments, made from (MixerConfig, Switches); attributes
    as in StreamingMixer.
    """

    fits: ClassVar[frozenset[str]] = frozenset()
    reads: ClassVar[str] = ""

    @abstractmethod
    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor, guide: Tensor | None = None) -> Tensor:
        """(B, T, D), valid frames (B,) -> (B, T, D); frames past a row's length never
        reach the others.
        """
