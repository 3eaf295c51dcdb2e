"""A training whose kept files are empty, cut or of another kind, as a power cut leaves them: the same command goes on
with what is whole, or says in a sentence what to delete.
"""

from pathlib import Path

import pytest

from corpora import write_corpus
from damage import WAYS, damage

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")

from kws.data.scenes.config import SceneConfig  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.model.checkpoint import load_checkpoint  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, TrainingCorpus  # noqa: E402
from kws.train.trainer import train  # noqa: E402
from stopped import train_until  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_corpus(root / "said", ["alexa", "go on"])
    write_corpus(root / "noise", [""])
    return root


def small(data: Path, output: Path) -> Recipe:
    return Recipe(
        name="small",
        task=TaskConfig(
            data=str(data), keywords=("alexa",),
            speech=(TrainingCorpus("said", "t", "l", "a", share=1.0),), noise=TrainingCorpus("noise", "t", "l", "a"),
            scenes=SceneConfig(rows=2, row_seconds=3.0, room_probability=0.0),
            model=AcousticConfig(mixer="sa", width=16, blocks=1, heads=2, channels=8, window_frames=8),
        ),
        optim=OptimConfig(steps=4, steps_per_epoch=2, validate_every=1000, warmup_steps=2, precision="32-true"),
        run=RunConfig(output=str(output), threads=1, features=str(data / "features")),
    )  # fmt: skip


def weights(path: Path) -> dict:
    return load_checkpoint(path).model.state_dict()


@pytest.fixture(scope="module")
def expected(data, tmp_path_factory) -> dict:
    return weights(train(small(data, tmp_path_factory.mktemp("whole"))))


@pytest.mark.parametrize("way", WAYS)
def test_what_a_training_kept_of_its_data_is_made_again(data, expected, tmp_path, way):
    kept = [path for path in data.rglob("*") if path.is_file() and path.suffix in (".pcm", ".npz", ".json")]
    assert {path.suffix for path in kept} == {".pcm", ".npz", ".json"}
    for path in kept:
        damage(path, way)
    said: list[str] = []
    found = weights(train(small(data, tmp_path / "out"), said.append))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    sounds = [path for path in kept if path.suffix == ".pcm"]
    for path in sounds:
        damage(path, way)
    train(small(data, tmp_path / "again"), said.append)
    for path in sounds:
        assert f"{path} is damaged, as a power cut leaves files: it is made again" in said


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_state_of_a_training_is_named(data, expected, tmp_path, way):
    train_until(3, small(data, tmp_path))
    damage(tmp_path / "last.ckpt", way)
    with pytest.raises(KwsError, match=r"last\.ckpt is damaged, .*delete it, and the same command trains from the st"):
        train(small(data, tmp_path))
    (tmp_path / "last.ckpt").unlink()
    path = train(small(data, tmp_path))
    assert all(torch.equal(weights(path)[name], value) for name, value in expected.items())
    damage(path, way)
    with pytest.raises(KwsError, match=r"model\.ckpt is damaged, .*delete it, and the same command makes it again"):
        train(small(data, tmp_path))
    path.unlink()
    assert all(torch.equal(weights(train(small(data, tmp_path)))[name], value) for name, value in expected.items())
