"""Batches made ahead, by processes beside the training."""

import errno
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from kws.errors import KwsError

Batch = dict[str, torch.Tensor]
_LONGEST_FOLDER = 74  # characters: a socket in it (pymp-*/listener-*) may have 107
_AHEAD = 4  # batches of each process that are ready or in the making


class _Ahead(DataLoader[Batch]):
    """A loader whose processes hand over what `_shared` makes of a batch."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        try:
            made = super().__iter__()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise KwsError(
                "/dev/shm is full, where the processes of a training keep their locks: empty it, or give the "
                "container more of it (docker run --shm-size=64m)"
            ) from error
        return ({name: torch.as_tensor(values) for name, values in batch.items()} for batch in made)


def ahead(batches: Dataset[Batch], steps: Sampler[int], workers: int) -> DataLoader[Batch]:
    """The batches of these steps in their order, made by so many processes. Raises
    KwsError where their sockets would have too long a path, and, once it is iterated,
    where /dev/shm has no room for their locks.
    """
    if len(folder := tempfile.gettempdir()) > _LONGEST_FOLDER:
        raise KwsError(
            f"the folder of temporary files, {folder}, has too long a path for the sockets of a training's "
            "processes: set TMPDIR to a shorter one"
        )
    return _Ahead(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        persistent_workers=True,
        prefetch_factor=_AHEAD,
        collate_fn=_shared,  # type: ignore[arg-type]
    )


def _shared(batch: Batch) -> dict[str, torch.Tensor | npt.NDArray[Any]]:
    """The batch with each tensor in shared memory, or where that is full, as an array,
    which goes through a pipe: slower, but it arrives.

    torch would share the tensors later, in a thread whose failure nobody hears of, and
    the training would wait for the batch for ever.
    """
    return {name: _in_shared_memory(values) for name, values in batch.items()}


def _in_shared_memory(values: torch.Tensor) -> torch.Tensor | npt.NDArray[Any]:
    try:
        return values.share_memory_()
    except RuntimeError:  # /dev/shm is full, or files may not be that large
        return np.asarray(values)
