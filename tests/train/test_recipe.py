"""Recipes: three parts, one name for one field, and one flat form on disk."""

import json
from collections import Counter
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

from kws.cli.options import is_model  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lab.study import load_study  # noqa: E402
from kws.model.checkpoint import find_checkpoint, load_checkpoint  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402
from kws.runtime.shipped import find  # noqa: E402
from kws.train.initial import first_model  # noqa: E402
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig  # noqa: E402
from kws.train.recipes.file import find_recipe  # noqa: E402
from kws.train.recipes.identity import claim, flat  # noqa: E402
from kws.train.recipes.override import override  # noqa: E402

# The keys of recipe.json and of checkpoints' recipes as kws 0.1.0 wrote them, before recipes had parts.
FLAT = (
    "name data output speech noise keywords extra_spellings model scenes scoring rooms features start trunk words "
    "word_weight decoder_weight phrase_weight seed steps steps_per_epoch validate_every warmup_steps learning_rate "
    "weight_decay gradient_clip ema_decay frequency_mask time_mask_frames precision threads devices num_nodes strategy"
).split()
LATER = ["vocal_tract", "temperature", "accelerator", "workers"]  # a folder from before does not name them
PARTS = (TaskConfig, OptimConfig, RunConfig)


def names(kind: type):
    for name, inner in get_type_hints(kind).items():
        yield name
        if is_dataclass(inner):
            yield from names(inner)


def has_default(field: Field) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def test_no_two_fields_share_a_name():
    assert [name for name, count in Counter(names(Recipe)).items() if count > 1] == []


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("seed=3", "optim.seed=3"),
        ("model.mixer=sa", "task.model.mixer=sa"),
        ("mixer=sa", "task.model.mixer=sa"),
        ("output=runs/sa", "run.output=runs/sa"),
        ("scenes.rows=3", "task.scenes.rows=3"),
        ("noise.share=0.5", "task.noise.share=0.5"),
        ("name=mine", "name=mine"),
    ],
)
def test_a_field_may_be_named_by_its_last_parts(short, whole):
    recipe = find_recipe("wake_words")
    changed = override(recipe, [short])
    assert changed == override(recipe, [whole]) != recipe


OWN = "from kws.train.recipes.file import find_recipe\nRECIPE = find_recipe('tiny').changed(name='own')\n"


def test_a_folder_of_a_recipes_name_does_not_hide_it(tmp_path, monkeypatch):
    """Where the corpora lie there are folders `wake_words` and, say, `mixers`."""
    whole = find_recipe("wake_words")
    monkeypatch.chdir(tmp_path)
    for name in ("wake_words", "mine", "mixers", "wake-words"):
        Path(name).mkdir()
    assert find_recipe("wake_words") == whole
    assert load_study("mixers").recipe
    assert find("wake-words").is_file() and is_model("wake-words")
    with pytest.raises(KwsError, match=r"there is no file mine/recipe\.py"):
        find_recipe("mine")
    for name in ("wake_words", "mine"):
        (tmp_path / name / "recipe.py").write_text(OWN)
        assert find_recipe(name).name == "own"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("optim.stepz=3", "no optim.stepz: the nearest is 'steps'"),
        ("mixr=sa", "no mixr: the nearest is 'mixer'"),
        ("task.seed=3", "no task.seed"),
        ("zzz=3", "no zzz: there are name, task, data"),
    ],
)
def test_a_name_that_is_none_gets_the_nearest(change, sentence):
    with pytest.raises(KwsError, match=sentence):
        override(find_recipe("wake_words"), [change])


def test_fields_are_changed_without_naming_their_part():
    recipe = find_recipe("tiny").changed(name="x", steps=1, data="d", output="o")
    assert (recipe.name, recipe.optim.steps, recipe.task.data, recipe.run.output) == ("x", 1, "d", "o")
    with pytest.raises(TypeError, match="no stepz"):
        recipe.changed(stepz=1)


def test_a_recipe_on_disk_has_the_flat_form_that_it_always_had():
    recipe = find_recipe("wake_words")
    known = {field.name: field for part in PARTS for field in fields(part)}
    assert sorted(flat(recipe)) == sorted(["name", *known]) and {*FLAT, *LATER} <= set(flat(recipe))
    assert all(has_default(known[name]) for name in set(flat(recipe)) - set(FLAT)), "a folder from before lacks it"
    assert flat(recipe)["steps"] == recipe.optim.steps and flat(recipe)["output"] == recipe.run.output


OLD = {"teacher": "", "teacher_weight": 1.0, "vocal_tract": 0.0}  # of a recipe that knows none of these


def test_a_folder_from_before_recipes_had_parts_is_known_again(tmp_path):
    recipe = find_recipe("wake_words").changed(**OLD)
    old = flat(recipe)
    (tmp_path / "recipe.json").write_text(json.dumps({key: old[key] for key in FLAT}))
    claim(tmp_path, recipe.changed(threads=7))
    (tmp_path / "recipe.json").write_text(json.dumps({key: old[key] for key in FLAT} | {"steps": 5}))
    with pytest.raises(KwsError, match="another recipe"):
        claim(tmp_path, recipe)


def test_a_folder_whose_recipe_a_full_disk_has_emptied_is_claimed_anew(tmp_path):
    recipe = find_recipe("wake_words")
    (tmp_path / "recipe.json").touch()
    claim(tmp_path, recipe)
    assert json.loads((tmp_path / "recipe.json").read_text()) == flat(recipe)


def test_a_field_that_a_folder_does_not_name_counts_as_its_default(tmp_path):
    """What a recipe learned to say later, in its parts and in the model's shape: with its default it is the same."""
    recipe = find_recipe("wake_words").changed(model=AcousticConfig(), **OLD)
    old = flat(recipe)
    del old["vocal_tract"], old["temperature"], old["model"]["follow_level"], old["model"]["extend_band"]
    for later in (recipe.changed(vocal_tract=0.1), recipe.changed(model=AcousticConfig(extend_band=True))):
        (tmp_path / "recipe.json").write_text(json.dumps(old))
        with pytest.raises(KwsError, match="another recipe"):
            claim(tmp_path, later)
        claim(tmp_path, recipe)


def test_the_shipped_checkpoint_loads_and_is_a_start():
    checkpoint = load_checkpoint(find_checkpoint("phones"))
    assert set(checkpoint.recipe) <= set(flat(find_recipe("phones"))) and checkpoint.recipe["name"] == "phones"
    start = first_model(find_recipe("fewshot"))
    checkpoint.model.sharpen(checkpoint.recipe["temperature"], checkpoint.recipe["blank_discount"])
    for name, weight in checkpoint.model.state_dict().items():
        assert torch.equal(start.state_dict()[name], weight)


def test_every_part_is_frozen():
    recipe = find_recipe("tiny")
    for part in (recipe, *(getattr(recipe, f.name) for f in fields(recipe) if f.name != "name")):
        assert part.__dataclass_params__.frozen


def test_no_step_changes_nothing_of_a_start():
    """What is put into a recipe's weights at the end is not put twice into those of a start."""
    recipe = find_recipe("phones").changed(start="phones")
    model = first_model(recipe)
    model.soften(recipe.task.temperature, recipe.task.blank_discount)
    for name, weight in load_checkpoint(find_checkpoint("phones")).model.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight)
