"""The precision of a training: bfloat16 only where the machine computes in it."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

from pytorch_lightning.callbacks import Timer

from kws.train import precision
from kws.train.recipe import OptimConfig, RunConfig
from kws.train.recipes.file import find_recipe
from kws.train.trainer import make_trainer


@pytest.mark.parametrize(
    ("asked", "accelerator", "has", "expected"),
    [
        ("bf16-mixed", "cpu", False, "32-true"),
        ("bf16-mixed", "cpu", True, "bf16-mixed"),
        ("bf16-mixed", "gpu", False, "bf16-mixed"),
        ("32-true", "cpu", True, "32-true"),
        ("64-true", "cpu", False, "64-true"),
    ],
)
def test_a_processor_without_bfloat16_trains_in_single_precision(asked, accelerator, has, expected, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: has)
    optim, run, lines = OptimConfig(precision=asked), RunConfig(output="", accelerator=accelerator), []
    assert precision.precision_here(optim, run) == expected
    precision.tell_of_precision(optim, run, lines.append)
    assert (lines != []) == (asked != expected) and all(asked in line and expected in line for line in lines)


@pytest.mark.parametrize(
    ("can", "expected"),
    [({"avx512_f": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"bf16": True}, True)],
)
def test_bfloat16_is_a_capability_of_the_processor(can, expected, monkeypatch):
    assert precision.has_bfloat16() in (True, False)
    monkeypatch.setattr(precision.torch.cpu, "get_capabilities", lambda: can)
    assert precision.has_bfloat16() is expected


@pytest.mark.parametrize("has", [False, True])
def test_the_trainer_has_the_precision_of_the_machine(has, monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: has)
    trainer = make_trainer(find_recipe("wake_words"), tmp_path, Timer())
    assert trainer.precision == ("bf16-mixed" if has else "32-true")
