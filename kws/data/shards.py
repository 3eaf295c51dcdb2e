"""Shards: a corpus packed once into tar files that training streams from a disk or from
object storage.

The format is WebDataset's (https://github.com/webdataset/webdataset): the files of one
clip stand side by side in a tar archive under one name, here 16 kHz mono FLAC and a
JSON of what the manifest says. Its library, 1.0.2, needs numpy and two small packages
and imports in 0.04 s; Lhotse 1.33, whose Shar files were the other choice, brings five
packages and a second idea of what a corpus is. WebDataset cannot say where in an epoch
a reader is, so the order lies here: an epoch is a permutation of the shards, dealt to
the readers and taken a few at a time. Such a window is the shuffle buffer, clips are
drawn from it at random. What is in the window of a step follows from the seed and from
shards.json, which counts the clips of each shard; to go on in the middle of an epoch
opens no shard that is behind.
"""

import io
import json
import logging
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kws.audio import read
from kws.data.clips import PCM, Clips
from kws.data.manifest import Utterance, read_manifest, refuse_shared_speakers
from kws.data.scenes.dataset import SceneSource
from kws.errors import KwsError, require
from kws.files import whole, write_text
from kws.log import Log
from kws.units import SAMPLE_RATE

INDEX = "shards.json"
_FORMAT = "kws.shards.1"
_WINDOW_SHARDS = 2
_PACKING_SEED = 0  # the order within a split is drawn once: manifests are sorted by word or speaker


@dataclass(frozen=True)
class Shard:
    """One tar file of clips of one split."""

    file: str
    split: str
    clips: int
    seconds: float


@dataclass(frozen=True)
class Shards:
    """A packed corpus. base: a folder or a URL. skipped: the clips that could not be
    decoded when it was packed.
    """

    base: str
    shards: tuple[Shard, ...]
    skipped: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[Shard, ...]:
        """The shards of a split."""
        return tuple(shard for shard in self.shards if shard.split == name)

    def load(self, shards: Sequence[Shard], fits: Callable[[Utterance], bool] = lambda row: True) -> Clips:
        """The clips of some shards that fit, decoded in memory; damaged ones are named
        in `skipped` and in the log.

        Raises KwsError for a shard that does not arrive whole: without its clips a
        resumed training would differ.
        """
        skipped: list[str] = []
        found = [(row, pcm) for shard in shards for row, pcm in self._members(shard, skipped.append) if fits(row)]
        for line in skipped:
            logging.getLogger(__name__).warning("skipped %s", line)
        starts = np.cumsum([0, *(len(pcm) for _, pcm in found)], dtype=np.int64)
        joined = np.concatenate([np.zeros(0, np.int16), *(pcm for _, pcm in found)])
        return Clips(tuple(row for row, _ in found), joined, starts, tuple(skipped))

    def _members(self, shard: Shard, skip: Callable[[str], None]) -> Iterator[tuple[Utterance, PCM]]:
        url, seen = f"{self.base}/{shard.file}", 0
        try:
            for member in require("webdataset", extra="train").tarfile_samples([{"url": url}]):
                seen += 1
                try:
                    clip = _clip(member)
                except (KeyError, ValueError, TypeError) as error:
                    skip(f"{member['__key__']} of {url}: {error}")
                else:
                    yield clip
        except (OSError, EOFError, ValueError, tarfile.TarError) as error:
            raise KwsError(f"{url} cannot be read to its end ({error}): give the command again when it can") from error
        if seen != shard.clips:
            raise KwsError(
                f"{url} holds {seen} clips, {INDEX} counts {shard.clips}: it is damaged, copy or pack it again"
            )


def pack(manifest: Path, folder: Path, clips_per_shard: int, log: Log) -> Shards:
    """Packs the corpus of a manifest into `folder`, each split for itself, and returns
    what is there then.

    A clip that cannot be decoded is named, counted and left out. The index is written
    last: what was killed is no packed corpus. Raises KwsError when shards lie there
    already or a speaker stands in two splits.
    """
    if (folder / INDEX).exists():
        raise KwsError(f"{folder} holds a packed corpus already: delete it or choose another folder")
    if clips_per_shard < 1:
        raise KwsError(f"{clips_per_shard} clips to a shard: give 1 or more")
    rows = read_manifest(manifest)
    refuse_shared_speakers(rows, manifest)
    skipped: list[str] = []
    shards: list[Shard] = []
    folder.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(rows), desc="packing", unit="clip", leave=False, disable=None) as bar:
        for split in sorted({row.split for row in rows}):
            chosen = [row for row in rows if row.split == split]
            order = np.random.default_rng(_PACKING_SEED).permutation(len(chosen))
            clips = _decoded((chosen[i] for i in order), skipped.append, bar.update)
            for number in count():
                shard = _write_shard(folder / f"{split or 'all'}-{number:06d}.tar", split, clips, clips_per_shard)
                if shard is None:
                    break
                shards.append(shard)
    if not shards:
        raise KwsError(f"none of the {len(rows)} clips of {manifest} could be read; the first error: {skipped[:1]}")
    if skipped:
        log(f"skipped {len(skipped)} of {len(rows)} clips, named in {folder / INDEX}, for example: {skipped[0]}")
    index = {"format": _FORMAT, "shards": [vars(shard) for shard in shards], "skipped": skipped}
    write_text(folder / INDEX, json.dumps(index, indent=1))
    return Shards(str(folder), tuple(shards), tuple(skipped))


