"""What is missing is named together with the command that brings it."""

import sys

import pytest

from kws.errors import InputError, KwsError, nearest, require


def test_a_package_that_is_there_is_imported():
    assert require("json.decoder", extra="audio") is sys.modules["json.decoder"]


def test_a_package_that_is_missing_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(KwsError, match=r"^soxr is needed here: pip install '\.\[audio\]' in the folder of kws$"):
        require("soxr", extra="audio")
    with pytest.raises(
        KwsError, match=r"^no_such_package is needed here: pip install '\.\[listen\]' in the folder of kws$"
    ):
        require("no_such_package.part", extra="listen")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("raise OSError('libportaudio.so.2 is missing')", "cannot be loaded: libportaudio"),
        ("raise ImportError('built for another Python')", "cannot be loaded: built for"),
        ("import a_part_that_is_missing", "cannot be loaded: No module named 'a_part"),
    ],
)
def test_a_package_that_fails_says_why(tmp_path, monkeypatch, line, words):
    (tmp_path / "broken_package.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KwsError, match=words):
        require("broken_package", extra="listen")


def test_an_input_error_is_a_value_error_too():
    assert issubclass(InputError, KwsError)
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize(
    ("name", "hint"), [("detct", "the nearest is 'detect'"), ("xyzzy", "there are detect, info, serve")]
)
def test_a_name_that_is_not_known_gets_the_nearest_or_all(name, hint):
    assert nearest(name, ["detect", "info", "serve"]) == hint
    assert nearest(name, []) == "there are none"
