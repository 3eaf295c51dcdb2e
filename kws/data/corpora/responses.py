"""Impulse responses of rooms: any folder of sound files; a sub folder is a room, and a room stays on one side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kws.data.corpora.base import Clip, Listing, Prepared, build, check_parts, files_below, hash_split
from kws.errors import KwsError


def download(root: Path, parts: Sequence[str] = ()) -> None:
    """Always raises KwsError: there is nothing to fetch."""
    check_parts("responses", parts, ())
    raise KwsError(f"nothing is fetched to {root}: give responses of your own with --from, or simulate `rooms`")


def prepare(root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
    """A manifest without text, split by the hash of the sub folder, or of the file where there is none."""
    check_parts("responses", parts, ())
    source = (source or root).absolute()
    return build(root, source, partial(by_room, source))


def by_room(source: Path) -> Listing:
    """Every sound file below `source`, split by its room."""
    clips = []
    for path in files_below(source):
        room = path.name if path.parent == source else path.relative_to(source).parent.as_posix()
        clips.append(Clip(path, split=hash_split(room)))
    return clips, ["split by the hash of the room, which is the sub folder (of the file's name where there is none)"]