def _decoded(
    rows: Iterator[Utterance], skip: Callable[[str], None], done: Callable[[], Any]
) -> Iterator[tuple[Utterance, PCM]]:
    for row in rows:
        try:
            samples = read(row.audio)
        except KwsError as error:
            skip(str(error))
        else:
            yield row, np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)
        done()


def _write_shard(path: Path, split: str, clips: Iterator[tuple[Utterance, PCM]], most: int) -> Shard | None:
    """The next clips, whole or not at all; None when there are no more."""
    soundfile, webdataset = require("soundfile", extra="audio"), require("webdataset", extra="train")
    if (first := next(clips, None)) is None:
        return None
    written = samples = 0
    with whole(path) as partial, webdataset.TarWriter(str(partial), encoder=False, mtime=0) as tar:
        for row, pcm in chain([first], clips):
            flac = io.BytesIO()
            soundfile.write(flac, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            data = flac.getvalue()
            said = {"audio": row.audio.name, "text": row.text, "speaker": row.speaker, "split": row.split}
            about = said | {"samples": len(pcm), "crc32": zlib.crc32(data)}
            tar.write({"__key__": f"{path.stem}-{written:06d}", "flac": data, "json": json.dumps(about).encode()})
            written, samples = written + 1, samples + len(pcm)
            if written == most:
                break
    return Shard(path.name, split, written, round(samples / SAMPLE_RATE, 3))


def find_shards(root: Path, folder: str) -> Shards | None:
    """The packed corpus at a URL or in a folder below `root`; None where the folder is
    not a packed corpus.

    Raises KwsError when the index cannot be opened or is not one.
    """
    if "://" not in folder and not (root / folder / INDEX).is_file():
        return None
    base = folder.rstrip("/") if "://" in folder else str(root / folder)
    try:
        with require("webdataset", extra="train").gopen(f"{base}/{INDEX}") as stream:
            index = json.loads(stream.read())
        if index["format"] != _FORMAT:
            raise KwsError(f"{base}/{INDEX} is of format {index['format']}, not {_FORMAT}: pack the corpus anew")
        return Shards(base, tuple(Shard(**shard) for shard in index["shards"]), tuple(index["skipped"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KwsError(f"{base}/{INDEX} cannot be read as the index of a packed corpus: {error}") from error


def _clip(member: dict[str, Any]) -> tuple[Utterance, PCM]:
    soundfile = require("soundfile", extra="audio")
    about = json.loads(member["json"])
    if zlib.crc32(member["flac"]) != about["crc32"]:
        raise ValueError("its audio has another checksum than when it was packed")
    pcm, _ = soundfile.read(io.BytesIO(member["flac"]), dtype="int16")
    row = Utterance(Path(about["audio"]), len(pcm) / SAMPLE_RATE, about["text"], about["speaker"], about["split"])
    return row, pcm


@dataclass(frozen=True)
class ShardSource:
    """A packed corpus in the mix: `source` spells its clips, those of a window at a
    time.

    shards: those of the training split. part of parts: which reader this is; readers
    see different shards. longest_s: clips that are longer, or without a transcript, are
    left out.
    """

    corpus: Shards
    shards: tuple[Shard, ...]
    share: float
    longest_s: float
    source: Callable[[Clips, float], SceneSource]
    seed: int
    rank: int = 0
    world: int = 1
    _held: dict[tuple[int, int], SceneSource] = field(default_factory=dict, compare=False)

    @property
    def mean_samples(self) -> float:
        """The mean length of a clip."""
        return sum(s.seconds for s in self.shards) * SAMPLE_RATE / sum(s.clips for s in self.shards)

    def part(self, rank: int, world: int) -> "ShardSource":
        """The source for reader `rank` of `world`."""
        if len(self.shards) < world:
            raise KwsError(
                f"the {len(self.shards)} shards of {self.corpus.base} cannot be dealt to {world} processes: pack the "
                "corpus with fewer clips to a shard"
            )
        return replace(self, rank=rank, world=world, _held={})

    def windows(self, epoch: int) -> list[tuple[Shard, ...]]:
        """This reader's shards of an epoch in the order of that epoch, in windows."""
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.shards))[self.rank :: self.world]
        mine = [self.shards[i] for i in order]
        return [tuple(mine[i : i + _WINDOW_SHARDS]) for i in range(0, len(mine), _WINDOW_SHARDS)]

    def at(self, drawn: int) -> SceneSource:
        """The window that holds clip `drawn` of this reader's endless stream of epochs;
        one is held at a time.
        """
        for (first, end), source in self._held.items():
            if first <= drawn < end:
                return source
        behind = 0
        for epoch in count():
            for window in self.windows(epoch):
                first, behind = behind, behind + sum(shard.clips for shard in window)
                if drawn < behind:
                    self._held.clear()
                    self._held[first, behind] = self._open(window)
                    return self._held[first, behind]
        raise AssertionError("a stream of epochs has no end")

    def _open(self, window: tuple[Shard, ...]) -> SceneSource:
        clips = self.corpus.load(window, lambda row: bool(row.text) and row.seconds < self.longest_s)
        if not len(clips):
            files = ", ".join(shard.file for shard in window)
            raise KwsError(f"{self.corpus.base}: no clip of {files} has a transcript and fits into a row")
        return self.source(clips, self.share)
