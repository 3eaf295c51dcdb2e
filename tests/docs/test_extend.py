"""The diffs of docs/extend/, applied to a copy of the tree: what they add is there and works."""

import csv
import json
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from trees import ROOT

PAGES = sorted(path for path in (ROOT / "docs" / "extend").glob("*.md") if path.stem != "index")
DIFF = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)

LOSS = """
import torch
from kws.lexicon import load_cmudict
from kws.model.acoustic import AcousticModel
from kws.recipes.tiny.recipe import RECIPE
from kws.train.losses.total import Losses
from kws.train.recipes.override import override

for changes in [], ["confidence_weight=0.1"]:
    recipe = override(RECIPE, changes)
    model = AcousticModel(recipe.task.model)
    batch = {"targets": torch.tensor([1, 2]), "target_lengths": torch.tensor([1, 1]), "words": torch.tensor([-1, -1])}
    terms = Losses(recipe, model.config, load_cmudict())(model, torch.zeros(2, 40, model.config.mels), batch)
    assert all(term.mean.isfinite() for term in terms)
    print(*[f"{term.name} {term.weight:g}" for term in terms])
"""


def run(tree: Path, *words: str, code: int = 0) -> str:
    """What `python -m WORDS` prints in a tree."""
    ran = subprocess.run([sys.executable, "-m", *words], cwd=tree, capture_output=True, text=True)
    assert ran.returncode == code, f"{words} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def copy_of_the_tree(folder: Path) -> Path:
    """kws with its sister folders inside it, as an installed kws has them, and the tests."""
    ignored = shutil.ignore_patterns("models", "__pycache__")
    for name in ("kws", "demo", "export", "recipes", "examples", "tests", "docs/extend"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "kws" / "models").symlink_to(ROOT / "kws" / "models")
    for name in ("demo", "export", "recipes"):
        (folder / "kws" / name).unlink(missing_ok=True)
        (folder / "kws" / name).symlink_to(folder / name)
    return folder


def patch_of(page: Path) -> str:
    return "".join(DIFF.findall(page.read_text(encoding="utf-8")))


def apply(page: Path, tree: Path) -> None:
    patch = patch_of(page)
    assert patch, f"{page} has no diff"
    words = ["git", "apply", "--recount", "-"]
    ran = subprocess.run(words, cwd=tree, input=patch, capture_output=True, text=True)
    assert ran.returncode == 0, f"{page.name} does not apply: write its diff anew\n{ran.stderr}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the tree with the diffs of all pages."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("extended"))
    for page in PAGES:
        apply(page, folder)
    return folder


def sound(path: Path, level: float, seconds: float = 0.5) -> Path:
    samples = level * np.random.default_rng(len(path.name)).uniform(-1, 1, int(16_000 * seconds))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def test_the_table_counts_what_the_diffs_touch():
    index = (ROOT / "docs" / "extend" / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        patch = patch_of(page).splitlines()
        files = sum(line.startswith("diff --git") for line in patch)
        lines = sum(line.startswith("+") and not line.startswith("+++") for line in patch)
        assert f"]({page.name}) | {files} | {lines} |" in index


def test_ruff_finds_nothing(tree):
    touched = {file for page in PAGES for file in re.findall(r"^\+\+\+ b/(.*\.py)$", patch_of(page), re.MULTILINE)}
    run(tree, "ruff", "check", "--no-cache", *touched)
    run(tree, "ruff", "format", "--check", "--no-cache", *touched)


WHOLE = [  # files of tests that know of all corpora, engines, fields of a recipe, fields of a report
    "data/test_corpora.py",
    "evaluate/replay/test_engines.py",
    "train/test_recipe.py",
    "evaluate/report/test_report_model.py",
]
PAGE = "tests/docs/extended_pages.py"
LAWS = ["laws/test_floors.py", "laws/test_lines.py", "laws/test_mixers.py"]  # of these what an addition can break


@pytest.fixture(scope="module")
def tried(tree) -> str:
    """What pytest says of the tests of what is added, of the laws and of the pages, in one process: it loads torch."""
    pytest.importorskip("torch")
    which = " or ".join(["(test_no and not vain and not notices)", "average", "percent", *map(stem, [*WHOLE, PAGE])])
    words = ["-p", "no:cacheprovider", *(f"tests/{file}" for file in [*LAWS, *WHOLE]), PAGE, "-k", which, "-v"]
    return run(tree, "pytest", *words)


def test_the_tests_of_what_is_added_and_the_laws_pass(tried):
    assert all(re.search(rf"{file}::.* PASSED", tried) for file in [*LAWS, *WHOLE]), tried
    assert all(f"[{name}]" in tried for name in ("average", "claps", "loudness")), tried


def test_the_commands_of_the_pages_are_tried(tried):
    assert "[length demo/hear.wav] PASSED" in tried and "[train tiny model.mixer=average] PASSED" in tried


def stem(file: str) -> str:
    return Path(file).stem


def test_a_corpus_is_listed_and_prepared(tree, tmp_path):
    for person in ("anna", "ben"):
        sound(tmp_path / "recordings" / "claps" / person / "1.wav", 0.9)
    assert "claps of 40 people" in run(tree, "kws", "data", "list")
    run(tree, "kws", "data", "get", "claps", "--root", str(tmp_path / "out"), "--from", str(tmp_path / "recordings"))
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        assert {(row["text"], row["speaker"]) for row in csv.DictReader(file)} == {("clap", "anna"), ("clap", "ben")}


def test_an_engine_is_scored_and_the_report_has_the_field(tree, tmp_path):
    loud, quiet = sound(tmp_path / "loud.wav", 1.0), sound(tmp_path / "quiet.wav", 0.01, seconds=4)
    header = ["audio", "seconds", "text", "speaker", "split"]
    for name, row in (("p", [loud, 0.5, "clap", "anna", "dev"]), ("n", [quiet, 4, "", "", "dev"])):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, row])
    places = ["--positives", str(tmp_path / "p.csv"), "--negatives", str(tmp_path / "n.csv"), "-o", str(tmp_path / "r")]
    said = run(tree, "kws", "score", "loudness", "--keyword", "clap", *places, "--jobs", "1")
    clap = json.loads((tmp_path / "r" / "report.json").read_text())["keywords"]["clap"]
    assert clap["points"][0]["misses"] == 0 and clap["points"][0]["positives"] == 1
    assert 0 < clap["quiet_from"] < 1 and f"clap: no false accept from {clap['quiet_from']:.3f} on" in said


def test_a_verb_is_listed_explains_itself_and_runs(tree):
    assert "say how long sound files are" in run(tree, "kws", "--help")
    assert "kws length recording.wav" in run(tree, "kws", "length", "--help")
    assert run(tree, "kws", "length", "demo/hear.wav").split()[0].startswith("59")
    run(tree, "kws", "length", "no-such.wav", code=1)


def test_a_loss_is_weighed(tree):
    pytest.importorskip("torch")
    said = subprocess.run([sys.executable, "-c", LOSS], cwd=tree, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    without, weighed = said.stdout.splitlines()
    assert weighed == f"{without} confidence_loss 0.1"
