"""A mixer of your own, outside of the tree.

    kws train tiny model.mixer=examples/my_mixer.py:MovingAverage

It lets frames meet by an exponential moving average of D channels, each with a decay of
its own that is learned:

    s_t = a s_(t-1) + (1 - a) W_in x_t        y_t = W_out (s_t * silu(W_gate x_t))

Shapes: B batch, T frames, D width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kws.model.mixers import MixerConfig, StreamingMixer, Switches


class AverageState(NamedTuple):
    """The averages so far; zeros in a fresh stream."""

    average: Tensor  # (B, D)


class MovingAverage(StreamingMixer):
    """Exponential moving averages with a gate. `heads` and `window_frames` do not
    apply: its memory is unbounded.
    """

    look_back = None
    any_length = False  # its loop is laid out for one number of frames in an exported graph

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        self.width = config.width
        self.inputs = nn.Linear(config.width, 2 * config.width)
        self.decay = nn.Parameter(torch.linspace(-1.0, 4.0, config.width))  # logits: 0.27 to 0.98
        self.output = nn.Linear(config.width, config.width)

    def init_state(self, batch: int) -> AverageState:
        return AverageState(self.zeros(batch, self.width))

    def forward(self, x: Tensor, state: AverageState, guide: Tensor | None = None) -> tuple[Tensor, AverageState]:
        """(B, T, D), state -> (B, T, D), state."""
        new, gate = self.inputs(x).chunk(2, dim=2)
        decay = torch.sigmoid(self.decay).to(new.dtype)
        average, averages = state.average.to(new.dtype), []
        for frame in new.unbind(1):
            average = decay * average + (1 - decay) * frame
            averages.append(average)
        mixed = torch.stack(averages, dim=1) if averages else new
        return self.output(mixed * functional.silu(gate)), AverageState(average)
