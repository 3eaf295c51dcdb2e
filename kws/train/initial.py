"""The start of a training: new weights, those of a checkpoint or of a trunk, and
constants of the first batches.

Shapes: F hops of 10 ms, M mel bands.
"""

import dataclasses

import pytorch_lightning as pl
import torch
from torch import Tensor

from kws.data.scenes.dataset import SceneDataset
from kws.errors import KwsError
from kws.lexicon.text import phrase_name
from kws.model.acoustic import AcousticModel
from kws.model.checkpoint import find_checkpoint, load_checkpoint
from kws.train.recipe import Recipe

_NORMALISATION_BATCHES = 8


def with_phrases(recipe: Recipe) -> Recipe:
    """The recipe with a phrase in the model for each keyword where it has a
    phrase_weight, and none where not.
    """
    phrases = len(set(map(phrase_name, recipe.task.keywords))) if recipe.task.phrase_weight else 0
    return recipe.changed(model=dataclasses.replace(recipe.task.model, phrases=phrases))


def first_model(recipe: Recipe) -> AcousticModel:
    """The model that training starts from: a new one, one on a trunk, or that of
    `start` with the recipe's phrase branch.
    """
    if recipe.task.trunk:
        return on_trunk(AcousticModel(recipe.task.model), load_checkpoint(find_checkpoint(recipe.task.trunk)).model)
    if not recipe.task.start:
        return AcousticModel(recipe.task.model)
    checkpoint = load_checkpoint(find_checkpoint(recipe.task.start))
    start = checkpoint.model.train()
    # What softens a finished model is put in at the end of its training: it is no part
    # of what the model learned.
    start.sharpen(checkpoint.recipe.get("temperature", 1.0), checkpoint.recipe.get("blank_discount", 0.0))
    if not start.config.phrases and not recipe.task.model.phrases:
        return start
    model = AcousticModel(dataclasses.replace(start.config, phrases=recipe.task.model.phrases))
    kept = {name: w for name, w in start.state_dict().items() if not name.startswith("phrase_head.")}
    model.load_state_dict(model.state_dict() | kept)  # its phrases may be others: they are learned anew
    return model


def initial_model(recipe: Recipe) -> AcousticModel:
    """The model of a recipe before its first step."""
    recipe = with_phrases(recipe)
    pl.seed_everything(recipe.optim.seed, verbose=False)
    return first_model(recipe)


def on_trunk(model: AcousticModel, trunk: AcousticModel) -> AcousticModel:
    """`model` with the weights of another of its width, those of the mixers apart.
    KwsError where shapes differ.
    """
    own, given = model.state_dict(), trunk.state_dict()
    shared = {name: weight for name, weight in given.items() if ".mixer." not in name and name in own}
    if odd := [name for name, weight in shared.items() if weight.shape != own[name].shape]:
        raise KwsError(f"the trunk's {odd[0]} has another shape than the model's: give both the same width and blocks")
    model.load_state_dict(own | shared)
    return model


def normalise(model: AcousticModel, scenes: SceneDataset) -> None:
    """Sets the model's global mean and deviation per mel band from the first
    batches.
    """
    mel = first_mel(model, scenes, _NORMALISATION_BATCHES)
    model.set_normalisation(mel.mean(dim=(0, 1)), mel.std(dim=(0, 1)))


def first_mel(model: AcousticModel, scenes: SceneDataset, batches: int) -> Tensor:
    """(rows, F, M) log-mel energies of the first batches."""
    with torch.no_grad():
        sounds = [scenes[step]["pcm"] for step in range(batches)]
        return torch.cat([model.frontend(pcm, model.frontend.init_state(len(pcm)))[0] for pcm in sounds])
