"""A level follower: log-mel energies relative to the loudest of late, so that a word
said far away looks like one said near the microphone.

    l_t = max over bands of x_t - QUIET        s_t = max(l_t, s_(t-1) - DECAY, 0)        y_t = x_t - s_t

The level s rises at once and falls slowly, so that a pause inside a phrase changes
little. Below QUIET nothing is raised: the microphone's own noise stays below speech.
Without the maximum this is the automatic gain control of Wang et al. 2017, "Trainable
frontend for robust and far-field keyword spotting", arXiv 1607.05666, for all bands
together.

Shapes: B batch, S samples, F frames of 10 ms, M mel bands.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kws.model.frontend import HOP_SAMPLES, FrontendState, LogMel
from kws.model.streaming import StreamingLayer

QUIET = -9.0  # log energy of the loudest band: speech whose peaks are at -75 dBFS
_DECAY = 0.0092  # in 10 ms: 4 dB in a second
_BLOCK = 64  # frames: their table is small, and an utterance has few blocks
_NEVER = 1e4  # more than any level


class LevelState(NamedTuple):
    mel: FrontendState
    level: Tensor  # (B, 1, 1) s of the newest frame


class LevelledLogMel(StreamingLayer):
    """(B, S) PCM, S a multiple of 160 -> (B, S / 160, M) log-mel energies relative to
    the level.
    """

    fall: Tensor
    stride = HOP_SAMPLES
    look_back = None  # the level remembers for as long as it falls

    def __init__(self, mels: int) -> None:
        super().__init__()
        self.mel = LogMel(mels)
        self.register_buffer("fall", _fall(), persistent=False)

    def init_state(self, batch: int) -> LevelState:
        return LevelState(self.mel.init_state(batch), self.zeros(batch, 1, 1))

    def forward(self, x: Tensor, state: LevelState) -> tuple[Tensor, LevelState]:
        mel, mel_state = self.mel(x, state.mel)
        loudest = torch.clamp(mel.amax(dim=2, keepdim=True) - QUIET, min=0.0)
        level, levels = state.level, []
        for start in range(0, loudest.shape[1], _BLOCK):
            block = loudest[:, start : start + _BLOCK]
            frames = block.shape[1]
            reach = torch.cat([level, block], dim=1) - self.fall[: frames + 1, :frames]
            levels.append(reach.amax(dim=1)[..., None])
            level = levels[-1][:, -1:]
        return mel - torch.cat(levels, dim=1), LevelState(mel_state, level)


def make_frontend(mels: int, follow_level: bool) -> LogMel | LevelledLogMel:
    """The frontend of a model: energies as they are, or relative to the level."""
    return LevelledLogMel(mels) if follow_level else LogMel(mels)


def _fall() -> Tensor:
    """(65, 64): how far the level before the block, and each of its frames, has fallen
    by frame t; a frame to come is out of reach.
    """
    source, t = torch.arange(-1, _BLOCK)[:, None], torch.arange(_BLOCK)[None, :]
    return torch.where(source <= t, _DECAY * (t - source), _NEVER)
