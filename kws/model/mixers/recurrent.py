"""Recurrent mixers: LSTM and GRU for streams, BiLSTM for segments, whole or in chunks.

(Hochreiter and Schmidhuber 1997; Cho et al. 2014, arXiv 1406.1078, in the form of
cuDNN, which torch and ONNX share; Graves and Schmidhuber 2005.)

Shapes: B batch, T frames, D width, U units, N chunks, W window.

Their units are chosen so that each has the parameters of the attention that it stands
against, 4 D^2.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kws.model.mixers.base import MixerConfig, SegmentMixer, StreamingMixer
from kws.model.mixers.spec import Switches


class LSTMState(NamedTuple):
    hidden: Tensor  # (B, U)
    cell: Tensor  # (B, U)


class GRUState(NamedTuple):
    hidden: Tensor  # (B, U)


def matched_units(width: int, directions: int = 1, gates: int = 4, readers: int = 1, extra: int = 0) -> int:
    """U for which recurrent layers of D inputs and their output projection have 4 D^2
    parameters.

    Per direction g U (D + U + 2) + r U D + e U: solved for U. gates: g, the matrices of
    a layer, 4 of an LSTM and 3 of a GRU. readers: r, how many vectors of U units the
    output projection reads. extra: e, further weights per unit.
    """
    b = (gates + readers) * width + 2 * gates + extra
    target = 4 * width * width / directions
    return round((-b + math.sqrt(b * b + 4 * gates * target)) / (2 * gates))


class UniLSTM(StreamingMixer):
    """One LSTM layer and a projection back to D. `heads` and `window_frames` do not
    apply: its memory is unbounded.
    """

    look_back = None

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.units = matched_units(config.width, directions=1)
        self.lstm = nn.LSTM(config.width, self.units, batch_first=True)
        self.output = nn.Linear(self.units, config.width)

    def init_state(self, batch: int) -> LSTMState:
        return LSTMState(self.zeros(batch, self.units), self.zeros(batch, self.units))

    def forward(self, x: Tensor, state: LSTMState, guide: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        y, (hidden, cell) = self.lstm(x, (state.hidden[None].to(x.dtype), state.cell[None].to(x.dtype)))
        return self.output(y), LSTMState(hidden[0], cell[0])


class GRU(StreamingMixer):
    """One GRU layer and a projection back to D. `heads` and `window_frames` do not
    apply: its memory is unbounded.
    """

    look_back = None

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.units = matched_units(config.width, gates=3)
        self.gru = nn.GRU(config.width, self.units, batch_first=True)
        self.output = nn.Linear(self.units, config.width)

    def init_state(self, batch: int) -> GRUState:
        return GRUState(self.zeros(batch, self.units))

    def forward(self, x: Tensor, state: GRUState, guide: Tensor | None = None) -> tuple[Tensor, GRUState]:
        y, hidden = self.gru(x, state.hidden[None].to(x.dtype))
        return self.output(y), GRUState(hidden[0])


class BiLSTM(SegmentMixer):
    """One bidirectional LSTM layer and a projection back to D, over whole segments."""

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        units = matched_units(config.width, directions=2)
        self.lstm = nn.LSTM(config.width, units, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * units, config.width)

    def forward(self, x: Tensor, lengths: Tensor, guide: Tensor | None = None) -> Tensor:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.output(y)


class ChunkedBiLSTM(BiLSTM):
    """BiLSTM over consecutive chunks of W frames, each on its own: no state goes from
    one chunk to the next.

    The windowed form of BiLSTM: the first frame of a chunk sees the W - 1 that follow
    and nothing before, so on a device its answer is W - 1 frames late (latency: one
    chunk), and a word across a border is heard in two halves.
    """

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.window = config.window_frames

    def forward(self, x: Tensor, lengths: Tensor, guide: Tensor | None = None) -> Tensor:
        batch, frames, _ = x.shape
        chunks = functional.pad(x, (0, 0, 0, -frames % self.window)).unflatten(1, (-1, self.window))
        begins = torch.arange(chunks.shape[1], device=lengths.device) * self.window
        filled = (lengths[:, None] - begins).clamp(1, self.window)  # a chunk of padding alone counts one frame: unread
        y = super().forward(chunks.flatten(0, 1), filled.flatten())
        return y.unflatten(0, (batch, -1)).flatten(1, 2)[:, :frames]
