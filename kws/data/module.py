"""From corpora on disk to batches: the Lightning data module of a recipe."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from kws.data.clips import Clips, load_clips
from kws.data.manifest import Utterance, describe, read_manifest, refuse_shared_speakers
from kws.data.scenes import SceneConfig, SceneDataset, Source
from kws.data.transcripts import transcribe
from kws.errors import KwsError
from kws.lexicon import Lexicon
from kws.model.encoder import Subsampling
from kws.model.frontend import HOP_SAMPLES
from kws.units import SAMPLE_RATE

_FRAME_SAMPLES = HOP_SAMPLES * Subsampling.stride
_LEAD_SAMPLES = SAMPLE_RATE // 2  # silence around a validation clip


class EpochSteps(Sampler[int]):
    """The steps that come next, so that a resumed training goes on with the batches that it had not seen.

    done: tells how many optimiser steps are behind.
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

    keyword: None where none is said. targets: the tokens of the transcript.
    """

    def __init__(self, clips: Clips, targets: Sequence[npt.NDArray[np.int64]], keywords: Sequence[str]) -> None:
        self.clips = clips
        self.targets = targets
        self.keywords = set(keywords)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pcm = np.pad(self.clips.read(index), _LEAD_SAMPLES)
        pcm = np.pad(pcm, (0, -len(pcm) % _FRAME_SAMPLES))
        text = self.clips.utterances[index].text
        keyword = text if text in self.keywords else None
        return {"pcm": torch.from_numpy(pcm)[None], "keyword": keyword, "targets": self.targets[index]}


class SceneModule(pl.LightningDataModule):
    """Batches of scenes for training, whole dev clips for validation.

    speech: folder -> share of the speech time. lexicon spells the transcripts. Clips longer than a row are left out of
    training. words: a closed vocabulary; batches say which of it a row holds.
    """

    def __init__(
        self,
        root: Path,
        speech: dict[str, float],
        noise: str | None,
        lexicon: Lexicon,
        tokens: Sequence[str],
        keywords: Sequence[str],
        words: Sequence[str],
        scenes: SceneConfig,
        seed: int,
        steps_per_epoch: int,
        report: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.words = {word: index for index, word in enumerate(words)}
        self.root, self.speech, self.noise = root, speech, noise
        self.lexicon, self.tokens, self.keywords = lexicon, list(tokens), keywords
        self.scenes, self.seed, self.steps_per_epoch = scenes, seed, steps_per_epoch
        self.report = report
        self.scene_data: SceneDataset | None = None
        self.dev_clips: Clips | None = None

    def prepare(self) -> SceneDataset:
        """Reads manifests, decodes what is not decoded yet, spells transcripts."""
        if self.scene_data is None:
            for folder in self.speech:
                refuse_shared_speakers(self.root / folder)
            sources = {folder: self._source(folder, share) for folder, share in self.speech.items()}
            noise = None if self.noise is None else self._decode(read_manifest(self.root / self.noise, ["train"]))
            self.scene_data = SceneDataset(sources, noise, self.scenes, self.seed, silence=len(self.words))
            dev = [row for folder in self.speech for row in read_manifest(self.root / folder, ["dev"])]
            self.dev_clips = self._decode(dev) if dev else None
        return self.scene_data

    def train_dataloader(self) -> DataLoader[Any]:
        steps = EpochSteps(self.steps_per_epoch, lambda: self.trainer.global_step if self.trainer else 0)
        return DataLoader(
            self.prepare(),
            batch_size=None,
            sampler=steps,
            num_workers=1,
            persistent_workers=True,
            prefetch_factor=4,
        )

    def val_dataloader(self) -> Any:
        self.prepare()
        if self.dev_clips is None:
            return []
        targets, _ = self._spell(self.dev_clips)
        return DataLoader(WholeClips(self.dev_clips, targets, self.keywords), batch_size=None)

    def _source(self, folder: str, share: float) -> Source:
        limit = self.scenes.row_seconds * self.scenes.speed[0]
        rows = [row for row in read_manifest(self.root / folder, ["train"]) if row.seconds < limit and row.text]
        if not rows:
            raise KwsError(f"{self.root / folder} has no training clip with a transcript that fits into {limit:.1f} s")
        clips = self._decode(rows)
        targets, guessed = self._spell(clips)
        self.report(f"{folder}: {describe(clips.utterances)}; {guessed} words not in the dictionary were guessed")
        return Source(clips, targets, share, [self.words.get(row.text, -1) for row in clips.utterances])

    def _spell(self, clips: Clips) -> tuple[list[npt.NDArray[np.int64]], int]:
        """The tokens of each clip's transcript, and how many words were guessed."""
        ids = {token: index for index, token in enumerate(self.tokens)}
        spelled = [transcribe(row.text, self.lexicon) for row in clips.utterances]
        targets = [np.array([ids[phone] for phone in phones], np.int64) for phones, _ in spelled]
        return targets, sum(words for _, words in spelled)

    def _decode(self, rows: Sequence[Utterance]) -> Clips:
        return load_clips(rows, self.root / ".decoded", self.report)
