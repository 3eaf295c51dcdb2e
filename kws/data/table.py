"""Tables: CSV files of a user's, as Excel or another program writes them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import NamedTuple

from kws.errors import KwsError

_DELIMITERS = (",", ";", "\t")
AUDIO_SUFFIXES = frozenset(
    ".3gp .aac .aif .aifc .aiff .amr .au .caf .flac .gsm .m4a .mka .mp3 .mp4 .oga .ogg .opus .rf64 .snd .sph .w64"
    " .wav .weba .webm .wma".split()
)


class TableRow(NamedTuple):
    """A row of a table: the line in which it begins, and its cells by column.

    fault: what is wrong with a row that is not to be used, else empty. The cells of
    such a row serve to name it.
    """

    line: int
    cells: dict[str, str]
    fault: str = ""


class Table(NamedTuple):
    """A CSV file: its columns, and its rows without those that are empty."""

    columns: list[str]
    rows: Iterator[TableRow]


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A user's CSV file in UTF-8, as Excel or another program writes it: with or
    without a byte-order mark, semicolons or tabs for commas, capitals in the header,
    and empty rows. KwsError for other files, and for a header that names a column twice
    or leaves a quote open.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = enumerate(file, 1)
            number, header = next(((n, line) for n, line in lines if line.strip()), (1, ""))
            delimiter = max(_DELIMITERS, key=header.count)
            if header.lower().startswith("sep="):  # how Excel is told, and tells, what separates cells
                delimiter = header.strip()[4:5] or delimiter
                number, header = next(lines, (number, ""))
            columns = _columns(path, header, delimiter)
            yield Table(columns, _rows([line for _, line in lines], columns, delimiter, number + 1))
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error


def _columns(path: Path, header: str, delimiter: str) -> list[str]:
    """The names in the header's line, in small letters."""
    if "\0" in header:  # two bytes a letter
        raise _not_utf8(path)
    try:
        names = next(csv.reader([header], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise KwsError(f"the header of {path} has a quote that does not close: {header.strip()!r:.120}") from error
    columns = [name.strip().lower() for name in names]
    if twice := sorted({name for name in columns if name and columns.count(name) > 1}):
        raise KwsError(f"{path} has the column {', '.join(twice)} twice: leave one of each name")
    return columns


def _not_utf8(path: Path) -> KwsError:
    return KwsError(f"{path} is not a CSV file in UTF-8: save it as such (in Excel, 'CSV UTF-8')")


def _rows(lines: Sequence[str], columns: Sequence[str], delimiter: str, number: int) -> Iterator[TableRow]:
    """The rows in the lines after a header, the first of which has this number.

    After a row with a fault the next line is read as a new row, whatever the faulty one
    took: a quote that is not closed costs no row but its own.
    """
    first = 0
    while first < len(lines):
        reader = csv.reader((lines[n] for n in range(first, len(lines))), delimiter=delimiter, strict=True)
        try:
            cells, fault = next(reader), ""
        except csv.Error as error:
            quoted = lines[first].count('"') % 2
            cells, fault = [], "a quote opens here that does not close" if quoted else f"this is no row ({error})"
        taken = reader.line_num
        if not fault and any(cell.strip() for cell in cells):
            fault = _fault(cells, lines[first + 1 : first + taken], columns, delimiter)
        if fault or any(cell.strip() for cell in cells):
            filled = [*cells, *[""] * (len(columns) - len(cells))]
            yield TableRow(number + first, dict(zip(columns, filled, strict=False)), fault)
        first += 1 if fault else taken


def _fault(cells: Sequence[str], further: Sequence[str], columns: Sequence[str], delimiter: str) -> str:
    """What is wrong with a row that could be read; further: its lines after the
    first.
    """
    if len(cells) != len(columns):
        row = "a quote opens here, and the row with it" if further else "the row"
        more = len(cells) > len(columns)
        advice = f"put quotes around a text with {delimiter!r} in it" if more else "leave cells empty, not out"
        return f"{row} has {len(cells)} cells and the header {len(columns)}: {advice}"
    if any(_is_row(line, columns, delimiter) for line in further):
        return "a quote opens here that does not close before another row"
    return ""


def _is_row(line: str, columns: Sequence[str], delimiter: str) -> bool:
    """Whether a line in a cell is a row that the cell has swallowed: it has as many
    cells as a row, and one of them names a recording where recordings are named.
    """
    cells = line.split(delimiter)
    if "audio" not in columns or len(cells) < len(columns):
        return False
    return PurePath(cells[columns.index("audio")].strip(' "\r\n')).suffix.lower() in AUDIO_SUFFIXES
