"""What is missing is named together with the command that brings it."""

import sys

import pytest

from kws.errors import InputError, KwsError, close_to, named, nearest, require


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


def test_a_name_means_what_it_is_known_for_or_one_sentence_says_what_there_is():
    known = {"phones": 1, "wake_words": 2}
    assert named("phones", known, "recipe") == 1
    with pytest.raises(KwsError, match=r"^there is no recipe 'fones': the nearest is 'phones'$"):
        named("fones", known, "recipe")
    with pytest.raises(KwsError, match=r"^there is no recipe 'x': give a .py file, there are phones, wake_words$"):
        named("x", known, "recipe", "give a .py file")


def test_a_name_is_close_to_what_is_alike_enough():
    assert close_to("fones", ["phones"]) == "phones" and close_to("fones", ["phones"], 0.9) is None
