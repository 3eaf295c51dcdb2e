"""The pickup of a sound before a detector hears it: the channel, the gain, and a note
where it is too quiet.

S samples, C channels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kws.arrays import Float32Array, Samples
from kws.errors import InputError

MOST_GAIN_DB = 60.0  # that the options take
LOUDEST = 64.0  # float samples beyond this are integers that nobody has scaled; clipped mixes stay far below

# Of 243 recorded wake words `wake-words` misses 7 as they are, 13 at a peak of -50
# dBFS, 14 at -55, 31 at -62, 69 at -65 and 135 at -68 (16 bits; kws score
# --conditions): from here on it misses most of them.
QUIET_DBFS = -67.0
# The same of a model that does not follow the level: of 1,930 clips of single words
# `speech-commands` misses 225 as they are, 244 at a peak of -30 dBFS, 684 at -45,
# 1,116 at -48 and 1,511 at -50 (kws score speech-commands --positives
# speech_commands@dev --conditions).
QUIET_UNFOLLOWED_DBFS = -47.0
_ADVISED_DBFS = -30.0  # a peak at which none of them is lost for being quiet

_CANCELLED = 0.01  # power of the mean of channels over what it is of unrelated ones: 20 dB less
_AUDIBLE = 1e-8  # power, full scale 1: below it even the noise of 16 bits may cancel


class Pickup(NamedTuple):
    """A person's choice of channel and gain.

    channel: the one to hear, from 1; None: the mean of all, until they cancel each
    other. gain_db: the gain of the samples, in decibels.
    """

    channel: int | None = None
    gain_db: float = 0.0

    def check(self, channels: int) -> None:
        """Raise InputError, a sentence that lacks its subject, unless a sound of so
        many channels has the one to hear.
        """
        if self.channel is not None and not 1 <= self.channel <= channels:
            has = f"{channels} channel{'s' * (channels != 1)}"
            raise InputError(f"has {has}, and no channel {self.channel}")

    def __str__(self) -> str:
        """The command-line options for this pickup."""
        channel = "" if self.channel is None else f"--channel {self.channel}"
        gain = f"--gain {self.gain_db:g}" if self.gain_db else ""
        return f"{channel} {gain}".strip()


AS_IT_IS = Pickup()


class Mixdown:
    """One channel of many, piece by piece, with a gain. Without a channel that is asked
    for: their mean, until they cancel each other; from there on the louder one.

    A microphone with one wire of a pair crossed gives the same sound in both channels,
    one of them inverted, and their mean is silence. One channel is then taken for good:
    to change back and forth would put clicks into speech.
    """

    def __init__(self, pickup: Pickup = AS_IT_IS) -> None:
        self._pickup = pickup
        self._louder: int | None = None

    def push(self, piece: Float32Array) -> Samples:
        """Samples (S,) of a piece (S, C). Raises InputError as `Pickup.check` does."""
        self._pickup.check(piece.shape[1])
        return amplified(self._mixed(piece), self._pickup.gain_db)

    def _mixed(self, piece: Float32Array) -> Samples:
        channels = piece.shape[1]
        if channels == 1:
            return np.ascontiguousarray(piece[:, 0])
        if self._pickup.channel is not None:
            return np.ascontiguousarray(piece[:, self._pickup.channel - 1])
        if self._louder is None or self._louder >= channels:
            mean: Samples = piece.mean(axis=1)
            powers = np.square(piece, dtype=np.float64).mean(axis=0)
            unrelated = powers.sum() / channels**2
            power = np.square(mean, dtype=np.float64).mean()
            if power >= _CANCELLED * unrelated or powers.max() < _AUDIBLE:
                return mean
            self._louder = int(powers.argmax())
        return np.ascontiguousarray(piece[:, self._louder])


def amplified(samples: Samples, gain_db: float) -> Samples:
    """Samples (S,) multiplied, and clipped at full scale, as a converter clips.

    Integers that nobody has scaled stay as they are; the code that hears them refuses
    them.
    """
    if not gain_db or np.abs(samples).max(initial=0.0) > LOUDEST:
        return samples
    return np.clip(samples * np.float32(10 ** (gain_db / 20)), np.float32(-1.0), np.float32(1.0))


class Loudest:
    """The loudest sample of a sound, as a detector was given it.

    gain_db: the gain that it includes. samples: how many there were.
    """

    def __init__(self, gain_db: float = 0.0) -> None:
        self.samples = 0
        self._gain_db = gain_db
        self._peak = 0.0

    def add(self, samples: Samples) -> None:
        """Take the next samples (S,) into account."""
        self.samples += samples.size
        self._peak = max(self._peak, float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))

    def note(self, follows_level: bool) -> str | None:
        """A sentence where nothing but very quiet sound came, for a model that follows
        the level or one that does not; None otherwise.
        """
        if not self.samples:
            return None
        if not self._peak:
            return "every sample is zero, digital silence: a muted microphone, or a channel without one?"
        peak_dbfs = 20 * math.log10(self._peak)
        if peak_dbfs >= (QUIET_DBFS if follows_level else QUIET_UNFOLLOWED_DBFS):
            return None
        gain_db = min(MOST_GAIN_DB, round(self._gain_db + _ADVISED_DBFS - peak_dbfs))
        remedy = f"try --gain {gain_db:g}" if gain_db > self._gain_db else "raise the gain of the microphone"
        return f"the loudest sample is at {peak_dbfs:.0f} dBFS: most words so quiet are missed; {remedy}"
