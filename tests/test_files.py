"""A file is written whole or not at all."""

import os

import pytest

from kws import files


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "a.json"
    files.write_text(path, "ä")
    assert path.read_bytes() == "ä".encode()
    files.write_bytes(path, b"b")
    assert path.read_bytes() == b"b"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def half() -> None:
        with files.whole(path) as partial:
            partial.write_text("half")
            assert path.read_text() == "old"
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        half()
    assert [path.read_text(), list(tmp_path.iterdir())] == ["old", [path]]


def test_files_that_belong_together_come_together(tmp_path):
    folder = tmp_path / "report"
    with files.together(folder) as partial:
        (partial / "a").write_text("1")
        (partial / "b").write_text("1")
        assert not (folder / "a").exists()
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "1", "b": "1"}

    def fail() -> None:
        with files.together(folder) as partial:
            (partial / "a").write_text("2")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=f"No space left on device: '{folder}'"):
        fail()
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "1", "b": "1"}


def test_a_killed_process_leaves_nothing_in_the_way(tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial/old").touch()
    with files.together(tmp_path) as partial:
        (partial / "new").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_processes_that_write_the_same_do_not_write_into_one_another(tmp_path):
    path = tmp_path / "a.json"
    with files.whole(path) as usual, files.whole(path, shared=True) as own:
        assert usual == files.partial_of(path) != own and str(os.getpid()) in own.name
        usual.write_text("usual")
        own.write_text("own")
    assert [path.read_text(), list(tmp_path.iterdir())] == ["usual", [path]]


def test_files_that_differ_in_their_suffix_alone_have_partial_files_of_their_own(tmp_path):
    assert files.partial_of(tmp_path / "a.json") != files.partial_of(tmp_path / "a.csv")


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    def copy(fails: bool) -> None:
        with files.whole(tmp_path / "folder") as partial:
            partial.mkdir()
            (partial / "a").touch()
            if fails:
                raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        copy(fails=True)
    assert list(tmp_path.iterdir()) == []
    copy(fails=False)
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder", tmp_path / "folder/a"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b"\0" * 9])
def test_what_is_damaged_counts_as_not_there(content, tmp_path):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    assert files.read_json(path, dict) is None
    path.write_bytes(b'{"a": 1}')
    assert files.read_json(path, dict) == {"a": 1} and files.read_json(path, list) is None


def test_a_full_disk_is_named(tmp_path):
    def fill() -> None:
        with files.whole(tmp_path / "a.json"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"a\.json"):
        fill()
