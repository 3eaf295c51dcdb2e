"""Recordings of one's own: PHRASE/*.wav, PHRASE/SPEAKER/*.wav, or a manifest with any
of the columns.

A folder's name is the phrase ("hey_computer" is "hey computer"); one that starts with
"_" holds sound without a transcript, such as _other_. Columns of a manifest (audio, and
any of text, speaker, split) go before the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kws.data.corpora.base import Corpus
from kws.data.manifest import AUDIO_SUFFIXES, SPLITS, audio_of, may_be_sound
from kws.data.prepare.build import Prepared, build
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.data.prepare.splits import hash_split, split_by_file
from kws.data.prepare.usable import LOOKED, Wanted, looked_at
from kws.data.table import open_table
from kws.errors import KwsError
from kws.lexicon.text import normalise


def phrase_of(folder: str) -> str:
    """ "Hey_Computer" -> "hey computer"; "" for names that start with an underscore."""
    return "" if folder.startswith("_") else normalise(folder.replace("_", " "))


def from_folders(folder: Path) -> Listing:
    """Every file below `folder` that may be sound, labelled by where it stands, as it
    is published.
    """
    return _split(_in_folders(folder))


def _in_folders(folder: Path) -> list[Clip]:
    return [_by_place(path, folder) for path in files_below(folder, suffixes=None) if may_be_sound(path)]


def _by_place(path: Path, folder: Path) -> Clip:
    above = path.relative_to(folder).parts[:-1] if path.is_relative_to(folder) else ()
    if not above:
        return Clip(path, split="", fault=Fault("unlabelled", "it is in no folder that names its phrase"))
    return Clip(path, phrase_of(above[0]), "/".join(above[1:]), split="")


def _from_table(table: Path) -> list[Clip]:
    clips, listed = [], set()
    with open_table(table) as opened:
        if "audio" not in opened.columns:
            raise KwsError(f"{table} has no column audio: it names each recording, relative to {table.parent}")
        for line, row, wrong in opened.rows:
            path = table if wrong and not row.get("audio") else audio_of(row, table.parent)
            listed.add(path)
            if wrong:
                clips.append(Clip(path, split="", fault=Fault("no row", f"{table.name} line {line}: {wrong}")))
                continue
            place = _by_place(path, table.parent)
            split = row.get("split", "").strip().lower()
            if split and split not in SPLITS:
                raise KwsError(f"{table} line {line}: the split is {split!r}, not {', '.join(SPLITS)}")
            text, speaker = row.get("text"), row.get("speaker")
            text = place.text if text is None else normalise(text)
            fault = place.fault if row.get("text") is None else None
            clips.append(Clip(path, text, (place.speaker if speaker is None else speaker.strip()), split, fault))
    unlisted = [path for path in files_below(table.parent, AUDIO_SUFFIXES) if path not in listed]
    clips += [Clip(path, split="", fault=Fault("unlabelled", f"{table.name} does not list it")) for path in unlisted]
    return clips


def _own(source: Path, clips: Sequence[Clip]) -> Listing:
    """Clips of the user's own: looked at, then split."""
    judged, notes = _looked_at(clips, source)
    split, more = _split(judged)
    return split, [*notes, *more]


def _looked_at(clips: Sequence[Clip], folder: Path) -> Listing:
    """The clips with faults on copies, and on silence and clicks that are said to be
    words. A held-out clip is compared first, so that its copy in the training is the
    one left out.
    """
    order = sorted(range(len(clips)), key=lambda i: SPLITS.index(clips[i].split) if clips[i].split else 0)
    found, notes = looked_at([clips[i] for i in order], folder, Wanted())
    judged = dict(zip(order, found, strict=True))
    for i, clip in enumerate(clips):
        fault = judged[i].fault
        if fault and fault.kind in ("silent", "too short") and not clip.text:
            judged[i] = clip
    return [judged[i] for i in range(len(clips))], notes


def _split(clips: Sequence[Clip]) -> Listing:
    """Clips without a split get one from their speaker's name, or from their bytes
    where no speaker is known.
    """
    open_clips = [clip for clip in clips if not clip.split and clip.fault is None]
    placed = {clip.speaker: clip.split for clip in clips if clip.speaker and clip.split}
    alone = dict(split_by_file(clip.audio for clip in open_clips if not clip.speaker))
    split = {
        clip.audio: placed.get(clip.speaker) or hash_split(clip.speaker) if clip.speaker else alone[clip.audio]
        for clip in open_clips
    }
    notes = ["split as the manifest says"] if any(clip.split for clip in clips) else []
    if wordless := sum(not clip.text and clip.fault is None for clip in clips):
        notes.append(f"{wordless} files have no text: they count as sound without keywords")
    if any(clip.speaker for clip in open_clips):
        notes.append("split by the hash of the speaker")
    if alone:
        notes.append(
            f"{len(alone)} files name no speaker and are split by the hash of the file: a voice may stand on both "
            "sides, so figures on dev and test flatter (PHRASE/SPEAKER/*.wav tells speakers apart)"
        )
    if open_clips and "train" not in {*split.values(), *(clip.split for clip in clips)}:
        split = dict.fromkeys(split, "train")
        notes.append("too few speakers to hold one out: everything is train")
    return [
        Clip(clip.audio, clip.text, clip.speaker, clip.split or split.get(clip.audio, "train"), clip.fault)
        for clip in clips
    ], notes


class _OwnRecordings(Corpus):
    """Lists a folder by its sub folders, or by a manifest that lies in it or is given
    itself.
    """

    def prepare(self, root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
        """The manifest of a folder, or of a manifest (a .csv file, or manifest.csv in a
        folder other than `root`).
        """
        self.check(parts)
        source = (source or root).absolute()
        table = source if source.suffix == ".csv" else source / "manifest.csv"
        if table.parent == root.absolute() and source != table:
            table = Path()  # what an earlier call wrote
        if source == table and not table.is_file():
            raise KwsError(f"there is no file {table}")
        folder = source.parent if source == table else source
        if table.is_file():
            asked = {"table": [table.name, table.stat().st_mtime_ns]}
            return build(root, folder, lambda: _own(folder, _from_table(table)), looked=LOOKED, **asked)
        return build(root, folder, partial(self.found, folder, ()), looked=LOOKED)


CORPUS = _OwnRecordings(
    name="folder",
    holds="your recordings: PHRASE/*.wav, PHRASE/SPEAKER/*.wav or a manifest",
    licence="yours",
    list=lambda source, _: _own(source, _in_folders(source)),
    ask="give a folder of your own, or FILE.csv, with --from",
)
