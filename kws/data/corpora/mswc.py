"""Multilingual Spoken Words (Mazumder et al. 2021, mlcommons.org), one language at a time.

LANG/clips/WORD/*.opus (1 s) and LANG_splits.csv: SET (TRAIN, DEV, TEST), LINK (WORD/file), WORD, VALID, SPEAKER (a
hash, or NA), GENDER.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kws.data.corpora.base import (
    SPLITS,
    Clip,
    Fault,
    Listing,
    Prepared,
    build,
    files_below,
    first_folder,
    keep_held_out,
)
from kws.data.download import Archive, bring
from kws.errors import KwsError

_SERVER = "https://mswc.mlcommons-storage.org"


def archives(language: str) -> tuple[Archive, Archive]:
    """Recordings and splits of a language; no checksums are published, so the first fetch's are kept."""
    return (
        Archive(f"{_SERVER}/audio/{language}.tar.gz", name=f"audio_{language}.tar.gz"),
        Archive(f"{_SERVER}/splits/{language}.tar.gz", name=f"splits_{language}.tar.gz"),
    )


def download(root: Path, parts: Sequence[str] = ()) -> None:
    """Fetches the languages named (ISO codes such as "en", 32 GB, or "eu")."""
    if not parts:
        raise KwsError("name the language to fetch, such as --part eu (English is 32 GB)")
    for language in parts:
        audio, splits = archives(language)
        bring(audio, root, root)
        bring(splits, root, root / language)


def prepare(root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
    """The manifest of one language; rows whose files are not there are counted, so a part of the words may be kept."""
    if len(parts) != 1:
        raise KwsError("name one language, such as --part en: each has its own manifest and --root")
    language = parts[0]
    source = source or root
    advice = f"add --download, or give the folder that holds clips and {language}_splits.csv with --from"
    name = f"{language}_splits.csv"
    folders = ("", f"{language}/", "splits/", f"{language}/splits/", f"{language}/{language}/")
    table = first_folder("mswc", source, [folder + name for folder in folders], advice)
    clips = first_folder("mswc", source, (f"{language}/clips", "clips"), advice)
    return build(root, clips, partial(_clips, clips, table), language=language, table=table.stat().st_mtime_ns)


def _clips(folder: Path, table: Path) -> Listing:
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
