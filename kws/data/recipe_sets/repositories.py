"""Sets of recordings out of public GitHub repositories.

Speakers, languages and machines are split by the SHA-1 of their names. A third of them
is left out: the shipped models were neither trained nor chosen on these, so that models
can be judged by them.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from kws.arrays import Samples
from kws.audio import Resampler, blocks
from kws.audio.pickup import Pickup
from kws.data.corpora.base import read_lists
from kws.data.download import Archive, Wanted
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.data.prepare.splits import keep_held_out
from kws.data.recipe_sets.public_set import PublicSet, here, read_list
from kws.errors import require
from kws.files import whole
from kws.lexicon.text import normalise
from kws.units import SAMPLE_RATE

_LEFT_OUT = "test"
_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True)
class Repository:
    """One commit of OWNER/NAME on GitHub.

    GitHub packs it when it is asked for and publishes no checksum of that: the first
    fetch's is kept.
    """

    owner: str
    name: str
    commit: str

    @property
    def archive(self) -> Archive:
        """All of its files, below one folder."""
        url = f"https://github.com/{self.owner}/{self.name}/archive/{self.commit}.tar.gz"
        return Archive(url, name=f"{self.name}.tar.gz")

    def folder(self, root: Path) -> Path:
        """Where the archive is unpacked below `root`; AbsentError where it is not."""
        return here(root / f"{self.name}-{self.commit}", self.name)

    def brought(self, wanted: Wanted) -> tuple[Archive, str, Wanted]:
        """As `PublicSet.brings` has it. wanted: of a file's path in the repository."""
        return self.archive, "", lambda name: wanted(name.partition("/")[2])


_COMMON_VOICE = Repository(
    "omnilingo", "rsample-100-cv-corpus-6.1-2020-12-11", "6785f863fec9770151abfe50a5e3e3787fd20ba2"
)
_DSP_SPEECH = Repository("zhongyuchen", "DSPSpeech-20", "8165959c2567190524898e8187021c8ffb19b262")
_WEB_AUDIO = Repository("GoogleChromeLabs", "web-audio-samples", "2d78781a05cea9e692f9eaf94c63f46833b86f87")
_REVERB_JS = Repository("burnson", "Reverb.js", "8b4c4d6c850fe26ae351a3a60d37996bac7331bb")
_WUW_CORPUS = Repository("wake-up-word", "wuw-corpus-ii", "edd16fe0e8c861daef05e6778016764e20b3d628")
_HOUSEHOLD = Repository("Timgrau", "Projektarbeit-1", "576dbfeaa7c236521965107400e9d24cca7f0ceb")


def split_of(name: str) -> str:
    """The split of a speaker, language or machine: about a third of the names are
    test, which these sets leave out; of the others an eighth is dev.
    """
    if _number(name) % 3 == 0:
        return _LEFT_OUT
    return "dev" if _number(f"dev:{name}") % 8 == 0 else "train"


def _number(name: str) -> int:
    return int(hashlib.sha1(name.encode()).hexdigest(), 16)


def _language_split(language: str) -> str:
    """English is left out as a whole: what is said in it may be a keyword."""
    return _LEFT_OUT if language == "en" else split_of(language)


def _common_voice(root: Path) -> Listing:
    clips: list[Clip] = []
    for folder in sorted(_COMMON_VOICE.folder(root).iterdir()):
        split = _language_split(folder.name)
        if split == _LEFT_OUT or not (folder / "validated.tsv").is_file():
            continue
        with (folder / "validated.tsv").open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            speakers = {row["path"]: row["client_id"][:16] for row in rows}
        files = files_below(folder / "clips")
        clips += [Clip(path, "", speakers.get(path.name, path.stem), split) for path in files]
    kept, notes = keep_held_out(clips)
    return kept, ["split by the hash of the language; a third of the languages and English are left out", *notes]


def _common_voice_wanted(path: str) -> bool:
    language, _, file = path.partition("/")
    return bool(file) and _language_split(language) != _LEFT_OUT


# Labels 12 to 19 of the repository's table; 0 to 11 are Mandarin words, which get no text.
_DSP_WORDS = ("speech", "speaker", "signal", "process", "print", "open", "close", "project")
_DSP_COPIES = "15307130191"  # a speaker whose 400 files are copies of 60


def _accented_words(root: Path) -> Listing:
    clips = []
    for path in files_below(_DSP_SPEECH.folder(root) / "speech_data"):
        speaker, label, _ = path.stem.split("-")
        text = _DSP_WORDS[int(label) - 12] if int(label) >= 12 else ""
        if (split := split_of(speaker)) != _LEFT_OUT and speaker != _DSP_COPIES:
            clips.append(Clip(path, text, speaker, split))
    return clips, ["split by the hash of the speaker; a third of the speakers is left out"]


