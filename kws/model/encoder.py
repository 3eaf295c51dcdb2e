"""The encoder: subsampling to 40 ms, then blocks of [mixer + feed-forward], pre-norm.

Shapes: B batch, T frames, D width, M mel bands.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.model.streaming import State, StreamingLayer
from kws.model.windows import along_time, windows
from kws.units import HOP_SAMPLES


class ConvState(NamedTuple):
    past: Tensor  # (B, kernel - stride, channels) the input frames that the next output still sees


class CausalConv(StreamingLayer):
    """Convolution over time that ends at the newest frame: (B, T, inputs) -> (B, T /
    stride, outputs), then ReLU.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.look_back = self.past = kernel - stride
        self.inputs = inputs
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride)

    def init_state(self, batch: int) -> ConvState:
        return ConvState(self.zeros(batch, self.past, self.inputs))

    def forward(self, x: Tensor, state: ConvState) -> tuple[Tensor, ConvState]:
        x = torch.cat([state.past.to(x.dtype), x], dim=1)
        # one product: cheaper than a Conv node
        seen = windows(x, self.past + self.stride, self.stride).flatten(2)
        y = torch.relu(functional.linear(seen, self.conv.weight.transpose(1, 2).flatten(1), self.conv.bias))
        return y, ConvState(x[:, -self.past :])


class Subsampling(StreamingLayer):
    """Two causal convolutions of stride 2: four hops of 10 ms become a frame of
    40 ms.
    """

    stride = 4

    def __init__(self, mels: int, channels: int, width: int, kernel: int = 5) -> None:
        super().__init__()
        self.first = CausalConv(mels, channels, kernel, 2)
        self.second = CausalConv(channels, width, kernel, 2)
        self.look_back = self.past = self.first.past + 2 * self.second.past

    def init_state(self, batch: int) -> tuple[State, State]:
        return self.first.init_state(batch), self.second.init_state(batch)

    def forward(self, x: Tensor, state: tuple[State, State]) -> tuple[Tensor, tuple[State, State]]:
        x, first = self.first(x, state[0])
        x, second = self.second(x, state[1])
        return x, (first, second)


FRAME_SAMPLES = HOP_SAMPLES * Subsampling.stride  # 40 ms


class ConvFeedForward(StreamingLayer):
    """Feed-forward with a causal depthwise convolution over its hidden units, (B, T, D)
    -> (B, T, D).

    The convolution hears transitions inside a phone, which leaves the mixer what lies
    further apart (the convolution module of Gulati et al. 2020, "Conformer", reduced to
    its depthwise part). With a kernel of 1 no frames meet, and there is no state, for a
    model file takes no empty tensors.
    """

    def __init__(self, width: int, expansion: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.look_back = self.past = kernel - 1
        self.hidden = expansion * width
        self.expand = nn.Linear(width, self.hidden)
        self.depthwise = nn.Conv1d(self.hidden, self.hidden, kernel, groups=self.hidden)
        self.dropout = nn.Dropout(dropout)
        self.contract = nn.Linear(self.hidden, width)

    def init_state(self, batch: int) -> State:
        return ConvState(self.zeros(batch, self.past, self.hidden)) if self.past else ()

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x = self.expand(x)
        if self.past:
            x = torch.cat([state.past.to(x.dtype), x], dim=1)
        weight, bias = self.depthwise.weight[:, 0].t().to(x.dtype), self.depthwise.bias
        assert bias is not None
        y = along_time(x, weight) + bias.to(x.dtype)
        y = self.contract(self.dropout(functional.silu(y)))
        return y, ConvState(x[:, -self.past :]) if self.past else ()


class BlockState(NamedTuple):
    mixer: State
    feed_forward: State


class Block(nn.Module):
    """x + mixer(norm x), then x + feed-forward(norm x). Its mixer may be a streaming or
    a segment layer.
    """

    def __init__(self, mixer: nn.Module, width: int, expansion: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.mixer_norm = nn.LayerNorm(width)
        self.mixer: Any = mixer  # a StreamingLayer or a SegmentLayer
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = ConvFeedForward(width, expansion, kernel, dropout)
        self.dropout = nn.Dropout(dropout)

    def init_state(self, batch: int) -> BlockState:
        """The state of fresh streams, for a mixer that streams."""
        return BlockState(self.mixer.init_state(batch), self.feed_forward.init_state(batch))

    def stream(self, x: Tensor, state: BlockState, guide: Tensor | None = None) -> tuple[Tensor, BlockState]:
        """The block on a whole utterance or a chunk of it. guide: the mixer's second
        input (see mixers/base.py).
        """
        guide = None if guide is None else self.mixer_norm(guide)
        mixed, mixer = self.mixer(self.mixer_norm(x), state.mixer, guide)
        x, feed_forward = self._feed_forward(x + self.dropout(mixed), state.feed_forward)
        return x, BlockState(mixer, feed_forward)

    def segment(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The block on finished segments."""
        x = x + self.dropout(self.mixer(self.mixer_norm(x), lengths))
        return self._feed_forward(x, self.feed_forward.init_state(len(x)))[0]

    def _feed_forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = self.feed_forward(self.feed_forward_norm(x), state)
        return x + self.dropout(y), state


def stream_through(
    blocks: list[Block], x: Tensor, states: tuple[BlockState, ...], references: dict[str, Tensor]
) -> tuple[Tensor, tuple[BlockState, ...]]:
    """Carries `x` (B, T, D) through the blocks, and beside it the references (1, W, D)
    that their mixers read.

    A reference is a stream like any other, from a fresh state, as far as the last block
    that reads it.
    """
    front, reference_fronts, after = x, references, []
    for depth, (block, state) in enumerate(zip(blocks, states, strict=True)):
        reads = block.mixer.reads
        x, left = block.stream(x, state, front if reads == "front" else references.get(reads))
        after.append(left)
        later = {block.mixer.reads for block in blocks[depth + 1 :]}
        references = {
            name: block.stream(
                reference,
                block.init_state(1),
                reference_fronts[name] if reads == "front" else references.get(reads),
            )[0]
            for name, reference in references.items()
            if name in later
        }
    return x, tuple(after)
