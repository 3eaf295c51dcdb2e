"""Checkpoints: weights and the values that are needed to use them. Nothing in them is
unpickled as code.
"""

import importlib.resources
import io
import os
from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kws.errors import KwsError, named
from kws.files import whole
from kws.lexicon.borders import Spelled, with_borders
from kws.model.acoustic import AcousticModel
from kws.model.config import AcousticConfig

_FORMAT = "kws.checkpoint.1"
_HALVED_FROM = 1024  # elements: smaller tensors stay in single precision, they weigh nothing


class Checkpoint(NamedTuple):
    """A trained model (in evaluation mode), its recipe as plain values, its keywords,
    and the resources that the training took.
    """

    model: AcousticModel
    recipe: dict[str, Any]
    spellings: dict[str, Spelled]
    spent: dict[str, Any]


def save_checkpoint(
    path: Path,
    model: AcousticModel,
    recipe: dict[str, Any],
    spellings: Mapping[str, Collection[Sequence[str]]],
    spent: dict[str, Any],
) -> None:
    """Writes `path` whole or not at all; large weights are rounded to half precision,
    as the model file holds them.
    """
    spelled = {name: with_borders(own) for name, own in spellings.items()}
    values = {
        "format": _FORMAT,
        "config": model.config.to_dict(),
        "weights": halved(model),
        "recipe": recipe,
        "spellings": {name: [list(spelling) for spelling in own] for name, own in spelled.items()},
        "borders": {name: [list(ends) for ends in own.values()] for name, own in spelled.items()},
        "spent": spent,
    }
    write_values(path, values)


def write_values(path: Path, values: dict[str, Any]) -> None:
    """`torch.save`, whole or not at all, and on the disk when this returns: a power cut
    leaves the file before or this one. It is done in memory, because of a full disk
    torch says nothing that a person can read, and an OSError names the file.
    """
    coded = io.BytesIO()
    torch.save(values, coded)
    with whole(path) as partial, partial.open("wb") as file:
        file.write(coded.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def halved(model: nn.Module) -> dict[str, Tensor]:
    """The weights as checkpoints hold them: the large ones in half precision."""
    return {
        name: weight.half() if weight.numel() >= _HALVED_FROM else weight for name, weight in model.state_dict().items()
    }


def halved_sizes(model: nn.Module) -> set[int]:
    """The numbers of elements of the weights that a checkpoint holds in half
    precision.
    """
    return {weight.numel() for weight in model.state_dict().values() if weight.numel() >= _HALVED_FROM}


def find_checkpoint(name_or_path: str) -> Path:
    """A file, or a checkpoint that ships beside the models of this package: `phones` is
    kws/models/phones.ckpt.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    folder = Path(str(importlib.resources.files("kws"))) / "models"
    shipped = {file.stem: file for file in sorted(folder.glob("*.ckpt"))}
    return named(name_or_path, shipped, "checkpoint", "give a file that `kws train` wrote or a shipped one")


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a file that `save_checkpoint` wrote; KwsError for any other."""
    values = read_values(path, _FORMAT, "a finished checkpoint of kws: give the model.ckpt")
    model = AcousticModel(AcousticConfig.from_dict(values["config"]))
    model.load_state_dict(values["weights"])
    borders = values.get("borders", {})  # an older kws wrote none
    spellings = {
        word: {tuple(s): tuple(ends) for s, ends in zip(options, borders.get(word, repeat(())), strict=False)}
        for word, options in values["spellings"].items()
    }
    return Checkpoint(model.eval(), values["recipe"], spellings, values["spent"])


def read_values(path: Path, form: str, wanted: str) -> dict[str, Any]:
    """The values of a checkpoint of the format `form`; nothing of it runs as code.

    Raises KwsError for any other file. wanted: the end of that sentence, which says
    what to give instead.
    """
    if not path.is_file():
        raise KwsError(f"there is no checkpoint {path}")
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files that are no checkpoints
        raise KwsError(f"{path} is not a checkpoint of kws ({type(error).__name__})") from error
    if not isinstance(values, dict) or values.get("format") != form:
        raise KwsError(f"{path} is not {wanted} that `kws train` wrote")
    return values
