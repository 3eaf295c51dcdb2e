"""The pauses of AMR: its encoders, those of telephones, leave out frames in which
nobody speaks (3GPP TS 26.093 and 26.193), and FFmpeg loses the time of most of them.
"""

from __future__ import annotations

from collections import deque
from typing import SupportsBytes

import numpy as np

from kws.arrays import Float32Array

_PAUSES = {"amrnb": (8, 160), "amrwb": (9, 320)}  # the type of a frame of comfort noise, and samples of any frame
_NO_DATA = 15
_NOISE_BYTES, _NO_DATA_BYTES = 6, 1
_HANGOVER = 7  # frames of the background that an encoder still sends before a pause


class Pauses:
    """Fills the pauses of one stream with the background before them, played backward
    and forward. With silence in their place `wake-words` missed 54 of 243 words, with
    this 40 (commit 4749c11; recipes/wake_words_verifier/RESULTS.md has newer counts).

    codec: FFmpeg's name of it; no other than AMR has such pauses.
    """

    def __init__(self, codec: str) -> None:
        self._noise, self._size = _PAUSES.get(codec, (0, 0))
        self._before: deque[Float32Array] = deque(maxlen=_HANGOVER)
        self._filled = 0  # samples of the pause that lasts

    def filled(self, packet: SupportsBytes) -> Float32Array | None:
        """The samples (S, 1) of a frame that was left out; None for other packets."""
        if not self._size:  # before any other codec's bytes are copied
            return None
        content = bytes(packet)
        kind = content[0] >> 3 & 0xF if content else _NO_DATA
        if (kind, len(content)) not in ((self._noise, _NOISE_BYTES), (_NO_DATA, _NO_DATA_BYTES)):
            return None
        if not self._before:
            return np.zeros((self._size, 1), np.float32)
        sound = np.concatenate(self._before)
        places = np.arange(self._filled, self._filled + self._size)
        self._filled += self._size
        both: Float32Array = np.concatenate([sound[::-1], sound])
        return both[places % len(both)]

    def heard(self, frame: Float32Array) -> None:
        """A decoded frame (S, 1), which ends the pause."""
        if self._size:
            self._before.append(frame)
            self._filled = 0
