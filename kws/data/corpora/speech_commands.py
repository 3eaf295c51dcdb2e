"""Google Speech Commands v0.01 and v0.02, and the canonical test set of twelve classes
(Warden 2018, arXiv:1804.03209).

WORD/SPEAKER_nohash_N.wav, `_background_noise_`/*.wav, validation_list.txt,
testing_list.txt. The split is the SHA-1 of the speaker; the two lists must agree with
it. Pieces of 1 s of the background noise, the class `_silence_`, become a noise set of
their own in ROOT/silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from kws.audio import read
from kws.data.corpora.base import Corpus, first_folder
from kws.data.download import Archive
from kws.data.prepare.build import Prepared, build
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.data.prepare.splits import hash_split
from kws.data.sound_file import write_sound
from kws.errors import KwsError
from kws.lexicon import SILENCE, UNKNOWN
from kws.units import SAMPLE_RATE

TEN = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
WORDS = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go", "happy",
    "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven", "sheila", "six", "stop",
    "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
)  # fmt: skip
BACKGROUND = "_background_noise_"

PIECES = "silence"  # below the root: the pieces of noise, and their manifest

FOLDERS = {"v1": "speech_commands_v0.01", "v2": "speech_commands_v0.02", "test": "speech_commands_test_set_v0.02"}
_SERVER = "https://storage.googleapis.com/download.tensorflow.org/data"
# SHA-256 from torchaudio.datasets.speechcommands and tensorflow_datasets/url_checksums/speech_commands.txt.
ARCHIVES = {
    part: Archive(f"{_SERVER}/{folder}.tar.gz", f"sha256:{sha256}", into=folder)
    for (part, folder), sha256 in zip(
        FOLDERS.items(),
        (
            "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
            "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
        ),
        strict=True,
    )
}
_SPEAKER = re.compile(r"([0-9a-zA-Z]+)_nohash_\d+")


def label(word: str, task: Literal[12, 35]) -> str:
    """The class of a word: for 12 one of ten words, `_unknown_` or (no word)
    `_silence_`; for 35 the word itself.

    Raises KwsError for a word that is none of the 35.
    """
    if task == 35:
        if word not in WORDS:
            raise KwsError(f"{word!r} is none of the 35 words of Speech Commands")
        return word
    if word in ("", SILENCE):
        return SILENCE
    return word if word in TEN else UNKNOWN


def _clips(source: Path, parts: Sequence[str]) -> Listing:
    """The clips of one part."""
    if len(parts) > 1:
        raise KwsError("v1, v2 and test hold the same recordings: prepare one part, and each under its own --root")
    (part,) = parts
    name, mark = FOLDERS[part], SILENCE if part == "test" else TEN[0]
    folder = source / name
    if not folder.is_dir():
        folder = first_folder("speech_commands", source, (f"{name}/{mark}", mark)).parent
    return _test_set(folder) if part == "test" else list_words(folder)


def list_words(folder: Path) -> Listing:
    """Every recording of a word, split by the speaker's hash."""
    listed, notes = _lists(folder)
    clips, strays = [], []
    for path in files_below(folder):
        word = path.relative_to(folder).parts[0]
        if word in (BACKGROUND, PIECES):
            continue
        found = _SPEAKER.match(path.name)
        if path.parent.parent != folder or not found:
            clips.append(Clip(path, fault=Fault("unlabelled", "it is not WORD/SPEAKER_nohash_N.wav")))
            continue
        split = hash_split(found[1])
        if listed and listed.get(f"{word}/{path.name}", "train") != split:
            strays.append(f"{word}/{path.name}")
        clips.append(Clip(path, word, found[1], split))
    if strays:
        raise KwsError(
            f"{len(strays)} files of {folder} are not where validation_list.txt and testing_list.txt say "
            f"({', '.join(strays[:3])}): this is not the published folder, fetch it again"
        )
    return clips, notes


def _lists(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Split by "word/file" as published; empty, with a note, where a list is
    missing.
    """
    listed = {}
    for name, split in (("validation_list.txt", "dev"), ("testing_list.txt", "test")):
        if not (folder / name).is_file():
            return {}, ["split by the speaker's hash alone: validation_list.txt and testing_list.txt are not here"]
        listed.update(dict.fromkeys((folder / name).read_text("utf-8").split(), split))
    return listed, ["split by the speaker's hash, and checked against validation_list.txt and testing_list.txt"]


def _test_set(folder: Path) -> Listing:
    """The canonical test set: ten words, `_silence_` and `_unknown_`. The text of a
    clip is its word, none for silence, and `_unknown_` for an unknown word.
    """
    clips = []
    for path in files_below(folder):
        word = path.relative_to(folder).parts[0]
        if path.parent.parent != folder or word not in (*TEN, SILENCE, UNKNOWN):
            clips.append(Clip(path, split="test", fault=Fault("unlabelled", "it is in none of the twelve folders")))
            continue
        found = _SPEAKER.search(path.name)
        clips.append(Clip(path, "" if word == SILENCE else word, found[1] if found else "", "test"))
    return clips, ["the canonical test set: all of it is test"]


def _cut(noise: Path, pieces: Path) -> Listing:
    """Cuts each noise into files of 1 s; the first 8 of 10 seconds are train, then dev,
    then test.
    """
    pieces.mkdir(parents=True, exist_ok=True)
    clips = []
    for path in files_below(noise):
        try:
            samples = read(path)
        except KwsError:
            clips.append(Clip(path))  # decoded once more, and named
            continue
        count = len(samples) // SAMPLE_RATE
        for i in range(count):
            piece = pieces / f"{path.stem}_{i:04d}.wav"
            write_sound(piece, samples[i * SAMPLE_RATE : (i + 1) * SAMPLE_RATE])
            split = "train" if i < 0.8 * count else "dev" if i < 0.9 * count else "test"
            clips.append(Clip(piece, split=split))
    return clips, ["silence is split by time within each recording"]


class _SpeechCommands(Corpus):
    """Beside the words, v1 and v2 hold background noise: pieces of it become a noise
    set in ROOT/silence.
    """

    def prepare(self, root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
        """The manifest of one part (v2 when none is named); of v1 and v2 also
        ROOT/silence.
        """
        self.check(parts)
        part = (*parts, *self.default)[0]
        folders = ((source or root) / place / BACKGROUND for place in (FOLDERS[part], ""))
        noise = next((folder for folder in folders if part != "test" and folder.is_dir()), None)
        notes = [_silence(noise, root.absolute() / PIECES)] if noise else []
        prepared = super().prepare(root, source, parts)
        return replace(prepared, notes=(*prepared.notes, *notes))


def _silence(noise: Path, pieces: Path) -> str:
    silence = build(pieces, noise, partial(_cut, noise, pieces), part=BACKGROUND)
    left_out = f", {len(silence.skipped)} files of it were of no use" if silence.skipped else ""
    return f"{len(silence.rows)} pieces of background noise are in {silence.manifest}{left_out}"


CORPUS = _SpeechCommands(
    name="speech_commands",
    holds="35 words (v2) or 30 (v1): 29 h, 18 h; the test set of 12 classes",
    licence="CC BY 4.0",
    archives=ARCHIVES,
    default=("v2",),  # 2.4 GB
    list=_clips,
)
