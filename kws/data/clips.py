"""Decoded clips in one flat file: audio is decoded once, and training reads memory
instead of codecs.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from kws.arrays import Samples
from kws.audio import READING, lost_sound_before, read
from kws.data.kept import tell_damaged
from kws.data.manifest import Utterance
from kws.errors import KwsError
from kws.files import read_json, whole, write_text
from kws.log import Log

PCM = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Clips:
    """Decoded clips. `utterances[i]` is pcm[starts[i] : starts[i + 1]] (int16, 16 kHz);
    `skipped` names the clips that could not be decoded.

    key: a digest of the files and of the times at which they were changed.
    """

    utterances: tuple[Utterance, ...]
    pcm: PCM
    starts: npt.NDArray[np.int64]
    skipped: tuple[str, ...]
    key: str = ""

    def __len__(self) -> int:
        return len(self.utterances)

    def samples(self, index: int) -> int:
        """The samples of clip `index`."""
        return int(self.starts[index + 1] - self.starts[index])

    def read(self, index: int, start: int = 0, samples: int | None = None) -> Samples:
        """Clip `index` as float32 in [-1, 1], at most `samples` of it, from sample
        `start` on.
        """
        first, end = int(self.starts[index]) + start, int(self.starts[index + 1])
        clip = self.pcm[first : end if samples is None else min(end, first + samples)].astype(np.float32)
        clip /= 32768.0
        return clip


def load_clips(utterances: Sequence[Utterance], cache: Path, log: Log) -> Clips:
    """Decodes `utterances` into `cache` (or finds them there) and maps the result.

    A clip that cannot be decoded is named in `skipped`, counted, and left out. `log`
    gets one line about them. The cache's name depends on every path, size and time of
    change, so that a changed corpus is decoded anew; a decoding that was killed leaves
    nothing that a later one would take for complete.
    """
    names = [*map(_identity, utterances)]
    key = _key(names)
    if _is_outdated(cache / f"{key}.json", utterances):
        key = _key([*names, f"read {READING}"])
    pcm_path, index_path = cache / f"{key}.pcm", cache / f"{key}.json"
    index = read_json(index_path, dict)
    if index and pcm_path.is_file() and pcm_path.stat().st_size != 2 * index["starts"][-1]:
        tell_damaged(pcm_path, log)
        index = None
    if not index or not pcm_path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        index = _decode(utterances, pcm_path, index_path)
    kept = tuple(utterances[i] for i in index["kept"])
    if not kept:
        raise KwsError(f"none of the {len(utterances)} clips could be read; the first error: {index['skipped'][:1]}")
    if index["skipped"]:
        log(f"skipped {len(index['skipped'])} of {len(utterances)} clips, for example: {index['skipped'][0]}")
    pcm = np.asarray(np.memmap(pcm_path, dtype=np.int16, mode="r"))  # views of a plain array cost less to make
    return Clips(kept, pcm, np.array(index["starts"], dtype=np.int64), tuple(index["skipped"]), key)


def same_samples(held_out: Clips, learned: Sequence[Clips]) -> list[Utterance]:
    """The held-out clips with a text that also stand among the learned clips, sample by
    sample.
    """
    lengths = {held_out.samples(i) for i, row in enumerate(held_out.utterances) if row.text}
    known = {_digest(clips, i) for clips in learned for i in range(len(clips)) if clips.samples(i) in lengths}
    return [row for i, row in enumerate(held_out.utterances) if row.text and _digest(held_out, i) in known]


def _digest(clips: Clips, index: int) -> bytes:
    return hashlib.blake2b(clips.pcm[clips.starts[index] : clips.starts[index + 1]].tobytes(), digest_size=16).digest()


def _key(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _is_outdated(index_path: Path, utterances: Sequence[Utterance]) -> bool:
    """Whether clips were decoded by an older version that skipped some, or lost sound
    of some.
    """
    index = read_json(index_path, dict)
    if not index:
        return False
    reading = index.get("reading", 1)
    lost = index["skipped"] or any(lost_sound_before(utterance.audio, reading) for utterance in utterances)
    return reading != READING and bool(lost)


def _identity(utterance: Utterance) -> str:
    try:
        stat = utterance.audio.stat()
    except OSError:
        return f"{utterance.audio} missing"
    return f"{utterance.audio} {stat.st_size} {stat.st_mtime_ns}"


def _decode(utterances: Sequence[Utterance], pcm_path: Path, index_path: Path) -> dict[str, Any]:
    kept, starts, skipped = [], [0], []
    with whole(pcm_path, shared=True) as partial, partial.open("wb") as out:  # another training may decode the same
        for i, utterance in enumerate(tqdm(utterances, "decoding", unit="clip", leave=False, disable=None)):
            try:
                samples = read(utterance.audio)
            except KwsError as error:
                skipped.append(str(error))
                continue
            pcm = np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2")
            out.write(pcm.tobytes())
            kept.append(i)
            starts.append(starts[-1] + len(pcm))
    index = {"kept": kept, "starts": starts, "skipped": skipped, "reading": READING}
    write_text(index_path, json.dumps(index), shared=True)
    return index
