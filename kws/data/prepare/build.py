"""Makes a manifest from listed clips: each file is decoded whole, because a header says
nothing about damage behind it.

A file that cannot be used is named in skipped.csv. Speakers on two sides of a split are
refused. A marker, written last, says that all is done.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kws.audio import READING, blocks, lost_sound_before
from kws.data.download import DOWNLOADS
from kws.data.manifest import Utterance, read_manifest, refuse_shared_speakers, write_csv, write_manifest
from kws.data.prepare.clip import Clip, Fault, Listing, files_below, printable
from kws.errors import InputError, KwsError, require
from kws.files import read_json, write_text
from kws.lexicon.text import normalise
from kws.units import SAMPLE_RATE

MARKER = "prepared.json"
_OWN_FILES = frozenset({"manifest.csv", "skipped.csv", MARKER})

_BLOCK_SAMPLES = 1 << 16
_BATCH = 4096  # files handed to the threads at once

Skipped = tuple[str, str, str]  # audio, kind, why


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`: rows of the manifest, files left out, notes. fresh:
    whether it was made now, not found.
    """

    manifest: Path
    rows: tuple[Utterance, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    fresh: bool


def build(root: Path, source: Path, listing: Callable[[], Listing], **asked: object) -> Prepared:
    """Decodes what `listing` gives and writes `root`/manifest.csv and skipped.csv; does
    nothing when that is done.

    Done means: the same source with the same files (names, sizes, times) was prepared
    with the same `asked`, and no older version lost a file or a part of one. Raises
    KwsError when nothing can be used, when a speaker stands in two splits, and when
    `root` holds a manifest that is not this function's.
    """
    for module in ("av", "soxr"):  # without them every file would look damaged
        require(module, extra="audio")
    root, source = root.absolute(), source.absolute()
    if not source.is_dir():
        raise KwsError(f"{source} is not a folder: give the one that holds the recordings")
    request = json.loads(json.dumps({**asked, "source": str(source), "files": _fingerprint(source)}))
    marker = root / MARKER
    done = read_json(marker, dict) or {}
    if done.get("asked") == request and (root / "manifest.csv").is_file() and (root / "skipped.csv").is_file():
        found = _found(root, done)
        lost = [kind for _, kind, _ in found.skipped if kind == "unreadable"]
        reading = done.get("reading", 1)
        if reading == READING or not (lost or any(lost_sound_before(row.audio, reading) for row in found.rows)):
            return found
    if not marker.exists() and (root / "manifest.csv").exists():
        raise KwsError(f"{root / 'manifest.csv'} was not written by `kws data` and is kept: give --root a new folder")
    clips, notes = listing()
    if not clips:
        raise KwsError(f"there are no recordings in {source}: give the folder that holds them with --from")
    root.mkdir(parents=True, exist_ok=True)
    _write_json(marker, {})  # from here on the manifest is ours, also after an interruption
    rows, skipped = _decode(clips, root)
    write_csv(root / "skipped.csv", ("audio", "kind", "why"), skipped)
    if not rows:
        raise KwsError(f"none of the {len(clips)} files of {source} can be used; {skipped[0][0]}: {skipped[0][2]}")
    refuse_shared_speakers(rows, source)
    write_manifest(root / "manifest.csv", rows)
    counts = {"rows": len(rows), "skipped": len(skipped)}
    _write_json(marker, {"asked": request, "notes": list(notes), "reading": READING, **counts})
    return Prepared(root / "manifest.csv", tuple(rows), tuple(skipped), tuple(notes), fresh=True)


def _found(root: Path, done: dict[str, Any]) -> Prepared:
    """What was prepared. A manifest may have been changed by hand, so a shorter one is
    taken and noted; KwsError where nothing can be read of a file.
    """
    manifest, rest = root / "manifest.csv", root / "skipped.csv"
    try:
        rows = read_manifest(root)
        text = rest.read_bytes().decode()
        if not text.endswith("\n"):
            raise ValueError("it is cut")
        table = csv.DictReader(io.StringIO(text, newline=""))
        skipped = [(row["audio"], row["kind"], row["why"]) for row in table]
    except (KwsError, ValueError, KeyError, csv.Error) as error:
        raise KwsError(f"{manifest} and {rest.name} are damaged: delete them, and they are made again") from error
    notes = [
        f"{path} has {len(found)} rows, and {done[kind]} were written: if nobody changed it, delete it, and it is "
        "made again"
        for path, kind, found in ((manifest, "rows", rows), (rest, "skipped", skipped))
        if done.get(kind, len(found)) > len(found)
    ]
    return Prepared(manifest, tuple(rows), tuple(skipped), (*done["notes"], *notes), fresh=False)


def _decode(clips: Sequence[Clip], root: Path) -> tuple[list[Utterance], list[Skipped]]:
    """The rows of the clips that decode to their end, and the clips that were left out.
    Threads serve, since FFmpeg and soxr release Python's lock.
    """
    tqdm = require("tqdm", extra="train").tqdm
    rows, skipped = [], []
    remaining = iter(clips)
    with (
        threads() as pool,
        tqdm(total=len(clips), desc="decoding", unit="file", leave=False, disable=None) as bar,
    ):
        while batch := list(islice(remaining, _BATCH)):
            for clip, found in zip(batch, pool.map(_seconds, batch), strict=True):
                bar.update()
                audio = clip.audio.absolute()
                if isinstance(found, Fault):
                    skipped.append(
                        (printable(audio.relative_to(root) if audio.is_relative_to(root) else audio), *found)
                    )
                else:
                    rows.append(Utterance(audio, found, normalise(clip.text), clip.speaker, clip.split, clip.span))
    return rows, skipped


@contextmanager
def threads() -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that ends promptly after Ctrl-C, without doing the rest of its
    work first.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _seconds(clip: Clip) -> float | Fault:
    """The length of a file's sound in seconds, decoded to its last sample, or the fault
    for which it is left out.
    """
    if clip.fault:
        return clip.fault
    if printable(clip.audio) != str(clip.audio):
        return Fault("unreadable", "its name is not valid UTF-8: rename it")
    try:
        samples = sum(block.size for block in blocks(clip.audio, _BLOCK_SAMPLES))
    except KwsError as error:
        return unreadable(clip.audio, error)
    return round(samples / SAMPLE_RATE, 3)  # as the manifest says it


def unreadable(file: Path, error: KwsError) -> Fault:
    """The fault of a file that could not be read, from the error."""
    why = str(error).removeprefix(f"{file} ")
    if isinstance(error.__cause__, InputError):
        return Fault("wrong rate", why)
    return Fault("empty" if why in ("is empty", "has no samples") else "unreadable", why)


def _fingerprint(folder: Path) -> str:
    """A digest of the files of a corpus; files that kws writes or unpacks there do not
    change it.
    """
    digest = hashlib.sha256()
    for path in files_below(folder, suffixes=None):
        if path.name in _OWN_FILES or path.is_relative_to(folder / DOWNLOADS):
            continue
        try:
            stat = path.stat()
        except OSError:  # a link to nowhere
            digest.update(os.fsencode(path))
            continue
        digest.update(os.fsencode(path) + f" {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    write_text(path, json.dumps(content, indent=1))
