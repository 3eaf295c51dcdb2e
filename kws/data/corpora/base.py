"""What a corpus is: a declaration, and a function that lists its clips.

`Corpus.prepare` hands the listed `Clip`s to `build`. It decodes each file whole,
because a header says nothing about damage behind it. It names in skipped.csv what
cannot be used, refuses speakers on two sides of a split, and writes manifest.csv and a
marker that says that all is done.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from kws.audio import READING, blocks, lost_sound_before
from kws.data.download import DOWNLOADS, Archive, bring
from kws.data.manifest import (
    AUDIO_SUFFIXES,
    Utterance,
    read_manifest,
    refuse_shared_speakers,
    write_csv,
    write_manifest,
)
from kws.errors import InputError, KwsError, require
from kws.files import write_text
from kws.lexicon import normalise
from kws.units import SAMPLE_RATE

SPLITS = ("train", "dev", "test")
MARKER = "prepared.json"
_OWN_FILES = frozenset({"manifest.csv", "skipped.csv", MARKER})

_BLOCK_SAMPLES = 1 << 16
_BATCH = 4096  # files handed to the threads at once


class Fault(NamedTuple):
    """Why a file is left out: a kind to count by, and a sentence."""

    kind: str
    why: str


@dataclass(frozen=True)
class Clip:
    """One file that a corpus lists; `fault` is set where it is known to be of no use
    before it is decoded.
    """

    audio: Path
    text: str = ""
    speaker: str = ""
    split: str = "train"
    fault: Fault | None = None


Listing = tuple[Sequence[Clip], Sequence[str]]  # clips, and notes for the reader of the report
Skipped = tuple[str, str, str]  # audio, kind, why


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made or found: rows of the manifest, files left out, notes;
    `fresh` unless it was found done.
    """

    manifest: Path
    rows: tuple[Utterance, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    fresh: bool


class AbsentError(KwsError):
    """A corpus is not where it was looked for; `Corpus.prepare` adds what to do."""


@dataclass(frozen=True)
class Corpus:
    """A corpus that `kws data get` knows: each module of this package declares one.

    list: (folder, parts) -> clips and notes; raises AbsentError where the corpus is not
    in the folder. archives: what is fetched, by part; several parts may come in one
    archive. A corpus without archives is given with --from. default: the parts that are
    meant where none is named (empty: each corpus says what then happens). ask: what to
    do for a corpus that is not there, where that is not the usual.
    """

    name: str
    holds: str
    licence: str
    list: Callable[[Path, Sequence[str]], Listing]
    archives: Mapping[str, Archive | tuple[Archive, ...]] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    ask: str = ""

    @property
    def where(self) -> str:
        """Where it comes from, for the table of corpora."""
        if not self.archives:
            return self.ask or "--from FOLDER"
        if len(self.archives) == 1:
            return "--download"
        everything = len(self.default) == len(self.archives)
        usual = [] if everything or not self.default else [f"{' '.join(self.default)} (default)"]
        others = [part for part in self.archives if everything or part not in self.default]
        shown = ", ".join([*usual, *others[:3]]) + (", ..." if len(others) > 3 else "")
        return f"--download; --part {shown}{' (default: all)' if everything else ''}"

    def download(self, root: Path, parts: Sequence[str] = ()) -> None:
        """Fetches and unpacks below `root` what is not there yet; KwsError says what
        stood in the way.
        """
        self.check(parts)
        if not self.archives:
            raise KwsError(f"nothing is fetched for {self.name}: {self.advice}")
        if not (wanted := parts or self.default):
            raise KwsError(f"say what to fetch: --part with one of {', '.join(self.archives)}")
        for part in wanted:
            archives = self.archives[part]
            for archive in archives if isinstance(archives, tuple) else (archives,):
                bring(archive, root, root / archive.into)

    def prepare(self, root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
        """Writes root/manifest.csv about the files of `source` (`root` itself when
        None), without the network.
        """
        self.check(parts)
        source, parts = (source or root).absolute(), tuple(sorted(parts or self.default))
        if self.archives and not source.is_dir():
            raise KwsError(f"{source} is not a folder: {self.advice}")
        return build(root, source, partial(self.found, source, parts), parts=parts)

    def found(self, source: Path, parts: Sequence[str]) -> Listing:
        """What `list` gives; raises KwsError that says what to do where the corpus is
        not there.
        """
        try:
            return self.list(source, parts)
        except AbsentError as error:
            raise KwsError(f"{error}: {self.advice}") from error

    @property
    def advice(self) -> str:
        """What to do where the corpus is not there."""
        usual = "give its folder with --from"
        return self.ask or (f"add --download to fetch it, or {usual}" if self.archives else usual)

    def check(self, parts: Sequence[str]) -> None:
        """Raises KwsError for a part that the corpus does not have."""
        if unknown := [part for part in parts if part not in self.archives]:
            known = ", ".join(self.archives) or "none"
            raise KwsError(f"{self.name} has no part {unknown[0]!r}: its parts are {known}")


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
    done = _read_json(marker)
    if done.get("asked") == request and (root / "manifest.csv").is_file():
        found = _found(root, done["notes"])
        lost = [kind for _, kind, _ in found.skipped if kind == "unreadable"]
        if done.get("reading", 1) == READING or not (lost or any(lost_sound_before(row.audio) for row in found.rows)):
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
    _write_json(marker, {"asked": request, "notes": list(notes), "reading": READING})
    return Prepared(root / "manifest.csv", tuple(rows), tuple(skipped), tuple(notes), fresh=True)


def _found(root: Path, notes: Sequence[str]) -> Prepared:
    with (root / "skipped.csv").open(newline="", encoding="utf-8") as file:
        skipped = tuple((row["audio"], row["kind"], row["why"]) for row in csv.DictReader(file))
    return Prepared(root / "manifest.csv", tuple(read_manifest(root)), skipped, tuple(notes), fresh=False)


def _decode(clips: Sequence[Clip], root: Path) -> tuple[list[Utterance], list[Skipped]]:
    """Rows of the clips that decode to their end, and who fell out; FFmpeg and soxr
    leave Python's lock alone.
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
                    rows.append(Utterance(audio, found, normalise(clip.text), clip.speaker, clip.split))
    return rows, skipped


@contextmanager
def threads() -> Iterator[ThreadPoolExecutor]:
    """A pool that, after Ctrl-C, does not first do all that it was given."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _seconds(clip: Clip) -> float | Fault:
    """How long a file's sound is, decoded to its last sample, or why it is of no use."""
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
    """What reading a file failed of."""
    why = str(error).removeprefix(f"{file} ")
    if isinstance(error.__cause__, InputError):
        return Fault("wrong rate", why)
    return Fault("empty" if why in ("is empty", "has no samples") else "unreadable", why)


def printable(path: Path) -> str:
    """The path with whatever is not UTF-8 in it written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def files_below(folder: Path, suffixes: Iterable[str] | None = AUDIO_SUFFIXES) -> list[Path]:
    """Files below a folder, sorted, but for hidden ones.

    suffixes: the endings wanted, in lower case; None for all. Links to folders are
    followed, each folder once.
    """
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [here / name for name in names if not name.startswith(".")]
    wanted = None if suffixes is None else frozenset(suffixes)
    return sorted(path for path in found if wanted is None or path.suffix.lower() in wanted)


def _fingerprint(folder: Path) -> str:
    """Changes with every file of a corpus, but not with what is written about it or was
    unpacked.
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


def hash_split(name: str) -> str:
    """train, dev or test (about 80, 10 and 10 of 100 names), from the SHA-1 of a name
    alone.

    The rule of Speech Commands (Warden 2018, section 7, `which_set`): a name keeps its
    split when others come or go.
    """
    most = 2**27 - 1
    percent = int(hashlib.sha1(name.encode(errors="surrogateescape")).hexdigest(), 16) % (most + 1) * (100.0 / most)
    return "dev" if percent < 10 else "test" if percent < 20 else "train"


def split_by_file(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Each file with a split from its bytes: copies of one recording, whatever their
    names, share a side.
    """
    for path in paths:
        try:
            name = hashlib.sha1(path.read_bytes()).hexdigest()
        except OSError:
            name = path.name  # it is named as unreadable later
        yield path, hash_split(name)


def keep_held_out(clips: Sequence[Clip]) -> Listing:
    """Sets aside what a published split gives to training although its speaker is held
    out in dev or test.

    A speaker stays in the last of train, dev, test that holds him; his clips elsewhere
    get a fault. Published lists are not always disjoint, and moving clips instead would
    change the published test set.
    """
    place: dict[str, str] = {}
    for clip in clips:
        if clip.speaker:
            place[clip.speaker] = max(place.get(clip.speaker, clip.split), clip.split, key=SPLITS.index)
    kept, aside = [], 0
    for clip in clips:
        home = place.get(clip.speaker, clip.split)
        if home != clip.split and clip.fault is None:
            aside += 1
            fault = Fault("shared speaker", f"its speaker {clip.speaker} is in {home}, and this clip in {clip.split}")
            clip = Clip(clip.audio, clip.text, clip.speaker, clip.split, fault)
        kept.append(clip)
    note = f"{aside} clips set aside: the published split has their speakers on a side that is held out"
    return kept, [note] if aside else []


def first_folder(corpus: str, source: Path, places: Sequence[str]) -> Path:
    """The first of `places` below `source` that is there ("" for itself); AbsentError
    where none is.
    """
    for place in places:
        if (source / place).exists():
            return source / place
    raise AbsentError(f"{corpus} is not in {source} (looked for {', '.join(places)})")


def read_lists(path: Path) -> Any:
    """A JSON file of a corpus; KwsError naming it where it is damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise KwsError(f"{path} cannot be read ({error}): unpack the corpus again") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # not there, or cut off while it was written: not done
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    write_text(path, json.dumps(content, indent=1))
