"""No mixing: what a model can do when frames never meet in its mixers (the control of
every comparison).

Shapes: B batch, T frames, D width, U hidden units.

    y_t = FC_dn( SiLU(FC_gt x_t) * FC_up x_t )

(Xue, Moosavi, Aletras 2025, "Deconstructing Attention", arXiv 2510.11602, their variant
"MLP"; the unit is SwiGLU of Shazeer 2020, arXiv 2002.05202.) Without biases but the
last, U = 4 D / 3: the parameters of attention, 4 D^2. The subsampling and the
convolution in the feed-forward still bring neighbouring frames together.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from kws.model.mixers.base import MixerConfig, StreamingMixer
from kws.model.mixers.spec import Switches


class NoState(NamedTuple):
    """The empty state of a mixer without memory."""


class NoMixing(StreamingMixer):
    """A gated feed-forward per frame. `heads` and `window_frames` do not apply."""

    def __init__(self, config: MixerConfig, switches: Switches) -> None:
        super().__init__(config, switches)
        units = round(4 * config.width / 3)
        self.gate = nn.Linear(config.width, units, bias=False)
        self.up = nn.Linear(config.width, units, bias=False)
        self.down = nn.Linear(units, config.width)

    def init_state(self, batch: int) -> NoState:
        return NoState()

    def forward(self, x: Tensor, state: NoState, guide: Tensor | None = None) -> tuple[Tensor, NoState]:
        return self.down(functional.silu(self.gate(x)) * self.up(x)), state
