"""A training that is stopped says how it goes on, leaves no process, and goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpora import write_corpus

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")

from command import kws  # noqa: E402
from kws.model.checkpoint import load_checkpoint  # noqa: E402

RECIPE = """
from kws.data.scenes.config import SceneConfig
from kws.model.config import AcousticConfig
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, TrainingCorpus
RECIPE = Recipe(
    name="small",
    task=TaskConfig(data={data!r}, speech=(TrainingCorpus("said", "t", "l", "a", share=1.0),), noise=None,
        keywords=("alexa",), scenes=SceneConfig(rows=2, row_seconds=3.0, room_probability=0.0),
        model=AcousticConfig(mixer="sa", width=16, blocks=1, heads=2, channels=8, window_frames=8)),
    optim=OptimConfig(steps=60, steps_per_epoch=2, validate_every=1000, warmup_steps=2, precision="32-true"),
    run=RunConfig(output="", threads=1),
)
"""
LIMIT_S = 120


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("stopped")
    write_corpus(root / "said", ["alexa", "go on"])
    path = root / "small.py"
    path.write_text(RECIPE.format(data=str(root)))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed")
    assert kws("train", recipe, f"output={output}").returncode == 0
    return output / "model.ckpt"


def members(group: int) -> list[int]:
    """The processes of a group, but for dead ones that nobody has waited for."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(its_group) == group and state != "Z":
                found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
@pytest.mark.parametrize(
    ("number", "tell", "code", "word"),
    [(signal.SIGINT, os.killpg, 130, "interrupted"), (signal.SIGTERM, os.kill, 143, "terminated")],
    ids=["ctrl-c", "sigterm"],
)
def test_a_training_that_is_stopped_goes_on_to_the_same(recipe, undisturbed, number, tell, code, word, tmp_path):
    # whoever runs the tests behind a shell's & has SIGINT ignored, and children inherit that
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from kws.cli.main import main; sys.exit(main(['train', {str(recipe)!r}, 'output={tmp_path}']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True,
    ) as run:  # fmt: skip
        deadline = time.monotonic() + LIMIT_S
        while not (tmp_path / "last.ckpt").exists() and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        tell(run.pid, number)
        _, said = run.communicate(timeout=LIMIT_S)
    assert run.returncode == code, said
    assert not (tmp_path / "model.ckpt").exists(), "the signal came too late to test"
    lines = [line for line in said.splitlines() if line.startswith("kws: ")]
    assert lines == [f"kws: {word}: the same command goes on from {tmp_path / 'last.ckpt'}"]
    assert "Traceback" not in said and "Detected" not in said
    deadline = time.monotonic() + LIMIT_S
    while members(run.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(run.pid) == []

    again = kws("train", recipe, f"output={tmp_path}")
    assert again.returncode == 0 and "going on from" in again.stderr
    found = load_checkpoint(tmp_path / "model.ckpt").model.state_dict()
    for name, expected in load_checkpoint(undisturbed).model.state_dict().items():
        assert torch.equal(found[name], expected), name
