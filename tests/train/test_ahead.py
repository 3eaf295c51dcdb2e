"""Batches made ahead arrive in their order, whatever room there is for them."""

import errno
import resource
import tempfile

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

from kws.errors import KwsError  # noqa: E402
from kws.train.process.ahead import ahead  # noqa: E402

BATCHES = 6


class Sounds(torch.utils.data.Dataset):
    """Batches of 64 kB; the process that makes them may write files of so many bytes."""

    def __init__(self, most: int = resource.RLIM_INFINITY) -> None:
        self.most = most

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return {"pcm": torch.full((2, 8_000), float(step)), "targets": torch.zeros(0, dtype=torch.int64)}


@pytest.mark.parametrize("most", [resource.RLIM_INFINITY, 20_000], ids=["shared", "no room to share"])
def test_batches_arrive_in_their_order(most):
    loader = ahead(Sounds(most), range(BATCHES), workers=2)
    loader.timeout = 60  # a batch that is lost ends the test
    for _ in range(2):  # the processes stay for the next epoch
        found = list(loader)
        assert [batch["pcm"][1, -1].item() for batch in found] == list(range(BATCHES))
        for batch in found:
            assert batch["pcm"].shape == (2, 8_000) and batch["pcm"].is_shared() == (most == resource.RLIM_INFINITY)
            assert batch["targets"].shape == (0,) and batch["targets"].dtype == torch.int64
            batch["pcm"] += 1.0  # a batch may be changed


def test_where_there_is_no_room_for_a_lock_a_sentence_says_so(monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", full)
    with pytest.raises(KwsError, match=r"/dev/shm is full.*--shm-size"):
        iter(ahead(Sounds(), range(BATCHES), workers=1))


def test_a_folder_of_temporary_files_with_too_long_a_path_is_told(monkeypatch):
    """A training would wait for ever for a batch whose socket has no name."""
    monkeypatch.setattr(tempfile, "tempdir", "/" + "x" * 90)
    with pytest.raises(KwsError, match="too long a path for the sockets"):
        ahead(Sounds(), range(BATCHES), workers=1)
