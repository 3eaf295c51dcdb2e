"""`make docs` says nothing: no page, link, docstring or name that Sphinx warns of."""

import re
import subprocess
import sys

import pytest

from trees import ROOT


def test_sphinx_has_no_warning(tmp_path):
    for module in ("sphinx", "myst_parser", "furo", "torch"):
        pytest.importorskip(module)
    (command,) = re.findall(r"^\t\S+/python -m (sphinx .*) docs build/docs$", (ROOT / "Makefile").read_text(), re.M)
    words = command.replace("-b html", "-b dummy").split()  # reads and resolves everything, and writes nothing
    ran = subprocess.run(
        [sys.executable, "-m", *words, "-d", str(tmp_path / "read"), "docs", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
