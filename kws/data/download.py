"""Fetching archives: resumable, checksummed, done once. The standard library's client
and unpackers do the work.

torchaudio's own downloaders cannot go on after an interruption and unpack without
looking where to, so only their published addresses and checksums serve here.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from kws.errors import KwsError, require
from kws.files import read_json, write_text

DOWNLOADS = "downloads"  # below a corpus's root: archives and their receipts
_CHUNK = 1 << 20
_TIMEOUT_S = 60

Wanted = Callable[[str], bool]  # of a file's name in an archive


@dataclass(frozen=True)
class Archive:
    """A file to fetch, and the folder below a corpus's root that it is unpacked into.

    checksum: "sha256:..." or "md5:..." as published; "" where none is published. Then
    the SHA-256 of the first complete fetch is kept in the receipt, and a later fetch
    must equal it. name: of the file here, for an address whose end is no useful name.
    """

    url: str
    checksum: str = ""
    name: str = ""
    into: str = ""

    @property
    def file(self) -> str:
        return self.name or urlsplit(self.url).path.rpartition("/")[2]


def bring(archive: Archive, root: Path, into: Path, wanted: Wanted | None = None) -> bool:
    """Fetches an archive to root/downloads and unpacks it into a folder; a step that is
    done already is not done again.

    wanted: says of a file's name in the archive whether it is unpacked (None: all are).
    The result is whether there was something to do. Raises KwsError when the network
    fails (a second call goes on from there), a checksum differs, or the archive is
    damaged or would write outside `into`.
    """
    receipt, place = root / DOWNLOADS / f"{archive.file}.json", os.path.relpath(into, root)
    last = (read_json(receipt, dict) or {}).get("unpacked", {}).get(place)
    if last is not None and (into / last).exists():
        return False
    path = fetch(archive, root / DOWNLOADS)
    last = extract(path, into, wanted)
    known = read_json(receipt, dict) or {}
    write_text(receipt, json.dumps({**known, "unpacked": {**known.get("unpacked", {}), place: last}}, indent=1))
    return True


def fetch(archive: Archive, folder: Path) -> Path:
    """The archive as a whole and checked file in `folder`. A file that lies there
    already is not fetched again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / archive.file
    receipt = folder / f"{archive.file}.json"
    known = read_json(receipt, dict) or {}
    if target.exists() and target.stat().st_size == known.get("bytes"):
        return target
    arrived = target
    if not target.exists():  # else someone put it there by hand
        arrived = folder / f"{archive.file}.partial"
        _download(archive.url, arrived)
    sha256 = _check(arrived, archive, known.get("sha256"))
    arrived.replace(target)
    about = {"url": archive.url, "bytes": target.stat().st_size, "sha256": sha256}
    write_text(receipt, json.dumps(about, indent=1))
    return target


def _check(path: Path, archive: Archive, recorded: str | None) -> str:
    """The SHA-256 of a file, after comparing it with the published checksum, or else
    with that of the first fetch.
    """
    algorithm, _, published = archive.checksum.partition(":")
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", algorithm} - {""}}
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for digest in digests.values():
                digest.update(chunk)
    sha256 = digests["sha256"].hexdigest()
    right = digests[algorithm].hexdigest() == published if published else recorded in (None, sha256)
    if right:
        return sha256
    if path.name == archive.file:
        raise KwsError(f"{path} is not {archive.url} as it was published (its checksum differs): remove it")
    path.unlink()
    raise KwsError(
        f"{archive.url} did not arrive as it was published (its checksum differs) and was removed: "
        "fetch it again, and if it differs again do not trust the server"
    )


def _download(url: str, partial: Path) -> None:
    """Fetches `url` to the end of `partial`, from where it stops (RFC 9110, Range and
    If-Range).
    """
    tag = partial.with_name(f"{partial.name}-tag")
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "kws", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag.exists():  # the server starts over if the file has changed since
            headers["If-Range"] = tag.read_text("utf-8")
    try:
        with urlopen(Request(url, headers=headers), timeout=_TIMEOUT_S) as response:
            _receive(response, partial, tag, have)
    except HTTPError as error:
        if error.code == 416 and have:  # nothing is missing, or the file has become shorter
            if error.headers.get("Content-Range", "") != f"bytes */{have}":
                partial.unlink()
                _download(url, partial)
        else:
            raise KwsError(f"{url} cannot be fetched: the server says {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        size = partial.stat().st_size if partial.exists() else 0
        raise KwsError(
            f"fetching {url} stopped after {size / 1e6:.1f} MB ({error}): "
            "the same command goes on from there once the network does"
        ) from error
    tag.unlink(missing_ok=True)


def _receive(response: Any, partial: Path, tag: Path, have: int) -> None:
    resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    if response.status == 206 and not resumed:
        raise OSError("the server sent another piece than was asked for")
    start = have if resumed else 0
    entity = response.headers.get("ETag") or ""
    if validator := entity if entity.startswith('"') else response.headers.get("Last-Modified"):
        tag.write_text(validator, "utf-8")
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    bar = require("tqdm", extra="train").tqdm(
        total=total, initial=start, desc=partial.name.removesuffix(".partial"), unit="B", unit_scale=True, disable=None
    )
    with bar, partial.open("ab" if resumed else "wb") as out:
        while chunk := response.read(_CHUNK):
            out.write(chunk)
            bar.update(len(chunk))
        size = out.tell()
    if total is not None and size < total:
        raise OSError(f"{total - size} bytes are missing")


def extract(archive: Path, into: Path, wanted: Wanted | None = None) -> str:
    """Unpacks the wanted files of a .tar, .tar.gz, .tgz or .zip; returns the last one,
    relative to `into`.

    Members that would land outside `into` are refused (tarfile's data filter; the same
    rule for .zip).
    """
    wanted = wanted or (lambda name: True)
    into.mkdir(parents=True, exist_ok=True)
    if not hasattr(tarfile, "data_filter"):
        raise KwsError("this Python unpacks archives without looking where to: take 3.10.12, 3.11.4 or newer")
    try:
        last = (_extract_zip if zipfile.is_zipfile(archive) else _extract_tar)(archive, into, wanted)
    except tarfile.FilterError as error:
        raise KwsError(f"{archive} wants to write outside {into} and was refused: do not trust it ({error})") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise KwsError(f"{archive} is damaged ({error}): delete it and fetch it again") from error
    if not last:
        raise KwsError(f"{archive} holds no files that are wanted: delete it and fetch it again")
    return last


def _extract_tar(archive: Path, into: Path, wanted: Wanted) -> str:
    last = ""
    tqdm = require("tqdm", extra="train").tqdm
    with tarfile.open(archive, "r|*") as tar:
        for member in tqdm(tar, f"unpacking {archive.name}", unit="file", leave=False, disable=None):
            if not member.isfile() or wanted(member.name):
                tar.extract(member, into, filter="data")
                last = member.name if member.isfile() else last
    return last


def _extract_zip(archive: Path, into: Path, wanted: Wanted) -> str:
    last = ""
    tqdm = require("tqdm", extra="train").tqdm
    inside = into.resolve()
    with zipfile.ZipFile(archive) as file:
        for member in tqdm(file.infolist(), f"unpacking {archive.name}", unit="file", leave=False, disable=None):
            if not (into / member.filename).resolve().is_relative_to(inside):
                raise KwsError(f"{archive} wants to write outside {into} and was refused: do not trust it")
            if not member.is_dir() and wanted(member.filename):
                file.extract(member, into)
                last = member.filename
    return last
