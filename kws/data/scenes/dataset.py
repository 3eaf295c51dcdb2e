"""Training mixtures, here called scenes: rows of audio of a fixed length, and the
tokens said in them.

A scene is made of clips, one after another. What surrounds them is drawn anew for every
scene (surroundings.py). A batch is a function of (seed, step) alone, so that a resumed
training sees what an uninterrupted one would have seen.

Shapes: B rows, S samples of a row.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from kws.arrays import Float16Array, Samples
from kws.data import augment
from kws.data.clips import Clips
from kws.data.scenes.config import SceneConfig
from kws.data.scenes.surroundings import SPEECH_DBFS, Surroundings, happens
from kws.data.scenes.taught import Taught
from kws.errors import KwsError
from kws.model.encoder import FRAME_SAMPLES
from kws.units import SAMPLE_RATE

Batch = dict[str, torch.Tensor]
_TRIES = 4  # clips drawn in vain before a row counts as full


@dataclass(frozen=True)
class SceneSource:
    """A corpus that scenes draw clips from.

    share: its part of the speech time. targets[i]: the tokens of clip i. words[i]: the
    index in a closed vocabulary of the word that clip i says, -1 where it says none of
    them. taught: what a teacher makes of the clips.
    """

    clips: Clips
    targets: Sequence[npt.NDArray[np.int64]]
    share: float
    words: Sequence[int] = ()
    taught: Taught | None = None

    @property
    def identity(self) -> str:
        """A digest of the clips and of their targets."""
        said = hashlib.blake2b(repr((self.clips.key, self.share, list(self.words))).encode(), digest_size=16)
        for target in self.targets:
            said.update(target.tobytes() + b"|")
        if self.taught is not None:
            said.update(self.taught.key.encode())
        return said.hexdigest()

    @property
    def mean_samples(self) -> float:
        """The mean length of a clip."""
        return float(np.mean([self.clips.samples(i) for i in range(len(self.clips))]))

    def at(self, drawn: int) -> "SceneSource":
        """The source for the next clip after `drawn` others: itself, since all clips
        are open at any time.
        """
        return self

    def part(self, rank: int, world: int) -> "SceneSource":
        """The source for process `rank` of `world`: itself, as the processes draw
        different rows.
        """
        return self


class Supply(Protocol):
    """A corpus of which some clips are open at a time: a `SceneSource`, or a streamed
    corpus of kws.data.shards.
    """

    @property
    def share(self) -> float:
        """Its part of the speech time."""

    @property
    def mean_samples(self) -> float:
        """The mean length of a clip."""

    def at(self, drawn: int) -> SceneSource:
        """The source of the next clip after `drawn` others."""

    def part(self, rank: int, world: int) -> "Supply":
        """The supply for process `rank` of `world`."""


_Places = list[tuple[SceneSource, npt.NDArray[np.int64]]]  # clips of one word, by corpus


class _Row(NamedTuple):
    pcm: Samples
    targets: npt.NDArray[np.int64]
    word: int
    dry: Samples
    taught: Float16Array | None = None


class SceneDataset(Dataset[Batch]):
    """Item `step` is the batch of that step: pcm (B, S), targets (sum of lengths,),
    target_lengths (B,), words (B,), and where the sources were taught, taught (B, T,
    V), T frames of 40 ms, V tokens: the teacher's log-posteriors of the speech alone.

    words: the vocabulary's index of the one word that a row says, `silence` for a row
    without speech, -1 for any other row. rirs: recorded room impulse responses, used
    beside those that are simulated anew each time.
    """

    def __init__(
        self,
        sources: Mapping[str, Supply],
        noise: Clips | None,
        config: SceneConfig,
        seed: int,
        silence: int = -1,
        rirs: Clips | None = None,
    ) -> None:
        self.sources = list(sources.values())
        self._shown: list[SceneSource] = []
        self.noise = noise
        self.rirs = rirs
        self.config = config
        self.seed = seed
        self.silence = silence
        self.samples = int(config.row_seconds * SAMPLE_RATE)
        self.rows = range(config.rows)
        self._draw = _draw_probabilities(self.sources)
        self._clips_per_row = _clips_per_row(config, self.sources, self._draw)
        self._by_word: list[_Places] = []
        self._surroundings = Surroundings(config, self.samples, noise, rirs, self._voice)
        self._with_dry = False

    def __getitem__(self, step: int) -> Batch:
        self._show(step)
        rows = [self._row(np.random.default_rng((self.seed, step, row))) for row in self.rows]
        more = {"dry": torch.from_numpy(np.stack([row.dry for row in rows]))} if self._with_dry else {}
        if taught := [row.taught for row in rows if row.taught is not None]:
            more["taught"] = torch.from_numpy(np.stack(taught))
        return more | {
            "pcm": torch.from_numpy(np.stack([row.pcm for row in rows])),
            "targets": torch.from_numpy(np.concatenate([row.targets for row in rows])),
            "target_lengths": torch.tensor([len(row.targets) for row in rows]),
            "words": torch.tensor([row.word for row in rows]),
        }

    def identity(self) -> str:
        """A digest of everything that determines the batches. Raises KwsError where a
        corpus is streamed: it may change unnoticed.
        """
        if not all(isinstance(source, SceneSource) for source in self.sources):
            raise KwsError("features= keeps batches of corpora with a manifest, not of packed ones: leave it out")
        sources = [source.identity for source in self.sources if isinstance(source, SceneSource)]
        sounds = [clips.key if clips else "" for clips in (self.noise, self.rirs)]
        return repr((sources, sounds, self.config, self.seed, self.silence, self.rows))

    def _show(self, step: int) -> None:
        """Opens the sources of this step."""
        drawn = step * len(self.rows) * self._clips_per_row
        shown = [source.at(int(drawn * p)) for source, p in zip(self.sources, self._draw, strict=True)]
        if list(map(id, shown)) != list(map(id, self._shown)):
            self._shown, self._by_word = shown, _places_of_words(shown)

    def part(self, rank: int, world: int) -> "SceneDataset":
        """A dataset of process `rank` of `world`: of each batch the rows `rank`, `rank
        + world` and so on.
        """
        mine = self._copy()
        mine.rows = self.rows[rank::world]
        mine.sources = [source.part(rank, world) for source in self.sources]
        return mine

    def with_dry(self) -> "SceneDataset":
        """The same batches with `dry` (B, S) beside pcm: the speech before it is placed
        in its surroundings.
        """
        more = self._copy()
        more._with_dry = True
        return more

    def _copy(self) -> "SceneDataset":
        """A copy whose surroundings draw voices from its own sources."""
        mine = copy(self)
        mine._surroundings = Surroundings(self.config, self.samples, self.noise, self.rirs, mine._voice)
        return mine

    def _row(self, rng: np.random.Generator) -> _Row:
        c = self.config
        row = np.zeros(self.samples, np.float32)
        teacher = self._shown[0].taught
        taught = None if teacher is None else teacher.silence(self.samples // FRAME_SAMPLES)
        if happens(c.empty_probability, rng):
            return _Row(self._surroundings.place(row, rng), np.zeros(0, np.int64), self.silence, row, taught)
        targets: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
        words: list[int] = []
        at = _samples(rng.uniform(*c.gap_seconds))
        tries = 0
        while tries < _TRIES and len(words) < c.most_clips:
            source, index = self._pick(rng)
            latest = self.samples - math.ceil(source.clips.samples(index) / c.slowest)
            if c.most_clips == 1:
                at = max(0, min(at, latest))  # a clip that starts too late would leave the row without speech
            if at > latest:
                tries += 1
                continue
            clip = self._said(source.clips.read(index), rng)
            row[at : at + len(clip)] = clip
            if taught is not None and source.taught is not None:
                source.taught.lay(taught, index, at, source.clips.samples(index), len(clip))
            targets.append(source.targets[index])
            words.append(source.words[index] if source.words else -1)
            at += len(clip) + _samples(rng.uniform(*c.gap_seconds))
        word = words[0] if len(words) == 1 else -1
        return _Row(self._surroundings.place(row, rng), np.concatenate(targets), word, row, taught)

    def _pick(self, rng: np.random.Generator) -> tuple[SceneSource, int]:
        """A random clip: by the shares of the corpora, and with each word of a closed
        vocabulary as often as any other.
        """
        if not self._by_word:
            source = self._shown[rng.choice(len(self._shown), p=self._draw)]
            return source, int(rng.integers(len(source.clips)))
        places = self._by_word[rng.integers(len(self._by_word))]
        shares = np.array([source.share for source, _ in places])
        source, indices = places[rng.choice(len(places), p=shares / shares.sum())]
        return source, int(indices[rng.integers(len(indices))])

    def _said(self, clip: Samples, rng: np.random.Generator) -> Samples:
        """A clip played faster or slower, higher or lower, sooner or later, at a random
        level.
        """
        c = self.config
        if happens(c.stretch_probability, rng):
            clip = augment.stretch(clip, c.tempo, c.semitones, rng)
        else:
            clip = augment.speed(clip, *c.speed, rng)
        if c.shift_seconds:
            clip = augment.shift(clip, _samples(c.shift_seconds), rng)
        gain = augment.decibels(SPEECH_DBFS + rng.uniform(*c.clip_gain_db)) / augment.speech_level(clip)
        return clip * gain

    def _voice(self, most: int, rng: np.random.Generator) -> Samples:
        """The begin of a random clip, at most so many samples."""
        source = self._shown[int(rng.integers(len(self._shown)))]
        return source.clips.read(int(rng.integers(len(source.clips))), samples=most)


def _draw_probabilities(sources: Sequence[Supply]) -> npt.NDArray[np.float64]:
    """The probability of each clip for which shares hold in time: long clips are drawn
    more rarely.
    """
    weights = np.array([source.share / source.mean_samples for source in sources])
    return np.asarray(weights / weights.sum())


def _clips_per_row(config: SceneConfig, sources: Sequence[Supply], draw: npt.NDArray[np.float64]) -> float:
    """The approximate number of clips in a row."""
    seconds = sum(p * source.mean_samples / SAMPLE_RATE for source, p in zip(sources, draw, strict=True))
    fit = config.row_seconds / (seconds + float(np.mean(config.gap_seconds)))
    return float(min(config.most_clips, fit) * (1.0 - config.empty_probability))


def _places_of_words(sources: Sequence[SceneSource]) -> list[_Places]:
    """For each word of the closed vocabulary that some clip says: the corpora and clips
    that say it.
    """
    known = sorted({word for source in sources for word in source.words if word >= 0})
    found = [[(source, np.flatnonzero(np.array(source.words) == word)) for source in sources] for word in known]
    return [[(source, indices) for source, indices in places if len(indices)] for places in found]


def _samples(seconds: float) -> int:
    return int(seconds * SAMPLE_RATE)
