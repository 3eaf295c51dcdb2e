"""Recipes and training: typed fields, resumption to the same numbers, every shipped recipe runs."""

import json
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from corpora import write_corpus

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")

from command import kws  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lexicon import load_cmudict  # noqa: E402
from kws.log import silent  # noqa: E402
from kws.model.checkpoint import load_checkpoint  # noqa: E402
from kws.train.datamodule import SceneModule  # noqa: E402
from kws.train.losses.total import ctc_loss  # noqa: E402
from kws.train.recipe import Recipe, TrainingCorpus  # noqa: E402
from kws.train.recipes.file import find_recipe  # noqa: E402
from kws.train.recipes.override import override  # noqa: E402
from kws.train.task import warmup_cosine  # noqa: E402
from kws.train.trainer import train  # noqa: E402
from stopped import train_until  # noqa: E402
from trees import ROOT  # noqa: E402

SHIPPED = sorted(
    path.parent.name for path in (ROOT / "recipes").glob("*/recipe.py") if "verifier" not in path.parent.name
)
TINY = (
    "start= model.width=16 model.blocks=1 model.heads=2 model.channels=8 model.window_frames=8 scenes.rows=2 "
    "scenes.row_seconds=3.0 steps=6 steps_per_epoch=2 validate_every=3 warmup_steps=2 threads=1 precision=32-true"
).split()


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory) -> Path:
    """The folders of every shipped recipe, with noise under the texts that the recipe needs."""
    root = tmp_path_factory.mktemp("corpora")
    for name in SHIPPED:
        recipe = find_recipe(name)
        for i, corpus in enumerate([*recipe.task.speech, *([recipe.task.noise] if recipe.task.noise else [])]):
            if not (root / corpus.folder).exists():
                write_corpus(root / corpus.folder, [*recipe.task.keywords, "yes", "view of a glass"], seed=i)
    return root


def tiny(data: Path, output: Path, *changes: str, recipe: str = "wake_words") -> Recipe:
    return override(find_recipe(recipe), [*TINY, f"data={data}", f"output={output}", *changes])


def command(data: Path, output: Path, *changes: str) -> list[str]:
    return [
        sys.executable, "-m", "kws", "train", "wake_words", *TINY, f"data={data}", f"output={output}", *changes
    ]  # fmt: skip


def weights(path: Path):
    return load_checkpoint(path).model.state_dict()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_trains(name, stand_ins, tmp_path):
    path = train(tiny(stand_ins, tmp_path, "steps=2", recipe=name))
    checkpoint = load_checkpoint(path)
    assert checkpoint.recipe["keywords"] == list(find_recipe(name).task.keywords)
    assert all(torch.isfinite(w).all() for w in checkpoint.model.state_dict().values())
    assert "loss" in (tmp_path / "logs" / "part-0" / "metrics.csv").read_text()


def test_corpora_that_cannot_be_written_to_are_decoded_elsewhere(stand_ins, tmp_path, monkeypatch):
    monkeypatch.setattr("kws.train.datamodule.os.access", lambda path, mode: Path(path) != stand_ins)
    recipe = tiny(stand_ins, tmp_path / "output")
    SceneModule(recipe, load_cmudict().extended(recipe.task.extra_spellings), silent).prepare()
    assert list((tmp_path / "output" / ".decoded").glob("*.pcm"))


def test_dev_clips_that_are_learned_too_are_named_and_left_out(tmp_path):
    folder = write_corpus(tmp_path / "data" / "said", ["alexa", "stop"], clips_each=3)
    manifest = folder / "manifest.csv"
    shutil.copy(folder / "1/0.wav", folder / "0/3.wav")  # the dev clip of "alexa" is a training clip of "stop"
    recipe = tiny(tmp_path / "data", tmp_path / "out").changed(
        speech=(TrainingCorpus("said", "t", "l", "a", share=1.0),), noise=None
    )
    said = []
    module = SceneModule(recipe, load_cmudict(), said.append)
    module.prepare()
    assert [row.audio.parent.name for clips in module.dev_clips for row in clips.utterances] == ["1"]
    assert f"skipped: {folder / '0/3.wav'} is held out and a copy of a training clip" in said
    assert "skipped 1 of 2 dev clips" in said
    manifest.write_text("\n".join(line for line in manifest.read_text().splitlines() if "1/3" not in line) + "\n")
    module = SceneModule(recipe, load_cmudict(), silent)
    module.prepare()
    assert module.dev_clips == []


