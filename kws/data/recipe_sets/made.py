"""Sets that are made on this machine: cut out of other sets, synthesised, or
simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kws.data.alignment import Pieces
from kws.data.corpora import rooms, speech_commands
from kws.data.cuts import cut_pieces, runs, single
from kws.data.manifest import rows_of, texts_of
from kws.data.synthesis.generate import NEW_STYLES, generate
from kws.data.synthesis.phrases import PhraseScript, readable_words
from kws.data.synthesis.scripts import CONFUSABLES, WAKE_WORDS, KeywordScript, Script, WordScript
from kws.data.synthesis.tts import download as download_models
from kws.files import read_json
from kws.lexicon import load_cmudict

_RECORDED = ("yes", "no", "up", "down", "left", "right", "go", "zero", "one", "five", "eight")
# Words of Speech Commands that the set speech_commands lacks.
LACKING = tuple(word for word in speech_commands.WORDS if word not in _RECORDED)
# The three that the task of twelve classes has come more often.
_THREE = ("on", "off", "stop")
SPOKEN = (
    *_THREE * 4, "two", "three", "four", "six", "seven", "nine", "bed", "bird", "cat", "dog", "happy", "house",
    "marvin", "sheila", "tree", "wow", "backward", "forward", "follow", "learn", "visual", *_THREE,
)  # fmt: skip


@dataclass(frozen=True)
class Making:
    """Settings for making sets: the folder of all sets, the folder of the speech
    models, and the number of processes that synthesise.
    """

    folder: Path
    models: Path
    download: bool = False
    workers: int = 1


@dataclass(frozen=True)
class MadeSet:
    """A folder of recordings that is made on this machine from other sets."""

    name: str
    make: Callable[[Making, Path], object]  # into the set's own folder
    needs: tuple[str, ...] = ()


def _cut(making: Making, root: Path, sources: tuple[str, ...], choose: Callable[[Pieces], Pieces]) -> None:
    if not (root / "manifest.csv").exists():
        cut_pieces(root, rows_of([str(making.folder / name) for name in sources]), choose, load_cmudict())


def _speak(making: Making, root: Path, script: Callable[[], Script], count: int, new_styles: int = NEW_STYLES) -> None:
    if read_json(root / "complete.json", dict) is None:
        if making.download:
            download_models(making.models)
        generate(root, making.models, script(), count, workers=making.workers, new_styles=new_styles)


def _wake_words(making: Making, root: Path) -> None:
    _speak(making, root, lambda: KeywordScript(CONFUSABLES), 2420)


def _single_words(making: Making, root: Path) -> None:
    _speak(making, root, lambda: WordScript(SPOKEN), 2400)


def _phrases(making: Making, root: Path) -> None:
    def script() -> Script:
        texts = texts_of([f"{making.folder / name}@train" for name in _SENTENCES])
        return PhraseScript(texts, readable_words(load_cmudict()), WAKE_WORDS)

    _speak(making, root, script, 13_600, new_styles=900)


_SENTENCES = ("mini_librispeech", "an4")
MADE = {
    found.name: found
    for found in (
        MadeSet("rooms", lambda _, root: rooms.CORPUS.prepare(root)),
        MadeSet("cut_words", lambda making, root: _cut(making, root, _SENTENCES, single(LACKING)), _SENTENCES),
        MadeSet("cut_runs", lambda making, root: _cut(making, root, _SENTENCES[:1], runs(3.0)), _SENTENCES[:1]),
        MadeSet("synthetic_wake_words", _wake_words),
        MadeSet("synthetic_speech_commands", _single_words),
        MadeSet("synthetic_phrases", _phrases, _SENTENCES),
    )
}
