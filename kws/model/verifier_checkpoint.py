"""Checkpoints of verifiers: as those of acoustic models (checkpoint.py), with another
format's name.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from kws.errors import KwsError
from kws.files import whole
from kws.model.checkpoint import HALVED_FROM
from kws.model.config import VerifierConfig
from kws.model.verifier import Verifier

_FORMAT = "kws.verifier.1"


class VerifierCheckpoint(NamedTuple):
    """A trained verifier (in evaluation mode), its recipe as plain values and what the
    training spent.
    """

    model: Verifier
    recipe: dict[str, Any]
    spent: dict[str, Any]


def save_verifier(path: Path, model: Verifier, recipe: dict[str, Any], spent: dict[str, Any]) -> None:
    """Writes `path` whole or not at all; large weights in half precision, as the model
    file holds them.
    """
    weights = {
        name: weight.half() if weight.numel() >= HALVED_FROM else weight for name, weight in model.state_dict().items()
    }
    values = {"format": _FORMAT, "config": model.config.to_dict(), "weights": weights, "recipe": recipe, "spent": spent}
    with whole(path) as partial:
        torch.save(values, partial)


def load_verifier(path: Path) -> VerifierCheckpoint:
    """Reads what `save_verifier` wrote; KwsError for anything else."""
    if not path.is_file():
        raise KwsError(f"there is no checkpoint {path}")
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files that are no checkpoints
        raise KwsError(f"{path} is not a checkpoint of kws ({type(error).__name__})") from error
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise KwsError(f"{path} is not a verifier: give the verifier.ckpt that `kws train` wrote")
    model = Verifier(VerifierConfig.from_dict(values["config"]))
    model.load_state_dict(values["weights"])
    return VerifierCheckpoint(model.eval(), values["recipe"], values["spent"])
