"""From corpora on disk to batches: the Lightning data module of a recipe."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Sampler, Subset

from kws.data.clips import Clips, load_clips, same_samples
from kws.data.manifest import Utterance, describe, read_manifest, refuse_shared_speakers
from kws.data.scenes.dataset import Batch, SceneDataset, SceneSource, Supply
from kws.data.scenes.features import FeatureDataset
from kws.data.shards import Shards, ShardSource, find_shards
from kws.data.transcripts import transcribe
from kws.errors import KwsError
from kws.lexicon import Lexicon
from kws.lexicon.text import phrase_name
from kws.log import Log
from kws.model.encoder import FRAME_SAMPLES
from kws.train.losses.imitation import TaughtScenes, hears_clips
from kws.train.process.ahead import ahead
from kws.train.recipe import Recipe, TrainingCorpus
from kws.train.teacher.targets import ClipTeacher
from kws.units import FLUSH_SAMPLES


class EpochSteps(Sampler[int]):
    """The numbers of the next steps, so that a resumed training goes on with the
    batches that it had not seen.

    done: gives the number of optimiser steps that are done.
    """

    def __init__(self, steps_per_epoch: int, done: Callable[[], int]) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.done = done

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.done(), self.done() + self.steps_per_epoch))


class WholeClips(Dataset[dict[str, Any]]):
    """Validation: one clip at a time with half a second of silence around.

    keyword: the one that is said, None for none. targets: the tokens of the transcript.
    """

    def __init__(self, clips: Clips, targets: Sequence[npt.NDArray[np.int64]], keywords: Sequence[str]) -> None:
        self.clips = clips
        self.targets = targets
        self.keywords = set(keywords)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pcm = np.pad(self.clips.read(index), FLUSH_SAMPLES)
        pcm = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
        text = self.clips.utterances[index].text
        keyword = text if text in self.keywords else None
        return {"pcm": torch.from_numpy(pcm)[None], "keyword": keyword, "targets": self.targets[index]}


@dataclass(frozen=True)
class Speller:
    """Transcripts to targets: the lexicon, the index of each token, and that of each
    word of a closed vocabulary.
    """

    lexicon: Lexicon
    tokens: dict[str, int]
    words: dict[str, int]

    @classmethod
    def of(cls, recipe: Recipe, lexicon: Lexicon) -> "Speller":
        """The speller of the model's tokens and of a recipe's closed vocabulary."""
        tokens = {token: index for index, token in enumerate(recipe.task.model.tokens)}
        return cls(lexicon, tokens, {word: index for index, word in enumerate(recipe.task.words)})

    def __call__(self, clips: Clips, share: float) -> SceneSource:
        return self.source(clips, share)[0]

    def spell(self, clips: Clips) -> tuple[list[npt.NDArray[np.int64]], int]:
        """The tokens of each clip's transcript, and how many words were guessed."""
        spelled = [transcribe(row.text, self.lexicon) for row in clips.utterances]
        targets = [np.array([self.tokens[phone] for phone in phones], np.int64) for phones, _ in spelled]
        return targets, sum(words for _, words in spelled)

    def source(self, clips: Clips, share: float) -> tuple[SceneSource, int]:
        """The clips with their targets, and how many words were guessed."""
        targets, guessed = self.spell(clips)
        return SceneSource(clips, targets, share, [self.words.get(row.text, -1) for row in clips.utterances]), guessed


