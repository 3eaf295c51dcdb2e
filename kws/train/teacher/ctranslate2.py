"""Reads the weights of a CTranslate2 model, the form in which Whisper is small and in
package registries.

The format, version 6, is that of CTranslate2's `model_spec.py`: a version, the name of
the model's kind, then for each array its name, shape, type and bytes.
"""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from kws.errors import KwsError

_VERSION = 6
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_MOST_BYTES = 1 << 30  # of one array: more is a damaged file


def read_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of a model.bin by their names. KwsError where it is no such file, or
    damaged.
    """
    if not path.is_file():
        raise KwsError(f"there is no file {path} with Whisper's weights: kws data get --for phone_teacher brings it")
    try:
        with path.open("rb") as file:
            return _arrays(file)
    except (struct.error, ValueError, UnicodeDecodeError, KeyError, IndexError) as error:
        raise KwsError(
            f"{path} is no model.bin of CTranslate2, or damaged ({type(error).__name__}: {error})"
        ) from error


def _arrays(file: BinaryIO) -> dict[str, Tensor]:
    (version,) = struct.unpack("<I", file.read(4))
    if version != _VERSION:
        raise ValueError(f"version {version} instead of {_VERSION}")
    _string(file)
    _, count = struct.unpack("<II", file.read(8))
    found = {}
    for _ in range(count):
        name = _string(file)
        shape = struct.unpack(f"<{(rank := file.read(1)[0])}I", file.read(4 * rank))
        kind, size = struct.unpack("<BI", file.read(5))
        if size > _MOST_BYTES:
            raise ValueError(f"{name} has {size} bytes")
        values = np.frombuffer(file.read(size), _TYPES[kind]).reshape(shape)
        found[name] = torch.from_numpy(values.copy())
    return found


def _string(file: BinaryIO) -> str:
    (size,) = struct.unpack("<H", file.read(2))
    return file.read(size)[:-1].decode()  # a zero ends it
