"""Multilingual Spoken Words (Mazumder et al. 2021, mlcommons.org), one language at a
time.

LANG/clips/WORD/*.opus (1 s) and LANG_splits.csv: SET (TRAIN, DEV, TEST), LINK
(WORD/file), WORD, VALID, SPEAKER (a hash, or NA), GENDER.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import Corpus, first_folder
from kws.data.download import Archive
from kws.data.manifest import SPLITS
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.data.prepare.splits import keep_held_out
from kws.errors import KwsError

_SERVER = "https://mswc.mlcommons-storage.org"
LANGUAGES = (
    "ar", "as", "br", "ca", "cnh", "cs", "cv", "cy", "de", "dv", "el", "en", "eo", "es", "et", "eu", "fa", "fr",
    "fy-NL", "ga-IE", "gn", "ha", "ia", "id", "it", "ka", "ky", "lt", "lv", "mn", "mt", "nl", "or", "pl", "pt",
    "rm-sursilv", "rm-vallader", "ro", "ru", "rw", "sah", "sk", "sl", "sv-SE", "ta", "tr", "tt", "uk", "vi", "zh-CN",
)  # fmt: skip
# Recordings and splits. No checksums are published: the first fetch's are kept.
ARCHIVES = {
    language: (
        Archive(f"{_SERVER}/audio/{language}.tar.gz", name=f"audio_{language}.tar.gz"),
        Archive(f"{_SERVER}/splits/{language}.tar.gz", name=f"splits_{language}.tar.gz", into=language),
    )
    for language in LANGUAGES
}


def _clips(source: Path, parts: Sequence[str]) -> Listing:
    """One language; rows whose files are not there are counted, so a part of the words
    may be kept.
    """
    if len(parts) != 1:
        raise KwsError("name one language, such as --part en: each has its own manifest and --root")
    language = parts[0]
    name = f"{language}_splits.csv"
    folders = ("", f"{language}/", "splits/", f"{language}/splits/", f"{language}/{language}/")
    table = first_folder("mswc", source, [folder + name for folder in folders])
    return _listed(first_folder("mswc", source, (f"{language}/clips", "clips")), table)


def _listed(folder: Path, table: Path) -> Listing:
    here = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    clips, absent = [], 0
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := {"SET", "LINK", "WORD", "SPEAKER"} - {*(reader.fieldnames or ())}:
            raise KwsError(f"{table} lacks the columns {', '.join(sorted(missing))}: unpack the splits again")
        for row in reader:
            path = here.pop(row["LINK"], None)
            if path is None:
                absent += 1
                continue
            speaker, split = "" if row["SPEAKER"] in ("NA", None) else row["SPEAKER"], row["SET"].lower()
            if split in SPLITS:
                clips.append(Clip(path, row["WORD"].lower(), speaker, split))
            else:
                clips.append(Clip(path, fault=Fault("unlabelled", f"{table.name} gives it the split {split!r}")))
    clips += [Clip(path, fault=Fault("unlabelled", f"{table.name} does not list it")) for path in here.values()]
    kept, notes = keep_held_out(clips)
    if absent:
        notes = [*notes, f"{absent} rows of {table.name} have no file here"]
    return kept, ["split as published", *notes]


CORPUS = Corpus(
    name="mswc",
    holds="single words in 50 languages, 1 s each: 6,000 h (English: 32 GB)",
    licence="CC BY 4.0",
    archives=ARCHIVES,
    list=_clips,
)
