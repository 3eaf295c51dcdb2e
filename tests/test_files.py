"""A file is written whole or not at all."""

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
