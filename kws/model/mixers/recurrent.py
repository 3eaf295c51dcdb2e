"""Recurrent mixers: LSTM for streams and BiLSTM for segments (Hochreiter and Schmidhuber 1997; Graves 2005).

Shapes: B batch, T frames, D width, U units.

Their units are chosen so that each has the parameters of the attention that it stands against, 4 D^2.
"""

import math
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kws.model.streaming import SegmentLayer, StreamingLayer


class LSTMState(NamedTuple):
    """State of an LSTM."""

    hidden: Tensor  # (B, U)
    cell: Tensor  # (B, U)


def matched_units(width: int, directions: int) -> int:
    """U for which `directions` LSTMs of D inputs and their output projection have 4 D^2 parameters.

    Per direction 4 U (D + U + 2) + U D: solved for U.
    """
    b = 5 * width + 8
    target = 4 * width * width / directions
    return round((-b + math.sqrt(b * b + 16 * target)) / 8)


class UniLSTM(StreamingLayer):
    """One LSTM layer and a projection back to D. `heads` and `window_frames` do not apply: its memory is unbounded."""

    look_back = None

    def __init__(self, width: int, heads: int, window_frames: int) -> None:
        super().__init__()
        self.units = matched_units(width, directions=1)
        self.lstm = nn.LSTM(width, self.units, batch_first=True)
        self.output = nn.Linear(self.units, width)

    def init_state(self, batch: int) -> LSTMState:
        return LSTMState(self.zeros(batch, self.units), self.zeros(batch, self.units))

    def forward(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        y, (hidden, cell) = self.lstm(x, (state.hidden[None].to(x.dtype), state.cell[None].to(x.dtype)))
        return self.output(y), LSTMState(hidden[0], cell[0])


class BiLSTM(SegmentLayer):
    """One bidirectional LSTM layer and a projection back to D, over whole segments."""

    def __init__(self, width: int, heads: int, window_frames: int) -> None:
        super().__init__()
        units = matched_units(width, directions=2)
        self.lstm = nn.LSTM(width, units, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * units, width)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.output(y)