def test_recorded_rooms_are_heard_in_training(stand_ins, tmp_path):
    write_corpus(stand_ins / "rooms", [""])
    plain = tiny(stand_ins, tmp_path / "plain", "scenes.room_probability=1.0", "scenes.recorded_rooms=1.0")
    in_rooms = plain.changed(rooms=TrainingCorpus("rooms", "t", "l", "a"), output=str(tmp_path / "rooms"))
    lexicon = load_cmudict().extended(plain.task.extra_spellings)
    simulated, recorded = (SceneModule(recipe, lexicon, silent).prepare()[0]["pcm"] for recipe in (plain, in_rooms))
    assert simulated.shape == recorded.shape and not torch.equal(simulated, recorded)


@pytest.mark.parametrize("mixer", ["bilstm", "lstm", "sa+full", "fixed,random+xsa"])
def test_every_kind_of_mixer_trains(mixer, stand_ins, tmp_path):
    path = train(tiny(stand_ins, tmp_path, "steps=2", "validate_every=1", "model.blocks=2", f"model.mixer={mixer}"))
    model = load_checkpoint(path).model
    assert model.config.mixer == mixer
    if "fixed" in mixer:  # an utterance of the training, that every execution then reads
        assert model.fixed_reference.std() > 0.1


def test_a_killed_training_resumes_to_the_same_numbers(stand_ins, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(tiny(stand_ins, whole))
    # the longer training is killed in the middle of an epoch, then given again and left to end
    process = subprocess.Popen(command(stand_ins, killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / "last.ckpt").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (killed / "last.ckpt").exists() and not (killed / "model.ckpt").exists(), "the kill came too late to test"
    again = kws(*command(stand_ins, killed)[3:])
    assert again.returncode == 0, again.stderr
    assert "going on from" in again.stderr
    for name, expected in weights(whole / "model.ckpt").items():
        assert torch.equal(weights(killed / "model.ckpt")[name], expected), name


def test_a_training_that_was_stopped_after_its_last_step_ends_with_its_average_too(stand_ins, tmp_path):
    """Its state is whole, and the finished file is not there yet: Lightning passes over the end of such a training."""
    recipe = tiny(stand_ins, tmp_path, "steps=4", "validate_every=2", "ema_decay=0.5")
    path = train(recipe)
    expected = weights(path)
    assert not torch.equal(
        torch.load(tmp_path / "last.ckpt")["current_model_state"]["model.head.bias"], expected["head.bias"]
    )
    path.unlink()
    assert all(torch.equal(weights(train(recipe))[name], value) for name, value in expected.items())


def test_the_same_recipe_gives_the_same_numbers_and_another_seed_others(stand_ins, tmp_path):
    paths = [train(tiny(stand_ins, tmp_path / str(i), f"seed={seed}", "steps=2")) for i, seed in enumerate([3, 3, 4])]
    first, same, other = (weights(path)["head.weight"] for path in paths)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_temperature_and_blank_discount_change_the_finished_head_and_nothing_else(stand_ins, tmp_path):
    plain, softened = (
        weights(train(tiny(stand_ins, tmp_path / str(t), "steps=2", f"temperature={t}", f"blank_discount={d}")))
        for t, d in [(1.0, 0.0), (4.0, 0.5)]
    )
    plain["head.bias"][0] -= 4 * 0.5  # the discount is taken from the softened logit
    for name, expected in plain.items():
        assert torch.equal(softened[name], expected / 4 if name.startswith("head.") else expected), name


def test_stretched_frequencies_are_the_same_again_and_after_a_stop(stand_ins, tmp_path):
    """Each step draws its factors from its own number, so that what goes on from a checkpoint repeats them."""
    settings = ("steps=4", "validate_every=2")
    plain, whole, again = (
        weights(train(tiny(stand_ins, tmp_path / str(i), *settings, f"vocal_tract={most}")))
        for i, most in enumerate([0.0, 0.1, 0.1])
    )
    assert not torch.equal(plain["head.weight"], whole["head.weight"])
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    recipe = tiny(stand_ins, tmp_path / "stopped", *settings, "vocal_tract=0.1")
    train_until(3, recipe)
    assert (tmp_path / "stopped" / "last.ckpt").exists()
    resumed = weights(train(recipe))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_an_output_of_another_recipe_is_refused(stand_ins, tmp_path):
    train(tiny(stand_ins, tmp_path, "steps=2"))
    with pytest.raises(KwsError, match="another recipe"):
        train(tiny(stand_ins, tmp_path, "steps=2", "learning_rate=0.5"))


def test_overrides_are_typed():
    recipe = override(find_recipe("wake_words"), ["model.width=64", "learning_rate=1", "scenes.speed=(1.0,1.0)"])
    assert (
        recipe.task.model.width == 64 and recipe.optim.learning_rate == 1.0 and recipe.task.scenes.speed == (1.0, 1.0)
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("stepz=3", "no stepz: the nearest is 'steps'"),
        ("model.widht=3", "no model.widht: the nearest is 'width'"),
        ("steps=many", "steps=many: expected int"),
        ("steps=1.5", "expected int"),
        ("steps=True", "expected int"),
        ("scenes.speed=1", "expected tuple"),
        ("seed.x=1", "seed has no parts"),
        ("steps", "not of the form key=value"),
    ],
)
def test_a_wrong_override_is_one_sentence(change, sentence):
    with pytest.raises(KwsError, match=sentence):
        override(find_recipe("wake_words"), [change])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["no_such_recipe"],
            "there is no recipe 'no_such_recipe': give a .py file or a shipped one, there are fewshot",
        ),
        (["wake_words", "data=.", "steps=-3"], "steps=-3 steps_per_epoch=200: a training has at least one step"),
        (["missing.py"], "there is no file missing.py"),
        (["wake_words", "data=/nowhere"], "data folder /nowhere does not exist"),
        (["wake_words", "steps=7"], "not a multiple of steps_per_epoch"),
        (["wake_words", "vocal_tract=-1"], "vocal_tract=-1 is no share of the frequencies: give 0 or more"),
        (["wake_words", "vocal_tract=2"], "vocal_tract=2 is no share of the frequencies"),
        (["wake_words", "vocal_tract=nan"], "vocal_tract"),
        (["wake_words", "temperature=0"], "temperature=0.0 divides the logits: give a number above 0"),
        (["wake_words", "temperature=-1"], "temperature=-1.0 divides the logits"),
        (["wake_words", "blank_discount=nan"], "blank_discount=nan: expected float"),
        (["wake_words", "blank_discount=21"], "give a number from -20 to 20"),
        (["wake_words", "blank_discount=-21"], "give a number from -20 to 20"),
        (["wake_words", "model.mixer=xas"], "model.mixer=xas: no mixer is called 'xas'; there are"),
    ],
)
def test_mistakes_end_in_one_sentence(arguments, sentence, tmp_path):
    data = [] if "data=/nowhere" in arguments else [f"data={tmp_path}"]
    done = kws("train", *arguments, *data, f"output={tmp_path / 'out'}")
    assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr


