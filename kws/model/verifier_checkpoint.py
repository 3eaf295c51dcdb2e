"""Checkpoints of verifiers: like those of acoustic models (checkpoint.py), under
another format name.
"""

from pathlib import Path
from typing import Any, NamedTuple

from kws.errors import KwsError
from kws.model.checkpoint import halved, read_values, write_values
from kws.model.config import VerifierConfig
from kws.model.verifier import Verifier

_FORMAT = "kws.verifier.1"


class VerifierCheckpoint(NamedTuple):
    """A trained verifier (in evaluation mode), its recipe as plain values, and the
    resources that the training took.
    """

    model: Verifier
    recipe: dict[str, Any]
    spent: dict[str, Any]


def save_verifier(path: Path, model: Verifier, recipe: dict[str, Any], spent: dict[str, Any]) -> None:
    """Writes `path` whole or not at all; large weights in half precision, as the model
    file holds them.
    """
    config = model.config.to_dict()
    values = {"format": _FORMAT, "config": config, "weights": halved(model), "recipe": recipe, "spent": spent}
    write_values(path, values)


def load_verifier(path: Path) -> VerifierCheckpoint:
    """Reads a file that `save_verifier` wrote; KwsError for any other."""
    values = read_values(path, _FORMAT, "a verifier: give the verifier.ckpt")
    model = Verifier(VerifierConfig.from_dict(values["config"]))
    model.load_state_dict(values["weights"])
    return VerifierCheckpoint(model.eval(), values["recipe"], values["spent"])


def is_verifier(path: Path) -> bool:
    """Whether `load_verifier` reads the file."""
    try:
        load_verifier(path)
    except KwsError:
        return False
    return True
