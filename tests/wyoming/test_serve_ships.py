"""What `kws serve` ships with: the container's recipe and the unit of systemd."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kws.cli.main import verb_parser
from serving import lasting
from trees import ROOT

DOCKERFILE = ROOT / "kws/wyoming/Dockerfile"
UNIT = ROOT / "kws/wyoming/kws.service"

server = pytest.fixture(scope="module")(lasting)


def instruction(name: str) -> list[str]:
    """The words of the last JSON list of a Dockerfile's instruction."""
    lines = DOCKERFILE.read_text().replace("\\\n", "").splitlines()
    return json.loads(re.search(r"\[.*\]$", next(line for line in lines if line.startswith(name)))[0])


def test_the_container_and_the_unit_give_a_command_that_exists():
    started = shlex.split(re.search(r"^ExecStart=(.*)$", UNIT.read_text(), re.M)[1])
    for program, verb, *words in (instruction("ENTRYPOINT"), started):
        assert Path(program).name == "kws" and verb == "serve"
        assert verb_parser(verb).parse_intermixed_args(words).uri == "tcp://0.0.0.0:10400"
    assert "EXPOSE 10400" in DOCKERFILE.read_text()


def test_the_container_is_given_what_its_build_needs_and_nothing_else():
    tomllib = pytest.importorskip("tomllib", reason="python 3.11 brings it")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {folder.partition("/")[0] for folder in project["tool"]["setuptools"]["package-dir"].values()}
    files = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    everything, *rules = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()[1:]
    assert everything == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == folders | files
    (extras,) = set(re.findall(r"'/src\[(.*),lexicon\]'", DOCKERFILE.read_text()))
    assert {extras, "lexicon"} <= set(project["project"]["optional-dependencies"])


def test_the_container_says_whether_it_is_well(server):
    program, *words = instruction("HEALTHCHECK")
    assert Path(program).name == "python" and "10400" in words[-1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        for port, well in ((server.port, True), (taken.getsockname()[1], False)):
            command = [sys.executable, *words[:-1], words[-1].replace("10400", str(port))]
            assert (subprocess.run(command, capture_output=True).returncode == 0) == well


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_every_line_of_the_unit(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/kws/bin/kws", sys.executable))
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
