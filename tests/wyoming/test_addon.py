"""The add-on of Home Assistant: its pages agree, and its script starts the server that its options ask for."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from kws import __version__
from kws.cli.main import verb_parser
from kws.runtime.keywords import Threshold
from trees import ROOT

ADDON = ROOT / "kws/wyoming/addon"


def page(name: str) -> dict:
    return yaml.safe_load((ADDON / name).read_text(encoding="utf-8"))


def test_options_schema_and_translations_name_the_same():
    config, texts = page("config.yaml"), page("translations/en.yaml")
    assert list(config["options"]) == list(config["schema"]) == list(texts["configuration"])
    assert list(config["ports"]) == list(texts["network"]) == ["10400/tcp"]
    assert set(config["arch"]) == {"aarch64", "amd64"}  # of which the base in the Dockerfile has images
    assert config["version"] == __version__
    assert f"## {__version__}\n" in (ADDON / "CHANGELOG.md").read_text()
    assert all(text["name"] in (ADDON / "DOCS.md").read_text() for text in texts["configuration"].values())


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_pictures_have_the_size_that_the_store_shows(name, size):
    head = (ADDON / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", head[16:]) == size


SERVES = """
import socket, time
from pathlib import Path
line = socket.create_server(("127.0.0.1", int(sys.argv[3].rpartition(":")[2])))
end = time.monotonic() + 20
while not Path(__file__).with_name("curl.json").exists() and time.monotonic() < end:
    time.sleep(0.02)
"""


def started(tmp_path: Path, options: dict, share: bool = True) -> tuple[list[str], list[str]]:
    """The words of `kws`, and of `curl`, that the script starts; both are stubs that keep their words."""
    folder = tmp_path / "share"
    if share:
        folder.mkdir()
    (tmp_path / "options.json").write_text(json.dumps(page("config.yaml")["options"] | options), encoding="utf-8")
    for name in ("kws", "curl"):
        stub = tmp_path / name
        said = f"import json, sys; open({str(tmp_path / name)!r} + '.json', 'w').write(json.dumps(sys.argv[1:]))"
        stub.write_text(f"#!{sys.executable}\n{said}\n" + (SERVES if name == "kws" else ""))
        stub.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    script = (ADDON / "run.sh").read_text()
    for old, new in (
        ("/opt/kws/bin/python", sys.executable),
        ("/opt/kws/bin/kws", str(tmp_path / "kws")),
        ("/data/options.json", str(tmp_path / "options.json")),
        ("/share/kws", str(folder)),
        ("10400", port),
    ):
        assert old in script
        script = script.replace(old, new)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SUPERVISOR_TOKEN": "a token"}
    subprocess.run(["bash", "-c", script], env=environment, check=True, timeout=30)
    end = time.monotonic() + 10
    while not (told := tmp_path / "curl.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    return json.loads((tmp_path / "kws.json").read_text()), json.loads(told.read_text().replace(port, "10400"))


def test_the_script_starts_what_the_options_ask_for(tmp_path):
    options = {
        "only": ["smart mirror"],
        "keyword": ["good morning=G UH D M AO R N IH NG", 'it\'s $(id) — "ü"'],
        "threshold": ["0.5", "smart mirror=0.7"],
        "debug": True,
    }
    (verb, *words), told = started(tmp_path, options)
    args = verb_parser(verb).parse_intermixed_args(words)
    assert (verb, args.only, args.keyword, args.debug) == ("serve", options["only"], options["keyword"], True)
    assert args.threshold == [Threshold(None, 0.5), Threshold("smart mirror", 0.7)]
    assert args.custom_model_dir == [tmp_path / "share"]
    assert args.uri.startswith("tcp://0.0.0.0:")
    assert "Authorization: Bearer a token" in told and told[-1] == "http://supervisor/discovery"
    message = json.loads(told[told.index("--json") + 1])
    assert message["service"] == "wyoming" and re.fullmatch(r"tcp://[^:]+:10400", message["config"]["uri"])


def test_the_options_as_they_come_start_the_shipped_model(tmp_path):
    (verb, *words), _ = started(tmp_path, {}, share=False)
    args = verb_parser(verb).parse_intermixed_args(words)
    assert (list(args.models), args.only, args.keyword, args.threshold, args.debug) == ([], [], [], [], False)
    assert args.custom_model_dir == []


@pytest.mark.parametrize("text", ["0.6", ".6", "1", "1.0", "computer=0.6", "smart mirror=.45"])
def test_a_threshold_that_the_page_takes_is_one_for_the_server(text):
    assert re.search(page("config.yaml")["schema"]["threshold"][0].removeprefix("match(").removesuffix(")"), text)
    assert verb_parser("serve").parse_args(["--threshold", text]).threshold


@pytest.mark.parametrize("text", ["", "high", "2", "-0.5", "computer=", "computer 0.6"])
def test_other_thresholds_are_refused_by_the_page(text):
    assert not re.search(page("config.yaml")["schema"]["threshold"][0].removeprefix("match(").removesuffix(")"), text)


def test_the_dockerfile_names_its_base_itself():
    """The Supervisor fills in no base since 2026.04, and warns of a build.yaml."""
    lines = (ADDON / "Dockerfile").read_text().splitlines()
    first = next(line for line in lines if not line.startswith("#"))
    assert first == "FROM ghcr.io/home-assistant/base-debian:trixie"
    assert not (ADDON / "build.yaml").exists()


def test_the_image_takes_the_wheel_that_a_clone_gives_and_brings_what_the_server_needs():
    dockerfile = (ADDON / "Dockerfile").read_text()
    assert "COPY kws-*.whl" in dockerfile and "COPY run.sh /" in dockerfile and os.access(ADDON / "run.sh", os.X_OK)
    extras = re.findall(r"\$\{wheel\}\[(.*?)\]", dockerfile)
    assert extras == ["serve,lexicon", "serve"]
