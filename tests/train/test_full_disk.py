"""A disk that is full while a model is trained is named in a sentence, and what is written is whole or not there."""

import errno
import shutil
import tempfile
import threading
from pathlib import Path

import pytest

from corpora import write_corpus

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")

from kws.data.scenes.config import SceneConfig  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.model.checkpoint import write_values  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402
from kws.train.process.full_disk import told_of_a_full_disk  # noqa: E402
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, TrainingCorpus  # noqa: E402
from kws.train.trainer import train  # noqa: E402
from room import room_for, small_disk  # noqa: E402

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_training_names_the_checkpoint_that_has_no_room(tmp_path, monkeypatch):
    write_corpus(tmp_path / "said", ["alexa", "go on"])
    recipe = Recipe(
        name="small",
        task=TaskConfig(
            data=str(tmp_path), speech=(TrainingCorpus("said", "t", "l", "a", share=1.0),), noise=None,
            keywords=("alexa",), scenes=SceneConfig(rows=2, row_seconds=3.0, room_probability=0.0),
            model=AcousticConfig(mixer="sa", width=64, blocks=1, heads=2, channels=16, window_frames=8),
        ),
        optim=OptimConfig(steps=4, steps_per_epoch=2, validate_every=1000, warmup_steps=2, precision="32-true"),
        run=RunConfig(output=str(tmp_path / "out"), threads=1),
    )  # fmt: skip
    temporary = Path(tempfile.mkdtemp(prefix="kws"))  # short: the processes of a loader keep sockets in it
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with small_disk(tmp_path / "out", 400_000):
        with pytest.raises(OSError, match=r"(No space left on device|File too large): '.*out/last\.ckpt'"):
            train(recipe)
        left = [*temporary.rglob("*"), *tmp_path.rglob("*partial*"), *tmp_path.rglob("last.ckpt")]
        assert [path for path in left if path.is_file()] == []
    shutil.rmtree(temporary)


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model.ckpt"
    write_values(path, {"a": torch.ones(3)})
    with pytest.raises(OSError, match=r"File too large: '.*model\.ckpt'"), room_for(1000):
        write_values(path, {"a": torch.ones(3000)})
    assert torch.equal(torch.load(path, weights_only=True)["a"], torch.ones(3))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("first", [OSError(*FULL.args), KwsError("a sentence")])
def test_what_stopped_a_training_is_told_and_not_what_followed(first, tmp_path):
    def stumble() -> None:
        with told_of_a_full_disk(tmp_path / "out"):
            try:
                raise first
            finally:
                raise RuntimeError("on the way out")

    with pytest.raises(type(first), match=r"No space left on device: '.*out'|a sentence"):
        stumble()


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="a fault of ours"), told_of_a_full_disk(tmp_path):
        raise RuntimeError("a fault of ours")


def test_a_thread_without_room_says_nothing(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda died: told.append(died.exc_value))

    def run(error: Exception) -> None:
        def die() -> None:
            raise error

        thread = threading.Thread(target=die)
        thread.start()
        thread.join()

    fault = RuntimeError("a fault of ours")
    with told_of_a_full_disk(tmp_path):
        run(FULL)
        run(fault)
    run(FULL)
    assert told == [fault, FULL]