def _accented_words_wanted(path: str) -> bool:
    speaker = PurePosixPath(path).stem.partition("-")[0]
    return path.startswith("speech_data/") and split_of(speaker) != _LEFT_OUT and speaker != _DSP_COPIES


_ROOMS = frozenset(row["file"] for row in read_list("measured_rooms"))
_LEFT = "left"


def _left_channels(root: Path) -> None:
    """Writes root/left/NAME.flac: the left channel of each response, at 16 kHz."""
    for file in sorted(_ROOMS):
        path = (_REVERB_JS if file.startswith("Library/") else _WEB_AUDIO).folder(root) / file
        kept = root / _LEFT / f"{path.stem}.flac"
        if not kept.exists():
            _write(kept, blocks(path, _BLOCK_SAMPLES, pickup=Pickup(channel=1)))


def _measured_rooms(root: Path) -> Listing:
    return [Clip(path) for path in files_below(root / _LEFT)], ["all is train; a third of the rooms is left out"]


_CALLS = "calls"
_CALL_RATE = 8000
_NAME = "000"  # the utterance in which callers say their names
_MARKS = re.compile(r"[{\[<][^}\]>]*[}\]>]|[^A-Za-z' ]")  # of noises and of what is hard to hear; and digits
_DEAD_BYTES = 160  # a shorter file, 20 ms, is of a line on which nothing was heard


class _Call(NamedTuple):
    """A recording of a kept caller: its file, as fetched, and as it is listed."""

    file: Path
    clip: Clip


def _calls(root: Path) -> list[_Call]:
    folder = _WUW_CORPUS.folder(root)
    entries = read_lists(folder / "data.json")["entries"]
    callers = {row["sessionNumber"]: _said(row) for row in entries if row["utteranceNumber"] == _NAME}
    found = []
    for row in sorted(entries, key=lambda row: row["filePath"]):
        caller, file = callers.get(row["sessionNumber"], ""), folder / row["filePath"]
        if not caller or row["utteranceNumber"] == _NAME or split_of(caller) == _LEFT_OUT or not file.is_file():
            continue
        start, end = row.get("startTime") or 0.0, row.get("endTime") or 0.0
        text = _said(row).replace("think engine", "thinkengine")
        speaker = f"c{_number(caller):040x}"[:9]  # not the caller's name itself
        audio = root / _CALLS / f"{file.stem}.flac"
        span = (start, end) if end > start else None
        fault = Fault("too short", "nothing was recorded") if file.stat().st_size < _DEAD_BYTES else None
        found.append(_Call(file, Clip(audio, text, speaker, split_of(caller), fault, span)))
    return found


def _said(row: Mapping[str, Any]) -> str:
    return normalise(_MARKS.sub(" ", row["transcription"]))


def _decoded_calls(root: Path) -> None:
    """Writes root/calls/NAME.flac: mu-law without a header becomes 16 kHz."""
    soundfile = require("soundfile", extra="audio")
    for call in _calls(root):
        if call.clip.fault is None and not call.clip.audio.exists():
            raw, _ = soundfile.read(
                str(call.file), dtype="float32", format="RAW", subtype="ULAW", samplerate=_CALL_RATE, channels=1
            )
            _write(call.clip.audio, [Resampler(_CALL_RATE).push(raw, last=True)])


def _telephone(root: Path) -> Listing:
    return [call.clip for call in _calls(root)], ["split by the hash of the caller; a third of the callers is left out"]


def _write(path: Path, pieces: Iterable[Samples]) -> None:
    """A FLAC file of samples (n,) at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.clip(np.concatenate([*pieces]), -1, 1)
    with whole(path) as partial:
        require("soundfile", extra="audio").write(str(partial), samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")


_MACHINES = "noise_data/processed/"


def _household(root: Path) -> Listing:
    clips = []
    for path in files_below(_HOUSEHOLD.folder(root) / _MACHINES):
        machine = path.stem.rpartition("_")[0]  # pieces of one recording stay together
        if (split := split_of(machine)) != _LEFT_OUT:
            clips.append(Clip(path, "", machine, split))
    return clips, ["split by the hash of the recording that a file was cut out of; a third of these is left out"]


SETS = (
    PublicSet("common_voice", (_COMMON_VOICE.brought(_common_voice_wanted),), _common_voice),
    PublicSet("accented_words", (_DSP_SPEECH.brought(_accented_words_wanted),), _accented_words),
    PublicSet(
        "measured_rooms",
        (_WEB_AUDIO.brought(_ROOMS.__contains__), _REVERB_JS.brought(_ROOMS.__contains__)),
        _measured_rooms,
        _left_channels,
    ),
    PublicSet(
        "telephone",
        (_WUW_CORPUS.brought(lambda path: path == "data.json" or path.endswith(".ulaw")),),
        _telephone,
        _decoded_calls,
    ),
    PublicSet("household", (_HOUSEHOLD.brought(lambda path: path.startswith(_MACHINES)),), _household),
)
