"""A user's own recordings of one phrase: a plain folder becomes a corpus with a
manifest.

Every sound file below the folder is the phrase, said once; a folder inside it is one
speaker, files that lie directly in it are of speakers unknown. Where the folder has a
manifest.csv, its rows whose text is the phrase are taken instead. What lies in
`negatives/` is anything but the phrase; it takes no part in training.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kws.data.manifest import AUDIO_SUFFIXES, Utterance, may_be_sound, read_manifest, rows_of
from kws.data.prepare.build import Prepared, build
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.data.prepare.usable import LOOKED, Wanted, looked_at
from kws.errors import KwsError
from kws.lexicon.text import says
from kws.log import Log

NEGATIVES = "negatives"
_OTHER = Fault("other", "is passed over: its name does not end as that of a sound file does")
_HELD_OUT = 5  # one recording, or one speaker, in so many is kept for the test
_ENOUGH = 3  # speakers or recordings: of fewer none can be spared


class Recordings(NamedTuple):
    """The corpus of a phrase's recordings. digest: changes with every recording.
    negatives: recordings of anything else.
    """

    folder: Path
    rows: tuple[Utterance, ...]
    digest: str
    negatives: tuple[Utterance, ...]

    @property
    def held_out(self) -> list[Utterance]:
        return [row for row in self.rows if row.split == "dev"]


def prepare(source: Path, phrase: str, root: Path, wanted: Wanted, log: Log) -> Recordings:
    """Writes the manifest of the recordings of `phrase` in `source` below `root`; files
    stay where they are.

    A fifth is held out as split "dev": whole speakers where there are three or more,
    files otherwise (the speaker is then left empty, for such a split does not keep
    speakers apart). A file or a row that cannot be read, or is of no use
    (`kws.data.prepare.usable`), is named and skipped; no copy is left that could be
    held out. Idempotent. Raises KwsError when there are not two recordings.
    """
    asked = {"looked": LOOKED, "longest_s": wanted.longest_s}
    prepared = build(root, source, partial(_list, source, phrase, wanted, log), phrase=phrase, **asked)
    _tell(prepared, "recordings", log)
    if len(prepared.rows) == 1:
        raise KwsError(
            f"{source} holds one recording of {phrase!r} that can be used: give 10 or more, best of several speakers"
        )
    digest = hashlib.sha256(b"".join(hashlib.sha256(row.audio.read_bytes()).digest() for row in prepared.rows))
    others: tuple[Utterance, ...] = ()
    if (source / NEGATIVES).is_dir() and files_below(source / NEGATIVES):
        said = [Clip(row.audio) for row in prepared.rows]
        listing = partial(_list_others, source / NEGATIVES, said, log)
        found = build(root / NEGATIVES, source / NEGATIVES, listing, looked=LOOKED, beside=digest.hexdigest())
        _tell(found, "negatives", log)
        others = found.rows
    return Recordings(root.absolute(), prepared.rows, digest.hexdigest()[:8], others)


def _tell(prepared: Prepared, what: str, log: Log) -> None:
    for audio, _, why in prepared.skipped:
        log(f"skipped: {audio} {why}")
    if prepared.skipped:
        log(f"skipped {len(prepared.skipped)} of {len(prepared.skipped) + len(prepared.rows)} {what}")
    for note in prepared.notes:
        log(f"note: {note}")


def _list(source: Path, phrase: str, wanted: Wanted, log: Log) -> Listing:
    others: list[Clip] = []
    if (source / "manifest.csv").exists():
        faults: list[str] = []
        rows = [row for row in read_manifest(source, faults=faults) if says(row.text, phrase)]
        for fault in faults:
            log(f"skipped: {fault}")
        clips = list({row.audio: Clip(row.audio, phrase, row.speaker) for row in rows}.values())  # each file once
    else:
        files = [
            (file, file.relative_to(source).parts[:-1]) for file in files_below(source, None) if may_be_sound(file)
        ]
        said = [(file, at) for file, at in files if at[:1] != (NEGATIVES,)]
        clips = [Clip(file, phrase, "/".join(at)) for file, at in said if file.suffix.lower() in AUDIO_SUFFIXES]
        others = [Clip(file, fault=_OTHER) for file, _ in said if file.suffix.lower() not in AUDIO_SUFFIXES]
    if not clips:
        lies_there = f", {others[0].audio.name} is none by its name" if others else ""
        raise KwsError(f"{source} holds no recordings of {phrase!r}: put sound files into it{lies_there}")
    judged, notes = looked_at(clips, source, wanted)
    usable = [clip for clip in judged if clip.fault is None]
    speakers = {clip.speaker for clip in usable}
    if len(usable) > 1 and len(speakers) == 1 and "" not in speakers:
        notes = [*notes, f"all recordings are of one speaker, {speakers.pop()}: of others nothing is learned or tested"]
    return [*_hold_out(usable), *(clip for clip in judged if clip.fault), *others], notes


def _list_others(folder: Path, said: Sequence[Clip], log: Log) -> Listing:
    """The clips of anything but the phrase. A copy of a recording of the phrase is left
    out.
    """
    faults: list[str] = []
    clips = [Clip(row.audio, row.text, row.speaker, "dev") for row in rows_of([str(folder)], faults)]
    for fault in faults:
        log(f"skipped: {fault}")
    return looked_at(clips, folder, Wanted(), said)


def _hold_out(clips: Sequence[Clip]) -> list[Clip]:
    """Puts a fifth of the speakers, or else of the files, into "dev"."""
    speakers = {clip.speaker for clip in clips}
    by_speaker = len(speakers) >= _ENOUGH and "" not in speakers
    keys = [clip.speaker if by_speaker else str(clip.audio) for clip in clips]
    order = [key for key, _ in Counter(keys).most_common()]  # those who gave most are worth most in training
    held_out = set(order[_ENOUGH - 1 :: _HELD_OUT]) if len(order) >= _ENOUGH else set()
    return [
        replace(clip, split="dev" if key in held_out else "train", speaker=clip.speaker if by_speaker else "")
        for clip, key in zip(clips, keys, strict=True)
    ]
