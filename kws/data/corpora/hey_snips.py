"""Hey Snips (Coucke et al. 2019, arXiv:1811.07684), given out on request.

train.json, dev.json and test.json list {id, is_hotword, worker_id, duration,
audio_file_path}; audio_files/*.wav.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kws.data.corpora.base import Corpus, first_folder, read_lists
from kws.data.manifest import SPLITS
from kws.data.prepare.clip import Clip, Fault, Listing, files_below
from kws.data.prepare.splits import keep_held_out
from kws.errors import KwsError

PHRASE = "hey snips"
_NAMES = ("hey_snips_research_6k_en_train_eval_clean_ter", "hey_snips_kws_4.0")


def _clips(source: Path, _: Sequence[str]) -> Listing:
    """The text is "hey snips" or empty, the speaker is the worker."""
    places = ("train.json", *(f"{name}/train.json" for name in (*_NAMES, "/".join(_NAMES[::-1]))))
    folder = first_folder("Hey Snips", source, places).parent
    clips = {}
    for split in SPLITS:
        for entry in read_lists(folder / f"{split}.json"):
            clip = _clip(folder, entry, split)
            clips[clip.audio] = clip
    for path in files_below(folder):
        clips.setdefault(path, Clip(path, fault=Fault("unlabelled", "no .json file lists it")))
    kept, notes = keep_held_out(list(clips.values()))
    return kept, ["split as published", *notes]


def _clip(folder: Path, entry: Any, split: str) -> Clip:
    try:
        text = PHRASE if int(entry["is_hotword"]) else ""
        return Clip(folder / entry["audio_file_path"], text, str(entry["worker_id"]), split)
    except (KeyError, TypeError, ValueError) as error:
        raise KwsError(f"{folder / split}.json has an entry with no usable {error}: unpack the corpus again") from error


CORPUS = Corpus(
    name="hey_snips",
    holds="11,000 x hey snips, 86,500 other sentences",
    licence="research only",
    list=_clips,
    ask=(
        "ask for it at https://github.com/sonos/keyword-spotting-research-datasets (research use only), unpack it, "
        "and give its folder with --from"
    ),
)
