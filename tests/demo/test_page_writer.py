"""What `kws web` writes: a page that asks no other server and can be read, and onnxruntime-web beside it."""

import io
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from kws.cli.main import main
from kws.data import packages
from kws.demo import page
from kws.errors import KwsError
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import find
from room import small_disk
from trees import ROOT

WEB = ROOT / "demo/web"


def test_the_page_names_no_other_server_and_forbids_itself_to_ask_one():
    sources = {path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir()}
    for name, source in sources.items():
        code = re.sub(r"^\s*//.*$", "", source, flags=re.MULTILINE)  # comments cite
        assert re.findall(r"\b(?:https?|wss?)://[\w.]+", code) == [], name
    policy = re.search(r'"Content-Security-Policy" content="([^"]*)"', sources["index.html"])
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == "'self'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    ids = set(re.findall(r'\bid="([\w-]+)"', sources["index.html"]))
    assert set(re.findall(r'\$\("([\w-]+)"\)', sources["page.js"])) <= ids


def luminance(colour: str) -> float:
    """Relative, of "#rrggbb" (WCAG 2.2)."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def test_words_can_be_read_in_light_and_in_dark():
    themes = re.findall(r":root \{(.*?)\}", (WEB / "style.css").read_text(encoding="utf-8"), re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        pairs = [(ink, paper) for ink in ("ink", "soft", "accent") for paper in ("paper", "card")]
        pairs += [("on-accent", "accent"), ("ink", "faint"), *((f"c{n}", "card") for n in range(8))]
        for ink, paper in pairs:
            low, high = sorted((luminance(colours[ink]), luminance(colours[paper])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"--{ink} on --{paper}"


# kws web


def test_without_the_runtime_one_sentence_says_how_to_bring_it(tmp_path, capsys):
    assert main(["web", "-o", str(tmp_path / "site")]) == 1
    assert "--download" in (said := capsys.readouterr().err) and len(said.splitlines()) == 1


def test_a_site_that_has_no_room_leaves_the_old_one_as_it_was(tmp_path):
    model = OnnxModel.load(find("speech-commands"))
    site = tmp_path / "site"
    with small_disk(site, 1_250_000):  # not for the recording
        (site / "index.html").write_text("old")
        with pytest.raises(OSError, match=rf"(No space left on device|File too large): '{site}/[\w.-]+'"):
            page.write_site(site, [model])
        assert [path.name for path in site.rglob("*")] == ["index.html"]
        assert (site / "index.html").read_text() == "old"
    page.write_site(site, [model])
    assert {"index.html", "page.js", "models.json", "models/speech-commands.onnx", "example.wav"} <= {
        str(path.relative_to(site)) for path in site.rglob("*")
    }
    assert not list(site.rglob("*partial*"))


class TestRuntime:
    @pytest.fixture
    def registry(self, monkeypatch) -> list[str]:
        """An npm that gives small files; returns what it was asked for."""
        asked = []
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz") as tar:
            for member, _ in page.RUNTIME_FILES.values():
                info = tarfile.TarInfo(f"package/dist/{member}")
                info.size = len(member)
                tar.addfile(info, io.BytesIO(member.encode()))

        def run(command: list[str], what: str) -> None:
            asked.append(what)
            name, _, version = what.partition("@")
            (Path(command[-1]) / f"{name}-{version}.tgz").write_bytes(held.getvalue())

        monkeypatch.setattr(packages, "client", run)
        monkeypatch.setattr(packages.shutil, "which", lambda name: "/bin/npm")
        return asked

    def test_it_comes_once(self, registry, monkeypatch, tmp_path):
        digests = dict(page.RUNTIME_FILES.values())

        def trusting(path: Path) -> str:
            return page.RUNTIME_SHA256 if path.suffix == ".tgz" else digests[path.read_text()]

        monkeypatch.setattr(packages, "digest", trusting)
        for _ in range(2):
            page.bring_runtime(tmp_path / "vendor", download=True)
        assert registry == ["onnxruntime-web@1.30.0"]
        assert {path.name for path in (tmp_path / "vendor").iterdir()} == set(page.RUNTIME_FILES)

    def test_a_wrong_archive_is_removed(self, registry, tmp_path):
        with pytest.raises(KwsError, match="checksum"):
            page.bring_runtime(tmp_path, download=True)
        assert list(tmp_path.iterdir()) == []


def test_two_models_of_one_name_are_refused(tmp_path):
    with pytest.raises(KwsError, match="two of the models"):
        page.write_site(tmp_path, [OnnxModel.load(find("wake-words"))] * 2)
