"""What kws prints cannot command a terminal, whoever wrote the names in it; its own lines of progress still can."""

import io
import json
import sys

import pytest

import tones
from command import kws
from kws.cli.terminal import plain_streams
from kws.controls import escaped
from waves import write_wave

HOSTILE = "\x1b[2J\x1b]0;taken\x07\x9b31m\r\x00.wav"
AS_SHOWN = r"\x1b[2J\x1b]0;taken\x07\x9b31m\x0d\x00.wav"


def written(*pieces: str) -> str:
    before, sys.stderr = sys.stderr, io.StringIO()
    try:
        with plain_streams():
            for piece in pieces:
                print(piece, end="", file=sys.stderr)
        return sys.stderr.getvalue()
    finally:
        sys.stderr = before


def test_control_characters_are_escaped_but_for_lines_and_tabs():
    assert escaped(HOSTILE) == AS_SHOWN
    assert escaped("a\tb\n") == r"a\x09b\x0a" and escaped("a\tb\n", kept="\n\t") == "a\tb\n"
    assert written(f"kws:\t{HOSTILE}\n") == f"kws:\t{AS_SHOWN}\n"
    letters = "é 語 \u200c –"
    assert written(letters) == letters


@pytest.mark.parametrize("begin", ["\r", "\r\x1b[K", "\x1b[A", "\x1b[A\x1b[A"])
def test_a_line_of_progress_begins_anew(begin):
    assert written(begin) == begin
    assert written("begun ", f"\r{HOSTILE}", "\r") == f"begun \r{AS_SHOWN}\r"
    assert written(f"a{begin}") == f"a{escaped(begin)}"


def test_bars_of_tqdm_are_drawn():
    tqdm = pytest.importorskip("tqdm").tqdm
    before, sys.stderr = sys.stderr, io.StringIO()
    try:
        with plain_streams():
            for _ in tqdm(tqdm([1], "inner", position=1, leave=False), "outer", leave=False):
                pass
        drawn = sys.stderr.getvalue()
    finally:
        sys.stderr = before
    assert "\rinner" in drawn and "\router" in drawn and "\x1b[A" in drawn and "\\x" not in drawn


def test_names_of_files_reach_no_terminal_as_commands(tone_model, tmp_path):
    bad = tmp_path / HOSTILE.replace("\x00", "")
    bad.write_bytes(b"no sound")
    ran = kws("detect", tone_model, bad)
    assert ran.returncode == 1
    assert AS_SHOWN.replace(r"\x00", "") in ran.stderr and "\x1b" not in ran.stderr
    model = tmp_path / "a\x1b[31m.onnx"
    model.write_bytes(tone_model.read_bytes())
    assert rf"{tmp_path}/a\x1b[31m.onnx" in kws("info", model).stdout


def test_a_name_cannot_pass_for_a_line_of_ours(tone_model, tmp_path):
    sound = tmp_path / "a\nb.wav: 1.00 s  fed  (score 0.99).wav"
    write_wave(sound, tones.speak("  ABC  "))
    lines = kws("detect", tone_model, sound).stdout.splitlines()
    assert len(lines) == 1 and r"a\x0ab.wav" in lines[0]


def test_a_model_with_such_names_is_refused(tmp_path):
    info = tones.model_info(name=HOSTILE)
    ran = kws("info", tones.write_model(tmp_path / "a.onnx", json.dumps(info)))
    assert (ran.returncode, ran.stdout) == (1, "") and "has control characters" in ran.stderr
    assert "\x1b" not in ran.stderr


def test_rich_draws_where_it_always_does():
    console = pytest.importorskip("rich.console").Console(force_terminal=True, width=20, color_system="standard")
    before, sys.stdout = sys.stdout, io.StringIO()
    try:
        with plain_streams():
            console.print("[bold]a[/bold]")
        assert sys.stdout.getvalue() == "\x1b[1ma\x1b[0m\n"
    finally:
        sys.stdout = before
