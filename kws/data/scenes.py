"""Scenes: what the model trains on. A scene is a row of audio of fixed length, clips one after another as they might be
heard, with rooms, microphones, noise and levels drawn anew each time, and the tokens of all that is said in it.

Every batch is a function of (seed, step) alone: a resumed training sees what an uninterrupted one would have seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from kws.data import augment
from kws.data.clips import Clips
from kws.units import SAMPLE_RATE

Batch = dict[str, torch.Tensor]
_TRIES = 4  # clips drawn in vain before a row counts as full
_SPEECH_DBFS = -26.0  # speech level before the row's own gain


@dataclass(frozen=True)
class SceneConfig:
    """rows x row_seconds of audio make a batch. Probabilities are per row; ranges are uniform.

    most_clips: of a row. empty_probability: of a row without speech.
    """

    rows: int = 8
    row_seconds: float = 20.0
    gap_seconds: tuple[float, float] = (0.02, 0.8)
    speed: tuple[float, float] = (0.86, 1.16)
    clip_gain_db: tuple[float, float] = (-6.0, 6.0)
    row_gain_db: tuple[float, float] = (-20.0, 8.0)
    noise_probability: float = 0.5
    babble_probability: float = 0.15
    snr_db: tuple[float, float] = (2.0, 30.0)
    floor_probability: float = 0.7
    room_probability: float = 0.3
    microphone_probability: float = 0.3
    most_clips: int = 1000
    empty_probability: float = 0.0


@dataclass(frozen=True)
class Source:
    """A corpus in the mix. `share` is its part of the speech time; `targets[i]` are the tokens of clip i.

    words[i]: the index of what clip i says in a closed vocabulary, -1 where it is none of it.
    """

    clips: Clips
    targets: Sequence[npt.NDArray[np.int64]]
    share: float
    words: Sequence[int] = ()


class _Row(NamedTuple):
    pcm: augment.Wave
    targets: npt.NDArray[np.int64]
    word: int


class SceneDataset(Dataset[Batch]):
    """Item `step` is the batch of that step: pcm (B, S), targets (sum of lengths,), target_lengths (B,), words (B,).

    words: the vocabulary's index of the one word that a row says, `silence` for a row without speech, -1 for any other.
    """

    def __init__(
        self, sources: Mapping[str, Source], noise: Clips | None, config: SceneConfig, seed: int, silence: int = -1
    ) -> None:
        self.sources = list(sources.values())
        self.noise = noise
        self.config = config
        self.seed = seed
        self.silence = silence
        self.samples = int(config.row_seconds * SAMPLE_RATE)
        self._draw = _draw_probabilities(self.sources)

    def __getitem__(self, step: int) -> Batch:
        rows = [self._row(np.random.default_rng((self.seed, step, row))) for row in range(self.config.rows)]
        return {
            "pcm": torch.from_numpy(np.stack([row.pcm for row in rows])),
            "targets": torch.from_numpy(np.concatenate([row.targets for row in rows])),
            "target_lengths": torch.tensor([len(row.targets) for row in rows]),
            "words": torch.tensor([row.word for row in rows]),
        }

    def _row(self, rng: np.random.Generator) -> _Row:
        c = self.config
        row = np.zeros(self.samples, np.float32)
        if c.empty_probability and rng.random() < c.empty_probability:
            return _Row(self._place(row, rng), np.zeros(0, np.int64), self.silence)
        targets, words = [np.zeros(0, np.int64)], []
        at = _samples(rng.uniform(*c.gap_seconds))
        tries = 0
        while tries < _TRIES and len(words) < c.most_clips:
            source = self.sources[rng.choice(len(self.sources), p=self._draw)]
            index = int(rng.integers(len(source.clips)))
            if at + source.clips.samples(index) / c.speed[0] > self.samples:
                tries += 1
                continue
            clip = augment.speed(source.clips.read(index), *c.speed, rng)
            gain = augment.decibels(_SPEECH_DBFS + rng.uniform(*c.clip_gain_db)) / augment.speech_level(clip)
            row[at : at + len(clip)] = clip * gain
            targets.append(source.targets[index])
            words.append(source.words[index] if source.words else -1)
            at += len(clip) + _samples(rng.uniform(*c.gap_seconds))
        return _Row(self._place(row, rng), np.concatenate(targets), words[0] if len(words) == 1 else -1)

    def _place(self, row: augment.Wave, rng: np.random.Generator) -> augment.Wave:
        """Puts dry speech into a room, before a microphone, among noises, at a level."""
        c = self.config
        level = augment.speech_level(row) if row.any() else augment.decibels(_SPEECH_DBFS)
        if rng.random() < c.room_probability:
            row = augment.convolve(row, augment.room_response(rng))
        if rng.random() < c.noise_probability:
            row = augment.add_noise(row, self._noise(rng), rng.uniform(*c.snr_db), level)
        if rng.random() < c.babble_probability:
            row = augment.add_noise(row, self._babble(rng), rng.uniform(c.snr_db[0] + 5, c.snr_db[1]), level)
        if rng.random() < c.microphone_probability:
            response = augment.tilt_response(rng)
            row = augment.convolve(row, response, len(response) // 2)
        if rng.random() < c.floor_probability:
            row = augment.add_noise(row, augment.coloured_noise(self.samples, rng), rng.uniform(25.0, 60.0), level)
        row = row * augment.decibels(rng.uniform(*c.row_gain_db))
        return np.clip(row, -1.0, 1.0).astype(np.float32)

    def _noise(self, rng: np.random.Generator) -> augment.Wave:
        """A row of recorded noise, clips joined end to end, or of coloured noise."""
        if self.noise is None or rng.random() < 0.2:
            return augment.coloured_noise(self.samples, rng)
        parts: list[augment.Wave] = []
        while sum(map(len, parts)) < self.samples:
            clip = self.noise.read(int(rng.integers(len(self.noise))))
            start = int(rng.integers(max(1, len(clip) - self.samples)))
            parts.append(clip[start : start + self.samples] / augment.rms(clip) * augment.decibels(rng.uniform(-6, 6)))
        return np.concatenate(parts)[: self.samples]

    def _babble(self, rng: np.random.Generator) -> augment.Wave:
        """Three to six rows of speech at once."""
        total = np.zeros(self.samples, np.float32)
        for _ in range(int(rng.integers(3, 7))):
            at = 0
            while at < self.samples:
                source = self.sources[int(rng.integers(len(self.sources)))]
                clip = source.clips.read(int(rng.integers(len(source.clips))))[: self.samples - at]
                total[at : at + len(clip)] += clip / augment.rms(clip)
                at += len(clip)
        return total


def _draw_probabilities(sources: Sequence[Source]) -> npt.NDArray[np.float64]:
    """Chances per clip for which shares hold in time: long clips are drawn more rarely."""
    seconds = [np.mean([source.clips.samples(i) for i in range(len(source.clips))]) for source in sources]
    weights = np.array([source.share / s for source, s in zip(sources, seconds, strict=True)])
    return np.asarray(weights / weights.sum())


def _samples(seconds: float) -> int:
    return int(seconds * SAMPLE_RATE)
