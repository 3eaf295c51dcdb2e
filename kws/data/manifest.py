"""Manifests: what a corpus is after `prepare`.

A manifest is a CSV file in UTF-8; what Excel makes of one is understood. It has the
columns audio (relative to its folder), seconds, text (empty where there is none; read
as `kws.lexicon.text.normalise` has it), speaker, split; further columns are allowed. Of
these, start and end say where in the audio the text is said (seconds); a recording in
which several things are said has a row for each.
"""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kws.data.table import AUDIO_SUFFIXES as AUDIO_SUFFIXES
from kws.data.table import open_table
from kws.errors import KwsError
from kws.files import whole
from kws.lexicon.text import normalise

COLUMNS = ("audio", "seconds", "text", "speaker", "split")
SPAN = ("start", "end")
SPLITS = ("train", "dev", "test")
NOT_SOUND = frozenset(
    ".csv .db .gz .html .ini .jpeg .jpg .json .jsonl .lab .log .md .onnx .pdf .png .py .sh .svg .tar .textgrid .toml"
    " .tsv .txt .xml .yaml .yml .zip".split()
)  # what lies beside recordings; any other file of a user's is tried, so that none is passed over unnamed


@dataclass(frozen=True)
class Utterance:
    """One clip: `audio` is an absolute path, `speaker` may be empty. span: seconds in
    which the text is said.
    """

    audio: Path
    seconds: float
    text: str
    speaker: str
    split: str
    span: tuple[float, float] | None = None


def read_manifest(path: Path, splits: Iterable[str] | None = None, faults: list[str] | None = None) -> list[Utterance]:
    """The rows of a manifest (a folder stands for its manifest.csv), of the given
    splits or of all; capitals make no other split.

    faults: gets a sentence for each row that cannot be used; without it the first such
    row is an error. A row that is no row counts whatever split it seems to have, and
    any other unless it is clearly of a split that is not wanted. Raises KwsError when
    the file, a column or a number is missing, naming the line, and for a file that is
    no UTF-8.
    """
    path = path / "manifest.csv" if path.is_dir() else path
    if not path.is_file():
        raise KwsError(f"there is no manifest at {path}: give a CSV file with the columns {', '.join(COLUMNS)}")
    wanted = None if splits is None else {_split(split) for split in splits}
    others = set() if wanted is None else {*SPLITS} - wanted
    rows = []
    with open_table(path) as table:
        if missing := [name for name in ("audio", "seconds") if name not in table.columns]:
            raise KwsError(f"{path} lacks the columns {', '.join(missing)}: a manifest has {', '.join(COLUMNS)}")
        for line, cells, fault in table.rows:
            if not fault and _split(cells.get("split", "")) in others:
                continue
            try:
                row = _utterance(cells, path, line, fault)
            except KwsError as error:
                if faults is None:
                    raise
                faults.append(str(error))
            else:
                if wanted is None or row.split in wanted:
                    rows.append(row)
    return rows


def audio_of(row: Mapping[str, str], folder: Path) -> Path:
    """The file that a row names, relative to `folder`. Spaces around the name are no
    part of it, and a backslash divides folders, if that leads to a file and the name as
    written does not.
    """
    name = row["audio"]
    written, bare = folder / name, name.strip()
    others = [other for other in dict.fromkeys((bare, bare.replace("\\", "/"))) if other != name]
    if not others or _is_there(written):
        return written
    return next((folder / other for other in others if (folder / other).is_file()), written)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for any file
        return True


def write_manifest(path: Path, rows: Iterable[Utterance]) -> None:
    """Writes rows whole or not at all; audio below the manifest's folder is named
    relative to it, other absolutely.
    """
    folder, rows = path.parent.absolute(), list(rows)
    spans = any(row.span for row in rows)

    def line(row: Utterance) -> tuple[str, ...]:
        audio = row.audio.absolute()
        name = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
        span = tuple(f"{second:.3f}" for second in row.span) if row.span else ("", "")
        return name.as_posix(), f"{row.seconds:.3f}", row.text, row.speaker, row.split, *(span if spans else ())

    write_csv(path, (*COLUMNS, *SPAN) if spans else COLUMNS, map(line, rows))


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], errors: str = "surrogateescape"
) -> None:
    """Writes a table in UTF-8, whole or not at all.

    errors: the treatment of file names that are no text: as they are, or as
    `str.encode` has it.
    """
    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8", errors=errors) as file:
        plain = csv.writer(file, lineterminator="\n")
        quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in (header, *rows):
            returns = any("\r" in str(cell) for cell in row)  # which Python before 3.13 leaves without quotes
            (quoted if returns else plain).writerow(row)


