"""MobvoiHotwords (openslr.org/87): "hi xiaowen", "nihao wenwen" and other Mandarin
speech near a smart speaker.

mobvoi_hotword_dataset/UTT_ID.wav;
mobvoi_hotword_dataset_resources/{p,n}_{train,dev,test}.json list {utt_id, speaker_id or
null, keyword_id: 0, 1, or -1 for neither}. (Layout as read by Lhotse's recipe.)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kws.data.corpora.base import Corpus, first_folder, read_lists
from kws.data.download import Archive
from kws.data.manifest import SPLITS
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.data.prepare.splits import keep_held_out
from kws.errors import KwsError

TEXTS = {0: "hi xiaowen", 1: "nihao wenwen", -1: ""}
AUDIO, LISTS = "mobvoi_hotword_dataset", "mobvoi_hotword_dataset_resources"
# No checksum was found published: the first fetch's is kept.
ARCHIVES = {
    part: Archive(f"https://www.openslr.org/resources/87/{name}.tgz")
    for part, name in (("recordings", AUDIO), ("lists", LISTS))
}


def _clips(source: Path, _: Sequence[str]) -> Listing:
    """All utterances; clips without a known speaker keep their published split."""
    places = (f"{LISTS}/p_train.json", f"MobvoiHotwords/{LISTS}/p_train.json")
    folder = first_folder("MobvoiHotwords", source, places).parent.parent
    clips = {}
    for split in SPLITS:
        for kind in "pn":
            path = folder / LISTS / f"{kind}_{split}.json"
            for entry in read_lists(path):
                clip = _clip(folder, entry, split, path)
                clips[clip.audio] = clip
    for audio in files_below(folder):
        clips.setdefault(audio, Clip(audio, fault=Fault("unlabelled", "no .json file lists it")))
    kept, notes = keep_held_out(list(clips.values()))
    return kept, ["split as published", *notes]


def _clip(folder: Path, entry: Any, split: str, path: Path) -> Clip:
    try:
        audio = folder / AUDIO / f"{entry['utt_id']}.wav"
        return Clip(audio, TEXTS[entry["keyword_id"]], str(entry["speaker_id"] or ""), split)
    except (KeyError, TypeError) as error:
        raise KwsError(f"{path} has an entry with no usable {error}: unpack the corpus again") from error


CORPUS = Corpus(
    name="mobvoi_hotwords",
    holds="hi xiaowen, nihao wenwen and other Mandarin: 144 h",
    licence="see openslr.org/87",
    archives=ARCHIVES,
    default=tuple(ARCHIVES),
    list=_clips,
)
