"""More processes than one: the same batches, loss and weights; a killed process takes none of them along."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpora import write_corpus

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")

from kws.errors import KwsError  # noqa: E402
from kws.model.checkpoint import load_checkpoint  # noqa: E402
from kws.train.recipe import Recipe  # noqa: E402
from kws.train.recipes.file import find_recipe  # noqa: E402
from kws.train.recipes.identity import claim  # noqa: E402
from kws.train.recipes.override import override  # noqa: E402
from kws.train.trainer import train  # noqa: E402

# Three rows for two processes: shares that differ. Without dropout and masks, whose chance is each process's own.
RECIPE = """
from kws.model.acoustic import AcousticConfig
from kws.data.scenes.dataset import SceneConfig
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, TrainingCorpus

RECIPE = Recipe(
    "two",
    TaskConfig(
        {data!r}, (TrainingCorpus("words", "made", "none", "nobody", 1.0),), None, ("view glass", "computer"),
        model=AcousticConfig(width=16, blocks=1, heads=2, channels=8, window_frames=8, dropout=0.0),
        scenes=SceneConfig(rows=3, row_seconds=2.0, most_clips=1, empty_probability=0.3),
        words=("yes", "computer"), word_weight=0.5, decoder_weight=0.5, phrase_weight=0.5, frequency_mask=0,
    ),
    RunConfig("runs", threads=1),
    OptimConfig(
        learning_rate=0.02, ema_decay=0.5, steps=6, steps_per_epoch=2, validate_every=1, warmup_steps=2,
        precision="32-true",
    ),
)
"""
LOSSES = ("loss", "word_loss", "decoder_loss", "phrase_loss")
LIMIT_S = 300


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    write_corpus(folder / "words", ["view glass", "computer", "yes", "view of a glass"])
    (folder / "two.py").write_text(RECIPE.format(data=str(folder)))
    return folder / "two.py"


@pytest.fixture(scope="module")
def undisturbed(recipe, tmp_path_factory) -> Path:
    """What two processes make that torchrun starts as two machines would."""
    output, port = tmp_path_factory.mktemp("undisturbed"), free_port()
    nodes = [start(on_node(rank, port, recipe, f"output={output}", "num_nodes=2")) for rank in range(2)]
    said = [ended(node) for node in nodes]
    assert said[0][0].count(f"trained: {output / 'model.ckpt'}") == 1 and "trained" not in said[1][0]
    assert [err.count("words not in the dictionary") for _, err in said] == [1, 0], "one process speaks for all"
    return output


def start(words: list[str]) -> subprocess.Popen:
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen) -> tuple[str, str]:
    """What a process has printed, once it has ended well."""
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    return out, err


def on_node(rank: int, port: int, recipe: Path, *changes: str) -> list[str]:
    """A command as torchrun starts it on one of two machines, of one process each."""
    launch = ["torch.distributed.run", "--nnodes=2", f"--node-rank={rank}", "--master-addr=127.0.0.1"]
    return [sys.executable, "-m", *launch, f"--master-port={port}", "-m", "kws", "train", str(recipe), *changes]


def changed(recipe: Path, *changes: str) -> Recipe:
    return override(find_recipe(str(recipe)), changes)


def weights(output: Path) -> dict[str, "torch.Tensor"]:
    return load_checkpoint(output / "model.ckpt").model.state_dict()


def numbers(output: Path) -> list[tuple[str, str, float]]:
    """(step, name, value) of all that the first part of a training logged."""
    with (output / "logs" / "part-0" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["step"], name, float(row[name])) for row in rows for name in sorted(row) if row[name]]


def test_two_processes_train_as_one_does(recipe, undisturbed, tmp_path):
    train(changed(recipe, f"output={tmp_path}"))
    one, two = numbers(tmp_path), numbers(undisturbed)
    assert {*LOSSES, "misses", "frr", "phone_error_rate"} <= {name for _, name, _ in one}
    assert [key[:2] for key in two] == [key[:2] for key in one]
    assert [key[2] for key in two] == pytest.approx([key[2] for key in one], rel=1e-4)
    for name, expected in weights(tmp_path).items():
        torch.testing.assert_close(weights(undisturbed)[name], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_after_one_process_is_killed_the_rest_ends_and_the_training_goes_on(recipe, undisturbed, tmp_path):
    killed, single = tmp_path / "killed", tmp_path / "single"
    command = [sys.executable, "-m", "kws", "train", str(recipe), "devices=2", f"output={killed}"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (killed / "last.ckpt").exists() or first.poll() is not None)
    os.kill(second_of(first.pid), signal.SIGKILL)
    assert first.wait(LIMIT_S) != 0 and not (killed / "model.ckpt").exists(), "the first process must not go on alone"

    shutil.copytree(killed, single)
    out, err = ended(start(command))
    assert "going on from" in err and out.splitlines()[-2] == f"trained: {killed / 'model.ckpt'}"
    train(changed(recipe, f"output={single}"))  # what two began, one may end

    for name, expected in weights(undisturbed).items():
        assert torch.equal(weights(killed)[name], expected), name
        torch.testing.assert_close(weights(single)[name], expected, rtol=1e-3, atol=1e-5)


def second_of(first: int) -> int:
    """The process that Lightning started beside the first."""
    children = map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())
    (second,) = (child for child in children if b"LOCAL_RANK=1" in Path(f"/proc/{child}/environ").read_bytes())
    return second


def wait_for(happened) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert happened()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["devices=4"], "4 processes cannot share batches of 3 rows: give scenes.rows=4"),
        (["devices=0"], "Lightning refuses .*devices=0"),
        (["strategy=dpd"], "Lightning refuses .*strategy='dpd'"),
        (["strategy=ddp_spawn", "devices=2"], "give ddp"),
    ],
)
def test_impossible_machines_are_one_sentence_and_leave_nothing(recipe, tmp_path, changes, sentence):
    with pytest.raises(KwsError, match=sentence):
        train(changed(recipe, f"output={tmp_path / 'out'}", *changes))
    assert not (tmp_path / "out").exists()


def test_an_output_is_claimed_for_what_is_learned_whatever_the_machines(recipe, tmp_path):
    claim(tmp_path, changed(recipe, "devices=2", "strategy=ddp"))
    claim(tmp_path, changed(recipe, "num_nodes=2", "threads=4", "output=elsewhere"))
    with pytest.raises(KwsError, match="another recipe"):
        claim(tmp_path, changed(recipe, "scenes.rows=4"))