def _utterance(row: dict[str, str], path: Path, line: int, fault: str) -> Utterance:
    if fault:
        raise KwsError(f"{path} line {line}: {fault}")
    if not row["audio"].strip() or "\0" in row["audio"]:
        raise KwsError(f"{path} line {line}: the column audio names no file")
    seconds = _number(row, "seconds", path, line)
    text = normalise(row.get("text", ""))
    audio, speaker, split = audio_of(row, path.parent), row.get("speaker", ""), _split(row.get("split", ""))
    said = [name for name in SPAN if row.get(name)]
    if not said:
        return Utterance(audio, seconds, text, speaker, split)
    if len(said) == 1:
        raise KwsError(f"{path} line {line}: {said[0]} stands alone, a span has start and end")
    start, end = (_number(row, name, path, line) for name in SPAN)
    if not 0 <= start < end:
        raise KwsError(f"{path} line {line}: from {start} to {end} s is no span")
    return Utterance(audio, seconds, text, speaker, split, (start, end))


def _split(text: str) -> str:
    return text.strip().lower()


def _number(row: dict[str, str], name: str, path: Path, line: int) -> float:
    try:
        number = float(row[name].replace(",", "."))  # a comma: as in most of Europe, where Excel writes it
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise KwsError(f"{path} line {line}: {name} is {row[name]!r:.80}, not a number of seconds")
    return number


def shared_speakers(utterances: Iterable[Utterance]) -> dict[str, set[str]]:
    """The speakers that stand in more than one split, with those splits. There must be
    none for an honest evaluation.
    """
    splits = defaultdict(set)
    for utterance in utterances:
        if utterance.speaker:
            splits[utterance.speaker].add(utterance.split)
    return {speaker: found for speaker, found in splits.items() if len(found) > 1}


def refuse_shared_speakers(utterances: Iterable[Utterance], source: Path) -> None:
    """Raises KwsError when a speaker of `source` stands in more than one split."""
    if shared := shared_speakers(utterances):
        named = ", ".join(f"{name} in {' and '.join(sorted(splits))}" for name, splits in sorted(shared.items())[:5])
        raise KwsError(
            f"{len(shared)} speakers of {source} stand in more than one split ({named}): "
            "what is measured so is not to be trusted, put each speaker into one"
        )


def describe(utterances: Iterable[Utterance]) -> str:
    """``1093 clips, 0.90 h, 45 speakers``."""
    rows = list(utterances)
    speakers = Counter(row.speaker for row in rows if row.speaker)
    return f"{len(rows)} clips, {sum(row.seconds for row in rows) / 3600:.2f} h, {len(speakers)} speakers"


def may_be_sound(path: Path) -> bool:
    """Whether a file in a folder of recordings is tried; an unreadable one is then
    named.
    """
    return not path.name.startswith(".") and path.suffix.lower() not in NOT_SOUND


def place_of(source: str) -> tuple[Path, str]:
    """The file or folder that ``PATH`` or ``PATH@SPLIT`` names, and the split, empty
    for all.
    """
    name, _, split = source.rpartition("@") if "@" in source and not Path(source).exists() else (source, "", "")
    return Path(name), split


def rows_of(sources: Sequence[str], faults: list[str] | None = None) -> list[Utterance]:
    """The rows of manifests, or of one split where ``PATH@SPLIT`` says so; a folder
    without a manifest gives all files that may be sound, without text.

    faults: as `read_manifest` takes them. Raises KwsError where no row is of that
    split.
    """
    rows: list[Utterance] = []
    for source in sources:
        path, split = place_of(source)
        if not split and path.is_dir() and not (path / "manifest.csv").exists():
            files = sorted(file for file in path.rglob("*") if may_be_sound(file) and file.is_file())
            rows += [Utterance(file, 0.0, "", "", "") for file in files]
        else:
            known = 0 if faults is None else len(faults)
            found = read_manifest(path, [split] if split else None, faults)
            if split and not found:
                there = dict.fromkeys(row.split for row in read_manifest(path, None, []))
                if known == len(faults or ()) or list(there) == [""]:
                    listed = ", ".join(filter(None, there)) or "none"
                    raise KwsError(f"{source}: no rows are of that split; there are {listed}")
            rows += found
    return rows


def texts_of(sources: Sequence[str]) -> tuple[str, ...]:
    """The transcripts of `rows_of` these sources, each once."""
    return tuple(dict.fromkeys(row.text for row in rows_of(sources) if row.text))
