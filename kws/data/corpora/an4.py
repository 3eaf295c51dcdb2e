"""CMU AN4, the census database of about 1991: letters, numbers, names, commands; 84
speakers.

an4/etc/an4_{train,test}.transcription have lines "TEXT (ID)", some with <s> and </s>
around the text. ID is NAME-SPEAKER-b; its sound is
an4/wav/{an4_clstk,an4test_clstk}/SPEAKER/ID.sph, NIST Sphere of 16 kHz.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import Corpus, first_folder
from kws.data.download import Archive
from kws.data.prepare.clip import Clip, Fault, Listing, files_below

# CMU publishes no checksum: the first fetch's is kept.
ARCHIVE = Archive("http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz")
_FOLDERS = {"train": "an4_clstk", "test": "an4test_clstk"}
_LINE = re.compile(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\((\S+)\)\s*")


def _clips(source: Path, _: Sequence[str]) -> Listing:
    """Every utterance that the published lists have, in the split that they give it."""
    table = first_folder("an4", source, ("an4/etc/an4_train.transcription", "etc/an4_train.transcription"))
    folder = table.parent.parent
    clips: dict[Path, Clip] = {}
    for split, place in _FOLDERS.items():
        for line in (folder / "etc" / f"an4_{split}.transcription").read_text("utf-8").splitlines():
            if found := _LINE.fullmatch(line):
                text, name = found.groups()
                path = folder / "wav" / place / name.split("-")[-2] / f"{name}.sph"
                clips[path] = Clip(path, text.lower(), path.parent.name, split)
    for path in files_below(folder / "wav"):
        clips.setdefault(path, Clip(path, fault=Fault("unlabelled", "no .transcription file lists it")))
    return list(clips.values()), ["split as published"]


CORPUS = Corpus(
    name="an4",
    holds="spelled letters, numbers, names and commands, 84 speakers: 0.9 h",
    licence="free for any use, its notice kept",
    archives={"all": ARCHIVE},  # 64 MB
    default=("all",),
    list=_clips,
)
