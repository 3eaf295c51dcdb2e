"""Lets a keyword fire only after a pause: *operator* to the machine, not *I called the
operator*.

A path counts where the sound before it is quiet against the phrase itself: the mean
power of the 0.6 s before is 10 dB below its loudest 40 ms. So neither the microphone's
level nor a noise that is 10 dB below speech changes what counts. A path begins a little
later than its first sound, so the 0.6 s end 0.2 s before the path.

T frames, K keywords.
"""

from __future__ import annotations

import numpy as np

from kws.arrays import Float64Array, IntArray, Samples

BEFORE_FRAMES = 15
_ONSET_FRAMES = 5
_QUIETER = 10 ** (-10 / 10)


class PauseBefore:
    """Keeps the powers of one stream's last frames, and lets a score pass only where
    its path follows a pause. Its memory never grows.

    frame_samples: of a frame. longest_frames: the most that a path covers. least:
    scores below it are not looked at, since no keyword fires at them.
    """

    def __init__(self, frame_samples: int, longest_frames: int, least: float) -> None:
        self._frame_samples = frame_samples
        self._keep = longest_frames + _ONSET_FRAMES + BEFORE_FRAMES
        self._least = least
        self._powers = np.zeros(self._keep)
        self._next = 0

    def hear(self, pcm: Samples, frame: int, scores: Float64Array, ages: IntArray) -> Float64Array:
        """The scores (T, K) of the next frames, 0 where a phrase does not follow a
        pause.

        pcm: (T * frame_samples,), of the frames from number `frame` on. Frames that
        were left out, in which the model slept, are silence, and so is all before the
        stream.
        """
        new = np.square(pcm.reshape(-1, self._frame_samples), dtype=np.float64).mean(axis=1)
        slept = np.zeros(min(frame - self._next, self._keep))
        powers = np.concatenate([self._powers, slept, new])
        first = len(powers) - len(new)
        self._powers, self._next = powers[-self._keep :], frame + len(new)
        rows = np.argwhere(scores >= self._least)
        if not len(rows):
            return scores
        scores = scores.copy()
        for row, keyword in rows.tolist():
            begin = first + row + 1 - int(ages[row, keyword]) - _ONSET_FRAMES
            before, phrase = powers[begin - BEFORE_FRAMES : begin], powers[begin : first + row + 1]
            if before.mean() > _QUIETER * phrase.max():
                scores[row, keyword] = 0.0
        return scores
