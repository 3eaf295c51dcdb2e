"""The models that ship with kws, and the file of a model that is given by path or by
name; imports no numpy.
"""

from __future__ import annotations

from importlib import resources
from os import PathLike
from pathlib import Path

from kws.errors import named

DEFAULT_MODEL = "wake-words"
PHRASE_MODEL = "phones"  # of phrases that are typed


def shipped() -> dict[str, Path]:
    """The models inside the package, by name."""
    return {path.stem: path for path in sorted(_folder().glob("*.onnx"))}


def ships(path: Path) -> bool:
    """Whether a file lies in the folder of the shipped models."""
    return path.resolve().parent == _folder().resolve()


def _folder() -> Path:
    return Path(str(resources.files("kws"))) / "models"


def find(model: str | PathLike[str]) -> Path:
    """The file of a model, given by path or by the name of a shipped model. A file of
    that name in the current folder does not hide the shipped model (`./NAME` means that
    file). Raises KwsError without a match.
    """
    names = shipped()
    path = Path(model)
    if path.suffix == ".onnx" or (path.is_file() and str(model) not in names):
        return path
    return named(str(model), names, "model", "give an .onnx file or a shipped model")
