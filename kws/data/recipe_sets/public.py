"""Sets of recordings from public servers, in the selection and the splits of the
shipped models.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from kws.data.corpora import an4, esc50, librispeech, picovoice, speech_commands
from kws.data.download import Wanted
from kws.data.prepare.clip import Clip, Listing, files_below
from kws.data.prepare.splits import hash_split
from kws.data.recipe_sets import repositories
from kws.data.recipe_sets.public_set import PublicSet, ends_as, here, read_list

_V1, _V2 = (speech_commands.ARCHIVES[part] for part in ("v1", "v2"))
_V2_WORDS = ("yes", "no", "up", "down")
_MINI_DEV = ("1088", "2136", "3947", "7312")  # speakers of train-clean-5 that are held out
_AN4_LEFT_OUT = "fcaw"  # a test speaker whose recordings the shipped models were not tested on
_BACKGROUND = "background"


def _wake_words(root: Path) -> Listing:
    audio = picovoice.audio_folder(root)
    clips = [
        Clip(audio / row["file"], row["file"].partition("/")[0], row["speaker"], row["split"])
        for row in read_list("wake_words")
    ]
    return clips, ["speakers are estimated by clustering voices; recordings of other speakers are left out"]


def _words_wanted(*words: str) -> Wanted:
    """The published lists, and recordings of these words outside of the test part."""

    def wanted(name: str) -> bool:
        path = PurePosixPath(name)
        listed = path.name in ("validation_list.txt", "testing_list.txt")
        return listed or (path.parent.name in words and hash_split(path.name.partition("_")[0]) != "test")

    return wanted


def _speech_commands(root: Path) -> Listing:
    words, notes = speech_commands.list_words(here(root / _V2.into, "v0.02 of speech_commands"))
    older = here(root / _V1.into, "v0.01 of speech_commands")
    clips = [clip for clip in words if clip.split != "test"]
    for row in read_list("speech_commands_v1"):
        word, _, file = row["file"].partition("/")
        speaker = file.partition("_")[0]
        clips.append(Clip(older / f"{row['file']}.wav", word, speaker, hash_split(speaker)))
    return clips, [*notes, "the test part is left out"]


_THREE_WORDS = ("bed", "cat", "happy")


def _three_words(root: Path) -> Listing:
    words, notes = speech_commands.list_words(here(root / _V1.into, "v0.01 of speech_commands"))
    return [clip for clip in words if clip.split != "test"], [*notes, "the test part is left out"]


def _mini_librispeech(root: Path) -> Listing:
    folder = here(root / "LibriSpeech" / "train-clean-5", "train-clean-5")
    clips = librispeech.part_clips(folder, "train")
    split = [replace(clip, split="dev") if clip.speaker in _MINI_DEV else clip for clip in clips]
    return split, [f"speakers {', '.join(_MINI_DEV)} are dev"]


def _many_speakers(root: Path) -> Listing:
    folder = here(root / "LibriSpeech" / "train-clean-100", "train-clean-100")
    clips = []
    for row in read_list("librispeech_many_speakers"):
        speaker, chapter, _ = row["utterance"].split("-")
        clips.append(Clip(folder / speaker / chapter / f"{row['utterance']}.flac", "", speaker, row["split"]))
    return clips, ["one utterance of each speaker, without its text"]


def _an4(root: Path) -> Listing:
    clips, _ = an4.CORPUS.list(root, ())
    kept = [clip for clip in clips if clip.speaker != _AN4_LEFT_OUT]
    moved = [replace(clip, split="dev") if clip.split == "test" else clip for clip in kept]
    return moved, [f"the published test speakers are dev, but for {_AN4_LEFT_OUT}, who is left out"]


def _noise(root: Path) -> Listing:
    clips, _ = esc50.CORPUS.list(root, ("esc10",))
    moved = {"train": "train", "dev": "train", "test": "dev"}  # folds 1 to 4, and 5
    background = files_below(here(root / _BACKGROUND, "background noise") / speech_commands.BACKGROUND)
    return [
        *(replace(clip, split=moved[clip.split]) for clip in clips if clip.fault is None),
        *(Clip(path, split="train") for path in background),
    ], ["ESC-10, fold 5 of it dev, and the background noise of Speech Commands"]


def _is_background(name: str) -> bool:
    return PurePosixPath(name).parent.name == speech_commands.BACKGROUND and name.endswith(".wav")


PUBLIC = {
    found.name: found
    for found in (
        PublicSet(
            "wake_words",
            ((picovoice.ARCHIVE, "", ends_as((row["file"] for row in read_list("wake_words")), 2)),),
            _wake_words,
        ),
        PublicSet(
            "speech_commands",
            (
                (_V2, _V2.into, _words_wanted(*_V2_WORDS)),
                (_V1, _V1.into, ends_as((f"{row['file']}.wav" for row in read_list("speech_commands_v1")), 2)),
            ),
            _speech_commands,
        ),
        PublicSet("three_words", ((_V1, _V1.into, _words_wanted(*_THREE_WORDS)),), _three_words),
        PublicSet("mini_librispeech", ((librispeech.ARCHIVES["train-clean-5"], "", None),), _mini_librispeech),
        PublicSet("an4", ((an4.ARCHIVE, "", None),), _an4),
        PublicSet(
            "librispeech_many_speakers",
            (
                (
                    librispeech.ARCHIVES["train-clean-100"],
                    "",
                    ends_as((f"{row['utterance']}.flac" for row in read_list("librispeech_many_speakers")), 1),
                ),
            ),
            _many_speakers,
        ),
        PublicSet(
            "noise",
            (
                (esc50.ARCHIVE, "", None),
                (_V2, _BACKGROUND, _is_background),
            ),
            _noise,
        ),
        *repositories.SETS,
    )
}
