"""The corpora by name, with what can be said of each without importing it."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple, cast

from kws.data.corpora.base import Corpus
from kws.errors import KwsError


class Entry(NamedTuple):
    """A corpus: its module, what it holds, its licence, and where it comes from."""

    module: str
    holds: str
    licence: str
    where: str


CORPORA = {
    "speech_commands": Entry(
        "kws.data.corpora.speech_commands",
        "35 words (v2) or 30 (v1): 29 h, 18 h; the test set of 12 classes",
        "CC BY 4.0",
        "--download; --part v2 (default), v1 or test",
    ),
    "librispeech": Entry(
        "kws.data.corpora.librispeech",
        "read English: mini parts 5 + 2 h, all parts 1,000 h",
        "CC BY 4.0",
        "--download; --part train-clean-5 dev-clean-2 (default), train-clean-100 ...",
    ),
    "hey_snips": Entry(
        "kws.data.corpora.hey_snips",
        "11,000 x hey snips, 86,500 other sentences",
        "research only",
        "on request at github.com/sonos/keyword-spotting-research-datasets, then --from",
    ),
    "mobvoi_hotwords": Entry(
        "kws.data.corpora.mobvoi_hotwords",
        "hi xiaowen, nihao wenwen and other Mandarin: 144 h",
        "see openslr.org/87",
        "--download",
    ),
    "mswc": Entry(
        "kws.data.corpora.mswc",
        "single words in 50 languages, 1 s each: 6,000 h",
        "CC BY 4.0",
        "--download --part LANGUAGE (en: 32 GB)",
    ),
    "picovoice": Entry(
        "kws.data.corpora.picovoice",
        "alexa, computer, jarvis, smart mirror, snowboy, view glass",
        "Apache-2.0",
        "--download (no speaker labels)",
    ),
    "folder": Entry(
        "kws.data.corpora.folder",
        "your recordings: PHRASE/*.wav, PHRASE/SPEAKER/*.wav or a manifest",
        "yours",
        "--from FOLDER or FILE.csv",
    ),
    "musan": Entry(
        "kws.data.corpora.musan",
        "noise, music and speech as background: 109 h",
        "see its LICENSE files",
        "--download; --part noise music (default) speech",
    ),
    "esc50": Entry(
        "kws.data.corpora.esc50",
        "environmental sounds, 5 s each: 0.6 h (esc10), 2.8 h (esc50)",
        "CC BY 3.0 (esc10), CC BY-NC 3.0 (esc50)",
        "--download; --part esc10 (default) or esc50",
    ),
    "demand": Entry(
        "kws.data.corpora.demand",
        "17 environments of 5 min, one channel: 1.4 h",
        "CC BY-SA 3.0",
        "--download; --part DKITCHEN ... (default: all)",
    ),
    "noise": Entry("kws.data.corpora.noise", "your noise: any folder of sounds", "yours", "--from FOLDER"),
    "responses": Entry(
        "kws.data.corpora.responses",
        "impulse responses: any folder, one sub folder a room",
        "yours",
        "--from FOLDER",
    ),
    "rooms": Entry("kws.data.corpora.rooms", "impulse responses of 100 simulated rooms", "none", "made here"),
}


def load(name: str) -> Corpus:
    """The corpus's module; KwsError naming the nearest where there is none."""
    if name not in CORPORA:
        nearest = get_close_matches(name, CORPORA, n=1, cutoff=0.5)
        hint = f"the nearest is {nearest[0]}" if nearest else f"there are {', '.join(CORPORA)}"
        raise KwsError(f"there is no corpus {name!r}: {hint}")
    return cast(Corpus, import_module(CORPORA[name].module))