def test_recipe_file_without_recipe(tmp_path):
    (tmp_path / "r.py").write_text("x = 1\n")
    with pytest.raises(KwsError, match="no constant RECIPE"):
        find_recipe(str(tmp_path / "r.py"))


def test_checkpoints_that_are_none_are_refused(tmp_path):
    (tmp_path / "text.ckpt").write_text("hello")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    for name in ("text.ckpt", "other.ckpt", "missing.ckpt"):
        with pytest.raises(KwsError, match=name):
            load_checkpoint(tmp_path / name)


def test_impossible_targets_leave_the_loss_finite():
    log_posteriors = torch.randn(2, 3, 5, requires_grad=True).log_softmax(-1)
    targets, lengths = torch.tensor([1, 1, 1, 1, 2]), torch.tensor([4, 1])
    loss = ctc_loss(log_posteriors, torch.tensor([3, 3]), targets, lengths)
    loss.backward()
    assert torch.isfinite(loss)


def test_learning_rate_rises_then_falls():
    rates = [warmup_cosine(step, 10, 100) for step in range(100)]
    assert rates[0] == 0.1 and rates[9] == rates[10] == 1.0
    assert all(a >= b for a, b in pairwise(rates[10:])) and rates[-1] < 0.02


def test_the_recipe_stands_beside_its_checkpoint(stand_ins, tmp_path):
    train(tiny(stand_ins, tmp_path, "steps=2"))
    assert json.loads((tmp_path / "recipe.json").read_text())["steps"] == 2


def test_a_checkpoint_says_nothing_of_the_machine_that_it_is_from(stand_ins, tmp_path):
    path = train(tiny(stand_ins, tmp_path, "steps=2"))
    again = train(tiny(stand_ins, tmp_path / "again", "steps=2", f"start={path}"))
    for checkpoint in (path, again):
        assert str(tmp_path).encode() not in checkpoint.read_bytes()
        assert str(stand_ins).encode() not in checkpoint.read_bytes()
    shipped = (ROOT / "kws" / "models").glob("*.ckpt")
    for checkpoint in map(load_checkpoint, shipped):
        assert checkpoint.recipe["data"] == checkpoint.recipe["output"] == ""
