"""A training that stops as if its machine went down."""

import pytest

from kws.train.recipe import Recipe
from kws.train.task import CTCTask
from kws.train.trainer import train


def train_until(step: int, recipe: Recipe) -> None:
    """Train by `recipe` until step `step`, in which the training breaks off."""
    whole = CTCTask.training_step

    def stops(task, batch, batch_index):
        if task.global_step == step:
            raise RuntimeError("the machine went down")
        return whole(task, batch, batch_index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CTCTask, "training_step", stops)
        with pytest.raises(RuntimeError, match="went down"):
            train(recipe)