class SceneModule(pl.LightningDataModule):
    """A recipe's data: batches of training mixtures, and whole dev clips for
    validation.

    Clips longer than a row are left out of training. A folder of `recipe.task.speech`
    may hold a packed corpus instead of a manifest, or be the URL of one
    (kws.data.shards): it is streamed, but for its dev clips. With `recipe.run.features`
    the features of batches are kept in files; otherwise batches are sound, made anew
    each time. Decoded audio is kept below the data folder, or below the output folder
    where corpora are read-only.

    recipe: says which corpora, in which shares and mixtures. lexicon: spells their
    transcripts. log: gets one line about each corpus. Raises KwsError where there is no
    data folder.
    """

    def __init__(self, recipe: Recipe, lexicon: Lexicon, log: Log) -> None:
        super().__init__()
        self.prepare_data_per_node = False
        self.recipe, self.log = recipe, log
        self.root = Path(recipe.task.data)
        if not self.root.is_dir():
            raise KwsError(f"the recipe's data folder {self.root} does not exist: give data=FOLDER")
        self.cache = (self.root if os.access(self.root, os.W_OK) else Path(recipe.run.output)) / ".decoded"
        self.speller = Speller.of(recipe, lexicon)
        self.scene_data: SceneDataset | None = None
        self.teacher: ClipTeacher | None = None
        self.dev_clips: list[Clips] = []

    def prepare_data(self) -> None:
        """Decodes in one process, while the others wait; they find it decoded in
        `setup`.
        """
        self.prepare()

    def setup(self, stage: str) -> None:
        """Loads what the first process has decoded."""
        self.prepare()

    def prepare(self) -> SceneDataset:
        """Reads manifests, decodes the clips that are not decoded yet, and spells
        transcripts.
        """
        if self.scene_data is None:
            r = self.recipe
            shares = {corpus.folder: corpus.share for corpus in r.task.speech}
            packed = {folder: found for folder in shares if (found := find_shards(self.root, folder))}
            if hears_clips(r.task.teacher):
                if packed:
                    raise KwsError(f"a teacher hears no packed corpus: {', '.join(packed)} needs a manifest.csv")
                self.teacher = ClipTeacher(Path(r.task.teacher), self.cache, r.run.accelerator, self.log)
            plain = [folder for folder in shares if folder not in packed]
            for folder in plain:
                refuse_shared_speakers(read_manifest(self.root / folder), self.root / folder)
            sources: dict[str, Supply] = {
                folder: self._streamed(packed[folder], share) if folder in packed else self._source(folder, share)
                for folder, share in shares.items()
            }
            noise, rirs = self._sounds(r.task.noise), self._sounds(r.task.rooms)
            silence = len(self.speller.words)
            self.scene_data = SceneDataset(sources, noise, r.task.scenes, r.optim.seed, silence, rirs)
            dev = [row for folder in plain for row in read_manifest(self.root / folder, ["dev"])]
            learned = [source.clips for source in sources.values() if isinstance(source, SceneSource)]
            self.dev_clips = self._held_out(dev, learned)
            self.dev_clips += [corpus.load(shards) for corpus in packed.values() if (shards := corpus.split("dev"))]
        return self.scene_data

    def _held_out(self, rows: Sequence[Utterance], learned: Sequence[Clips]) -> list[Clips]:
        """The dev clips without those that also stand in the training: these would
        flatter the model.
        """
        if not rows:
            return []
        clips = self._decode(rows)
        if not (copies := same_samples(clips, learned)):
            return [clips]
        for row in copies:
            self.log(f"skipped: {row.audio} is held out and a copy of a training clip")
        self.log(f"skipped {len(copies)} of {len(rows)} dev clips")
        left = [row for row in rows if row not in copies]
        return [self._decode(left)] if left else []

    def train_dataloader(self) -> DataLoader[Any]:
        steps = EpochSteps(self.recipe.optim.steps_per_epoch, lambda: self.trainer.global_step if self.trainer else 0)
        if self.recipe.run.features:  # they take no time to read, and a process of a pool may have none of its own
            return DataLoader(self.batches(), batch_size=None, sampler=steps)
        return ahead(self.batches(), steps, self.recipe.run.workers)

    def batches(self) -> Dataset[Batch]:
        """This process's part of the batches: item `step` is the batch of that step."""
        task, features = self.recipe.task, self.recipe.run.features
        scenes = self.prepare().part(*self._place())
        rows_taught = task.teacher and not hears_clips(task.teacher)
        batches = TaughtScenes(scenes, task.teacher, task.model.tokens) if rows_taught else scenes
        return FeatureDataset(batches, task.model, Path(features)) if features else batches

    def val_dataloader(self) -> Any:
        self.prepare()
        if not self.dev_clips:
            return []
        keywords = [phrase_name(keyword) for keyword in self.recipe.task.keywords]
        parts = [WholeClips(clips, self.speller.spell(clips)[0], keywords) for clips in self.dev_clips]
        whole: Dataset[dict[str, Any]] = ConcatDataset(parts)
        count = sum(map(len, parts))
        rank, world = self._place()
        if count < world:
            raise KwsError(f"{count} dev clips cannot be dealt to {world} processes: train with fewer")
        return DataLoader(Subset(whole, range(rank, count, world)), batch_size=None)

    def _place(self) -> tuple[int, int]:
        """The rank of this process, and the number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _source(self, folder: str, share: float) -> SceneSource:
        limit = self.recipe.task.scenes.longest_s
        rows = [row for row in read_manifest(self.root / folder, ["train"]) if row.seconds < limit and row.text]
        if not rows:
            raise KwsError(f"{self.root / folder} has no training clip with a transcript that fits into {limit:.1f} s")
        clips = self._decode(rows)
        source, guessed = self.speller.source(clips, share)
        self.log(f"{folder}: {describe(clips.utterances)}; {guessed} words not in the dictionary were guessed")
        return source if self.teacher is None else replace(source, taught=self.teacher.hear(clips))

    def _streamed(self, corpus: Shards, share: float) -> ShardSource:
        shards = corpus.split("train")
        if not shards:
            raise KwsError(f"{corpus.base} has no shard of the split train: pack a corpus that has")
        hours = sum(shard.seconds for shard in shards) / 3600
        clips = sum(shard.clips for shard in shards)
        self.log(f"{corpus.base}: {clips} clips, {hours:.2f} h in {len(shards)} shards, streamed")
        return ShardSource(
            corpus, shards, share, self.recipe.task.scenes.longest_s, self.speller, self.recipe.optim.seed
        )

    def _sounds(self, corpus: TrainingCorpus | None) -> Clips | None:
        return None if corpus is None else self._decode(read_manifest(self.root / corpus.folder, ["train"]))

    def _decode(self, rows: Sequence[Utterance]) -> Clips:
        return load_clips(rows, self.cache, self.log)
