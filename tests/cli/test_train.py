"""`kws train`: help and mistakes are told before anything slow is loaded."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "code", "unneeded"),
    [
        (["--help"], 0, {"torch", "numpy"}),
        (["wake_wrds"], 1, {"torch", "numpy"}),
        (["phrase", "--help"], 0, {"torch"}),
        (["wake_words", "stepz=3"], 1, {"torch"}),
    ],
)
def test_help_and_mistakes_load_nothing_slow(words, code, unneeded):
    script = (
        "import sys; from kws.cli.main import main\n"
        f"code = main(['train', *{words!r}])\n"
        f"print(code, *({unneeded!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(code), done.stderr
