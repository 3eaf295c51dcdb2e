"""From what a user names to the recordings that are heard: each once, under a name of its own that stays."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import write_wav
from kws.errors import KwsError
from kws.evaluate.replay.sources import _names, sources_of

HEAD = "audio,seconds,text,speaker,split,start,end\n"


def manifest(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return path


@pytest.fixture
def corpus(tmp_path) -> Path:
    """corpus/manifest.csv with clips/a.wav and clips/b.wav."""
    folder = tmp_path / "corpus"
    for name in "ab":
        write_wav(folder / "clips" / f"{name}.wav", [0.1] * 100)
    manifest(folder / "manifest.csv", "clips/a.wav,1,x,,dev,,", "clips/b.wav,1,y,,dev,,")
    return folder


def named(*places: object, repeated: list[str] | None = None) -> list[str]:
    found = sources_of([], [str(place) for place in places], [], [] if repeated is None else repeated)
    return [source.name for source in found]


def test_one_file_is_one_recording_by_whatever_path(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(corpus)
    other = manifest(tmp_path / "links" / "other.csv", "one.wav,1,x,,dev,,")
    (other.parent / "one.wav").symlink_to(corpus / "clips" / "a.wav")
    ways = [corpus, "corpus", "link", corpus / ".." / "corpus", corpus / "clips", other, Path(os.curdir) / "corpus"]
    repeated: list[str] = []
    assert named(*ways, repeated=repeated) == ["corpus/clips/a.wav", "corpus/clips/b.wav"]
    assert len(repeated) == 2  # the folder without a manifest has no text, so it calls them something else


def test_a_name_does_not_depend_on_the_manifest_that_names_the_file(corpus, tmp_path):
    aligned = manifest(tmp_path / "aligned.csv", "corpus/clips/a.wav,1,x,,dev,0.1,0.2")
    assert named(aligned) == ["corpus/clips/a.wav"] == named(corpus)[:1]
    elsewhere = manifest(tmp_path / "far" / "P.csv", f"{corpus / 'clips' / 'b.wav'},1,y,,dev,,")
    assert named(elsewhere) == ["corpus/clips/b.wav"]


def test_without_a_corpus_a_name_begins_with_the_folder_that_was_named(tmp_path):
    write_wav(tmp_path / "radio" / "monday" / "a.wav", [0.1] * 100)
    assert named(tmp_path / "radio") == ["radio/monday/a.wav"]
    assert named(manifest(tmp_path / "radio" / "P.csv", "monday/a.wav,1,x,,dev,,")) == ["radio/monday/a.wav"]


def test_files_of_the_same_name_are_told_apart(tmp_path):
    for letter in "AB":
        write_wav(tmp_path / letter / "clips" / "0.wav", [0.1] * 100)
        manifest(tmp_path / letter / "clips" / "manifest.csv", "0.wav,1,x,,dev,,")
    assert named(tmp_path / "A" / "clips") == ["clips/0.wav"]
    assert named(tmp_path / "A" / "clips", tmp_path / "B" / "clips") == ["A/clips/0.wav", "B/clips/0.wav"]


@given(st.dictionaries(st.lists(st.sampled_from("ab"), min_size=2, max_size=6).map(tuple), st.integers(1, 5)))
def test_no_two_files_have_one_name(depths):
    files = {Path("/", *parts): depth for parts, depth in depths.items()}
    names = _names(files)
    assert len(set(names.values())) == len(files)
    assert all(str(file).endswith(names[file].removeprefix("/")) for file in files)


def test_a_row_twice_is_one_row_and_rows_that_differ_need_spans(corpus):
    manifest(corpus / "manifest.csv", *2 * ["clips/a.wav,1,x,me,dev,,"], *2 * ["clips/b.wav,1,y,,dev,0.1,0.2"])
    found = sources_of([str(corpus)], [], [], [])
    assert [len(source.labels) for source in found] == [1, 1]
    manifest(corpus / "manifest.csv", "clips/a.wav,1,x,me,dev,,", "clips/a.wav,1,y,me,dev,,")
    with pytest.raises(KwsError, match=r"a\.wav in 2 rows: each needs start and end"):
        sources_of([str(corpus)], [], [], [])


def test_a_span_without_an_end_is_one_sentence(corpus):
    manifest(corpus / "manifest.csv", "clips/a.wav,1,x,me,dev,0.5,inf")
    with pytest.raises(KwsError, match="end is 'inf', not a number of seconds"):
        sources_of([str(corpus)], [], [], [])
