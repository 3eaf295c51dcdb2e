"""The surroundings of speech in training: a room, noise and other voices, a microphone,
a level, a line.

All of it is drawn anew for every row of sound.
"""

from collections.abc import Callable

import numpy as np

from kws.arrays import Samples
from kws.data import augment
from kws.data.clips import Clips
from kws.data.scenes.config import SceneConfig

SPEECH_DBFS = -26.0  # speech level before the row's own gain
_EMPTY_SNR_DB = (-10.0, 30.0)  # of the noise in a row without speech, against that level: louder than any speech too


class Surroundings:
    """Puts rows of dry speech, of `samples` each, into random surroundings.

    noise, rirs: recorded noise and recorded room impulse responses, used beside those
    that are made anew each time. voice: a piece of speech of at most so many samples,
    for babble.
    """

    def __init__(
        self,
        config: SceneConfig,
        samples: int,
        noise: Clips | None,
        rirs: Clips | None,
        voice: Callable[[int, np.random.Generator], Samples],
    ) -> None:
        self.config = config
        self.samples = samples
        self.noise = noise
        self.rirs = rirs
        self._voice = voice
        self._noise_levels: dict[int, float] = {}

    def place(self, row: Samples, rng: np.random.Generator) -> Samples:
        """Puts dry speech into a room, before a microphone, among noises, at a level,
        and onto a line.
        """
        c = self.config
        spoken = bool(row.any())
        level = augment.speech_level(row) if spoken else augment.decibels(SPEECH_DBFS)
        if happens(c.room_probability, rng):
            row = augment.convolve(row, *self._rir(rng))
        if not spoken:
            row = augment.add_noise(row, self._noise(rng), rng.uniform(*_EMPTY_SNR_DB), level)
        elif happens(c.noise_probability, rng):
            row = augment.add_noise(row, self._noise(rng), rng.uniform(*c.snr_db), level)
        if spoken and happens(c.babble_probability, rng):
            row = augment.add_noise(row, self._babble(rng), rng.uniform(c.snr_db[0] + 5, c.snr_db[1]), level)
        if happens(c.microphone_probability, rng):
            row = augment.convolve_centred(row, augment.microphone_filter(rng))
        if happens(c.floor_probability, rng):
            row = augment.add_noise(row, augment.coloured_noise(self.samples, rng), rng.uniform(25.0, 60.0), level)
        row = row * augment.decibels(rng.uniform(*c.row_gain_db))
        if happens(c.overdrive_probability, rng):
            row = augment.overdrive(row, c.overdrive_db, rng)
        if happens(c.telephone_probability, rng):
            row = augment.convolve_centred(row, augment.telephone_filter(rng))
        if happens(c.codec_probability, rng):
            row = augment.through_codec(row, augment.CODECS[int(rng.integers(len(augment.CODECS)))])
        return np.clip(row, -1.0, 1.0)

    def _rir(self, rng: np.random.Generator) -> tuple[Samples, int]:
        """An impulse response, recorded or simulated, and its delay."""
        if self.rirs is not None and happens(self.config.recorded_rooms, rng):
            return augment.recorded_rir(self.rirs.read(int(rng.integers(len(self.rirs)))))
        return augment.simulated_rir(rng), 0

    def _noise(self, rng: np.random.Generator) -> Samples:
        """A row of recorded noise, clips joined end to end, or of coloured noise."""
        if self.noise is None or rng.random() < 0.2:
            return augment.coloured_noise(self.samples, rng)
        parts: list[Samples] = []
        while sum(map(len, parts)) < self.samples:
            index = int(rng.integers(len(self.noise)))
            start = int(rng.integers(max(1, self.noise.samples(index) - self.samples)))
            clip = self.noise.read(index, start, self.samples)
            parts.append(clip / self._noise_level(index) * augment.decibels(rng.uniform(-6, 6)))
        return np.concatenate(parts)[: self.samples]

    def _noise_level(self, index: int) -> float:
        """RMS of a whole clip of noise, which may be much longer than the piece that is
        read of it; measured once.
        """
        if index not in self._noise_levels:
            assert self.noise is not None
            self._noise_levels[index] = augment.rms(self.noise.read(index))
        return self._noise_levels[index]

    def _babble(self, rng: np.random.Generator) -> Samples:
        """Three to six rows of speech at once."""
        total = np.zeros(self.samples, np.float32)
        for _ in range(int(rng.integers(3, 7))):
            at = 0
            while at < self.samples:
                clip = self._voice(self.samples - at, rng)
                total[at : at + len(clip)] += clip / augment.rms(clip)
                at += len(clip)
        return total


def happens(probability: float, rng: np.random.Generator) -> bool:
    """Whether an event of this probability happens. With probability 0 nothing is drawn
    from `rng`.
    """
    return probability > 0 and rng.random() < probability
