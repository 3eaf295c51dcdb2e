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

from kws.data.corpora.base import Clip, Fault, Listing, build, files_below
from kws.data.manifest import AUDIO_SUFFIXES, Utterance, may_be_sound, read_manifest
from kws.errors import KwsError
from kws.lexicon import says
from kws.log import Log

NEGATIVES = "negatives"
_OTHER = Fault("other", "is passed over: its name does not end as that of a sound file does")
_HELD_OUT = 5  # one recording, or one speaker, in so many is kept for the test
_ENOUGH = 3  # speakers or recordings: of fewer none can be spared


class Recordings(NamedTuple):
    """The corpus. digest: changes with every recording. negatives: a folder, if there
    is one.
    """

    folder: Path
    rows: tuple[Utterance, ...]
    digest: str
    negatives: Path | None

    @property
    def held_out(self) -> list[Utterance]:
        return [row for row in self.rows if row.split == "dev"]


def prepare(source: Path, phrase: str, root: Path, log: Log) -> Recordings:
    """Writes the manifest of the recordings of `phrase` in `source` below `root`; files
    stay where they are.

    A fifth is held out as split "dev": whole speakers where there are three or more,
    files otherwise (the speaker is then left empty, for such a split does not keep
    speakers apart). A file or a row that cannot be read is named and skipped.
    Idempotent. Raises KwsError when there is no recording.
    """
    prepared = build(root, source, partial(_list, source, phrase, log), phrase=phrase)
    for audio, _, why in prepared.skipped:
        log(f"skipped: {audio} {why}")
    if prepared.skipped:
        log(f"skipped {len(prepared.skipped)} of {len(prepared.skipped) + len(prepared.rows)} recordings")
    digest = hashlib.sha256(b"".join(hashlib.sha256(row.audio.read_bytes()).digest() for row in prepared.rows))
    negatives = source / NEGATIVES
    found = negatives.absolute() if negatives.is_dir() else None
    return Recordings(root.absolute(), prepared.rows, digest.hexdigest()[:8], found)


def _list(source: Path, phrase: str, log: Log) -> Listing:
    if (source / "manifest.csv").exists():
        faults: list[str] = []
        rows = [row for row in read_manifest(source, faults=faults) if says(row.text, phrase)]
        for fault in faults:
            log(f"skipped: {fault}")
        return _hold_out([Clip(row.audio, phrase, row.speaker) for row in rows]), []
    inside = [(file, file.relative_to(source).parts[:-1]) for file in filter(may_be_sound, files_below(source, None))]
    said = [(file, at) for file, at in inside if at[:1] != (NEGATIVES,)]
    clips = [Clip(file, phrase, "/".join(at)) for file, at in said if file.suffix.lower() in AUDIO_SUFFIXES]
    others = [Clip(file, fault=_OTHER) for file, _ in said if file.suffix.lower() not in AUDIO_SUFFIXES]
    if not clips:
        lies_there = f", {others[0].audio.name} is none by its name" if others else ""
        raise KwsError(f"{source} holds no recordings of {phrase!r}: put sound files into it{lies_there}")
    return [*_hold_out(clips), *others], []


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
