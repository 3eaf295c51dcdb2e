"""Impulse responses of rooms: any folder of sound files; a sub folder is a room, and a
room stays on one side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kws.data.corpora.base import Corpus
from kws.data.prepare.clip import Clip, Listing, files_below
from kws.data.prepare.splits import hash_split


def by_room(source: Path, _: Sequence[str] = ()) -> Listing:
    """Every sound file below `source`, split by the hash of its room: the sub folder,
    or the file where none is.
    """
    clips = []
    for path in files_below(source):
        room = path.name if path.parent == source else path.relative_to(source).parent.as_posix()
        clips.append(Clip(path, split=hash_split(room)))
    return clips, ["split by the hash of the room, which is the sub folder (of the file's name where there is none)"]


CORPUS = Corpus(
    name="responses",
    holds="impulse responses: any folder, one sub folder a room",
    licence="yours",
    list=by_room,
    ask="give responses of your own with --from, or simulate `rooms`",
)
