"""Manifests that somebody wrote by hand: each good row is read, or its line is named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.data.corpora import folder
from kws.data.manifest import Utterance, read_manifest, rows_of, write_manifest
from kws.data.table import open_table
from kws.errors import KwsError
from kws.lexicon.text import normalise

HEADER = "audio,seconds,text,speaker,split"
GOOD = [f"{n}.wav,{n}.5,computer,ann,dev" for n in range(1, 10)]
NAMES = [f"{n}.wav" for n in range(1, 10)]


def read(tmp_path, lines, splits=None, header=HEADER):
    """The names of the recordings that are read, and the faults by line."""
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8", newline="")
    faults = []
    rows = read_manifest(path, splits, faults)
    told = {}
    for fault in faults:
        where, _, what = fault.removeprefix(f"{path} line ").partition(": ")
        told[int(where)] = what
    assert len(told) == len(faults)
    return [row.audio.name for row in rows], told


WRONG = {
    "an unclosed quote": ('2.wav,1,"computer,ann,dev', "a quote opens here that does not close"),
    "a comma in a text": ("2.wav,1,hey, computer,ann,dev", "the row has 6 cells and the header 5: put quotes around"),
    "a short row": ("2.wav,1,computer", "the row has 3 cells and the header 5: leave cells empty, not out"),
    "a cell of 2 MB": (f"2.wav,1,{'a' * 2_000_000},ann,dev", "this is no row \\(field larger than field limit"),
    "letters after a quote": ('2.wav,1,"computer"s,ann,dev', "this is no row \\("),
    "a name that no file has": ("\0.wav,1,computer,ann,dev", "the column audio names no file"),
    "no number": ("2.wav,long,computer,ann,", "seconds is 'long'"),
    "no number, in no split that there is": ("2.wav,long,computer,ann,dve", "seconds is 'long'"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("splits", [None, ["dev"]])
def test_a_bad_row_costs_no_other(kind, splits, tmp_path):
    line, sentence = WRONG[kind]
    names, told = read(tmp_path, [GOOD[0], line, *GOOD[2:]], splits)
    assert names == [name for name in NAMES if name != "2.wav"]
    assert list(told) == [3]
    with pytest.raises(KwsError, match=f"line 3: {sentence}"):
        read_manifest(tmp_path, splits)


@pytest.mark.parametrize("last", ['8.wav,1,"computer,ann,dev', '8.wav,1,computer",ann,dev', '8.wav,1,",ann,dev'])
def test_two_quotes_that_make_one_row_of_many_are_named(last, tmp_path):
    """What lies between two stray quotes can have as many cells as a row."""
    lines = [GOOD[0], '2.wav,1,"computer,ann,dev', *GOOD[2:7], last, GOOD[8]]
    names, told = read(tmp_path, lines)
    assert {*NAMES} - {*names} <= {"2.wav", "8.wav"} and 3 in told
    assert "8.wav" in names or 9 in told


def test_a_quote_that_opens_in_a_later_line_of_a_row(tmp_path):
    names, told = read(tmp_path, [GOOD[0], '2.wav,1,"hey', 'you","ann,dev', *GOOD[2:]])
    assert names == [name for name in NAMES if name != "2.wav"]
    assert list(told) == [3, 4]


def test_a_bad_row_of_another_split_is_not_told(tmp_path):
    assert read(tmp_path, [GOOD[0], "2.wav,long,computer,ann,train"], ["dev"]) == (["1.wav"], {})


@pytest.mark.parametrize("split", ["Dev", " dev ", "DEV"])
def test_capitals_and_spaces_make_no_other_split(split, tmp_path):
    (tmp_path / "2.wav").touch()
    assert read(tmp_path, [GOOD[0], f" 2.wav ,1,computer,ann,{split}"], ["dev"]) == (["1.wav", "2.wav"], {})
    assert [row.split for row in rows_of([f"{tmp_path}@{split}"])] == ["dev", "dev"]


def test_a_split_is_asked_for_where_rows_have_none(tmp_path):
    """A row that is wrong for another reason does not hide it."""
    path = tmp_path / "plain.csv"
    path.write_text("audio,seconds\n1.wav,1\n2.wav,long\n")
    with pytest.raises(KwsError, match=r"plain\.csv@dev: no rows are of that split; there are none"):
        rows_of([f"{path}@dev"], [])


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("audio,seconds,text,speaker,text", "has the column text twice"),
        ("audio,seconds,Text, text,split,Split", "has the column split, text twice"),
        ('audio,seconds,"text,speaker,split', "the header of .* has a quote that does not close"),
    ],
)
def test_a_header_that_means_nothing_is_refused(header, sentence, tmp_path):
    with pytest.raises(KwsError, match=sentence):
        read(tmp_path, GOOD, header=header)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_csv_allows_is_read(delimiter, end, tmp_path):
    """Delimiters, line ends and quotes in quoted cells, nameless columns, and empty rows between."""
    rows = [
        [*HEADER.split(","), "", ""],
        ["1.wav", "1", f'"hey{delimiter} you"', '"the ""voice"""', "dev", "", ""],
        [""] * 7,
        ["2.wav", "2", f'"hey{end}you"', f'"{delimiter * 7}{end}{delimiter * 7}"', "dev", "", ""],
        ["3.wav", "3", '5" x', "", '"dev"', "", ""],
    ]
    path = tmp_path / "manifest.csv"
    path.write_text(end.join(map(delimiter.join, rows)), encoding="utf-8-sig", newline="")
    found = read_manifest(path)
    assert [row.audio.name for row in found] == NAMES[:3]
    assert [row.text for row in found[:2]] == ["hey you", "hey you"] and found[0].speaker == 'the "voice"'
    assert found[1].speaker == f"{delimiter * 7}{end}{delimiter * 7}" and found[2].split == "dev"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAME = TEXT.filter(lambda name: "/" not in name and name.strip(".") and name.strip())


@given(st.lists(st.tuples(NAME, TEXT, TEXT, TEXT, st.booleans()), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, values):
    place = tmp_path_factory.mktemp("written")
    rows = [
        Utterance(place / name, 1.5, normalise(text), speaker, split.strip().lower(), (0.25, 1.0) if span else None)
        for name, text, speaker, split, span in values
    ]
    write_manifest(place / "manifest.csv", rows)
    assert read_manifest(place) == rows


def test_a_bad_row_of_recordings_of_ones_own_is_named(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "list.csv"
    path.write_text('audio,text\n1.wav,hey, you\n2.wav,hey you\n,"hey\n')
    clips = folder._from_table(path)
    more = "the row has 3 cells and the header 2: put quotes around a text with ',' in it"
    assert [(clip.audio, clip.fault.why) for clip in clips if clip.fault] == [
        (tmp_path / "1.wav", f"list.csv line 2: {more}"),
        (path, "list.csv line 4: a quote opens here that does not close"),
    ]
    assert [clip.text for clip in clips if not clip.fault] == ["hey you"]


def test_a_long_table_is_read_in_time(tmp_path):
    """Each row leaves a quote open: what was taken for it is not read to the end of the file each time."""
    path = tmp_path / "manifest.csv"
    path.write_text(f"{HEADER}\n" + '1.wav,1,x,ann,"dev\n' * 5_000)
    with open_table(Path(path)) as table:
        assert all(row.fault for row in table.rows)
