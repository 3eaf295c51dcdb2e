"""A level follower: quiet sound is raised before a model hears it, so that a word said
far away looks like one said near the microphone.

    l_t = max over bands of log x_t        s_t = max(l_t, s_(t-1) - FALL)        g_t = LOUD - s_t, from 0 to MOST_GAIN

x are mel energies, s the level of late, g the logarithm of their gain. The level rises
at once and falls slowly, so that a pause inside a phrase changes little; sound at the
level of `LOUD` or above is left as it is. More gain than `MOST_GAIN` would make a burst
of the first sound after a pause, before the level has risen (figures:
docs/decisions.md). A segment is heard whole, so its gain is one number, and may be
more.

This is an automatic gain control for all bands together; one for each band is that of
Wang et al. 2017, "Trainable frontend for robust and far-field keyword spotting", arXiv
1607.05666.

Shapes: B batch, S samples, F hops of 10 ms, M mel bands.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kws.model.frontend import FLOOR, FrontendState, LogMel
from kws.model.streaming import StreamingLayer
from kws.model.windows import MOST_HOPS
from kws.units import HOP_SAMPLES

LOUD = 1.0  # log energy of the loudest band: speech whose peaks are at about -35 dBFS
MOST_GAIN = 4.6  # 20 dB, in a stream
MOST_SEGMENT_GAIN = 9.2  # 40 dB
_FALL = 0.0046  # in 10 ms: 2 dB in a second
_NEVER = 1e4  # more than any level


class LevelState(NamedTuple):
    mel: FrontendState
    level: Tensor  # (B, 1, 1) by how much s of the newest frame exceeds LOUD - MOST_GAIN, where a gain has its most


class LevelledLogMel(StreamingLayer):
    """(B, S) PCM, S a multiple of 160 -> (B, F, M) log-mel energies, raised where the
    last seconds were quiet.
    """

    fall: Tensor  # (128,): by how much a level has fallen after each frame of a block
    stride = HOP_SAMPLES
    look_back = None  # the level remembers for as long as it falls

    def __init__(self, mels: int, *, extend_band: bool = False) -> None:
        super().__init__()
        self.mel = LogMel(mels, extend_band=extend_band)
        self.register_buffer("fall", _FALL * torch.arange(1.0, MOST_HOPS + 1), persistent=False)

    def init_state(self, batch: int) -> LevelState:
        return LevelState(self.mel.init_state(batch), self.zeros(batch, 1, 1))

    def forward(self, x: Tensor, state: LevelState) -> tuple[Tensor, LevelState]:
        energies, mel_state = self.mel.energies(x, state.mel)
        mel = torch.log(energies + FLOOR)
        level = self._level(mel.amax(dim=2)[:, None] - (LOUD - MOST_GAIN), state.level)
        gain = torch.clamp(MOST_GAIN - level, 0.0, MOST_GAIN)
        raised = torch.log(energies * torch.exp(gain).transpose(1, 2) + FLOOR)
        return raised, LevelState(mel_state, level[..., -1:])

    def _level(self, loudest: Tensor, before: Tensor) -> Tensor:
        """The level (B, 1, F) that follows `before` (B, 1, 1), of the hops' loudest
        bands (B, 1, F).

        With FALL added for every hop since the begin no level falls, so that it is the
        greatest value until now.
        """
        hops = loudest.shape[2]
        if hops <= MOST_HOPS:  # as in every call of a graph
            fall = self.fall[:hops]
            rising = functional.pad(loudest + fall, (MOST_HOPS - 1, 0), value=-_NEVER)
            return torch.maximum(functional.max_pool1d(rising, MOST_HOPS, 1), before) - fall
        levels = [before]
        for block in loudest.split(MOST_HOPS, dim=2):
            levels.append(self._level(block, levels[-1][..., -1:]))
        return torch.cat(levels[1:], dim=2)


def raised_segments(features: Tensor) -> Tensor:
    """Log-mel energies (B, F, M) of segments, each raised as a whole; the floor under
    the energies stays.
    """
    gain = torch.clamp(LOUD - features.amax(dim=(1, 2), keepdim=True), 0.0, MOST_SEGMENT_GAIN)
    return torch.log(torch.relu(torch.exp(features) - FLOOR) * torch.exp(gain) + FLOOR)


def make_frontend(mels: int, *, follow_level: bool, extend_band: bool) -> LogMel | LevelledLogMel:
    """The frontend of a model. follow_level: quiet sound is raised. extend_band: upper
    bands that a telephone has cut off are filled.
    """
    kind = LevelledLogMel if follow_level else LogMel
    return kind(mels, extend_band=extend_band)
