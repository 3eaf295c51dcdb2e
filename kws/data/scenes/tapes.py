"""Tapes: the clips of a corpus one after another, as a microphone might hear them in an
evening.

A streaming model runs along a tape once, and its output is kept beside the tape: the
scores of a first pass, the embeddings of a teacher. Segments for a verifier are cut
from tapes, together with the sound before a word.

S samples of a tape.
"""

import bisect
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kws.arrays import Samples
from kws.data import augment
from kws.data.clips import Clips
from kws.data.kept import read_kept
from kws.files import read_json, whole, write_text
from kws.log import Log
from kws.units import SAMPLE_RATE, seconds

PCM = npt.NDArray[np.int16]

_GAP_S = (0.1, 1.0)  # silence between clips
_END_S = 2.0  # silence at the end, in which the last word is decided
_CHANGED = 0.75  # share of clips that are played faster or slower, where a range of speeds is given


@dataclass(frozen=True)
class TapeRow:
    """A clip on a tape, from sample `start` to `end`, and its text."""

    start: int
    end: int
    text: str
    speaker: str
    split: str


@dataclass(frozen=True)
class Tape:
    """pcm (S,): 16 kHz, int16. rows: in order of time. folder: holds the tape and
    everything that is found along it.
    """

    pcm: PCM
    rows: tuple[TapeRow, ...]
    folder: Path

    @property
    def hours(self) -> float:
        return seconds(len(self.pcm)) / 3600

    def cut(self, end: int, length: int) -> Samples:
        """(length,) float32 samples up to sample `end`; silence beyond the tape's
        borders.
        """
        piece = np.zeros(length, np.float32)
        start = end - length
        first, last = max(0, start), min(len(self.pcm), end)
        if last > first:
            piece[first - start : last - start] = self.pcm[first:last]
            piece /= 32768.0
        return piece

    def row_at(self, sample: int) -> int | None:
        """The place in `rows` of the clip that began last before a sample; None before
        the first.
        """
        place = bisect.bisect_right(self.rows, sample, key=lambda row: row.start) - 1
        return place if place >= 0 else None

    def kept(self, name: str, make: Callable[["Tape"], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """An array that belongs to the tape: read from beside it, or made and kept
        there.
        """
        path = self.folder / f"{name}.npy"
        array = read_kept(path, _mapped)
        if array is None:
            with whole(path) as partial, partial.open("wb") as file:
                np.save(file, make(self))
            array = _mapped(path)
        return array


def record(clips: Clips, folder: Path, seed: int, speed: tuple[float, float] | None, log: Log) -> Tape:
    """The tape of `clips` in an order drawn by `seed`, kept in a folder below `folder`.

    speed: the range of factors by which clips are played faster; None leaves them.
    """
    key = hashlib.blake2b(repr((clips.key, seed, speed, _GAP_S, _CHANGED)).encode(), digest_size=8).hexdigest()
    home = folder / key
    kept = read_json(home / "rows.json", list)
    sound = None if kept is None else read_kept(home / "pcm.npy", _mapped, log)
    if kept is not None and sound is not None:
        rows = [TapeRow(**row) for row in kept]
    else:
        home.mkdir(parents=True, exist_ok=True)
        pcm, rows = _laid_out(clips, np.random.default_rng(seed), speed)
        with whole(home / "pcm.npy") as partial, partial.open("wb") as file:
            np.save(file, pcm)
        write_text(home / "rows.json", json.dumps([asdict(row) for row in rows]))
        log(f"tape of {len(rows)} clips, {seconds(len(pcm)) / 3600:.2f} h, in {home}")
        sound = _mapped(home / "pcm.npy")
    return Tape(sound, tuple(rows), home)


def _mapped(path: Path) -> npt.NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))


def _laid_out(clips: Clips, rng: np.random.Generator, speed: tuple[float, float] | None) -> tuple[PCM, list[TapeRow]]:
    parts: list[PCM] = []
    rows: list[TapeRow] = []
    at = 0
    for index in rng.permutation(len(clips)).tolist():
        clip = clips.read(index)
        if speed is not None and rng.random() < _CHANGED:
            clip = augment.speed(clip, *speed, rng)
        gap = np.zeros(int(rng.uniform(*_GAP_S) * SAMPLE_RATE), np.int16)
        at += len(gap)
        utterance = clips.utterances[index]
        rows.append(TapeRow(at, at + len(clip), utterance.text, utterance.speaker, utterance.split))
        parts += [gap, np.clip(np.round(clip * 32768.0), -32768, 32767).astype(np.int16)]
        at += len(clip)
    return np.concatenate([*parts, np.zeros(int(_END_S * SAMPLE_RATE), np.int16)]), rows
