"""`kws data synthesise`: speaks the lines of a script in many synthetic voices, and
writes a manifest.

The plan (who says what, how fast) follows from the seed alone. Any first part of it is
balanced over phrases and voices. So a run may be killed, given again, or made longer:
finished clips are kept. A clip takes about 1.2 CPU seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from kws.arrays import Samples
from kws.data.manifest import COLUMNS, write_csv
from kws.data.sound_file import write_sound
from kws.data.synthesis.scripts import Card, Script, ScriptLine
from kws.data.synthesis.tts import Synthesiser, Voice, blend_styles
from kws.errors import KwsError, require
from kws.files import read_json, write_text
from kws.log import silent
from kws.parallel import on_cores
from kws.units import SAMPLE_RATE

SPEEDS = (0.8, 1.25)
MARGIN = int(0.25 * SAMPLE_RATE)  # silence kept around the speech
CUT_OFF = int(0.03 * SAMPLE_RATE)  # speech nearer than this to an end of the synthesiser's output was cut
PLAUSIBLE_S = (0.15, 6.0)  # speech outside this is a broken clip
NEW_STYLES = 64  # mixtures of the packs, unless more are asked for
FLUSH_EVERY = 50  # clips between two writings of the manifest

# Never in a training set: the demo recording speaks with these. hibari's only voice was
# distilled from af_heart, so that pack is held back too. The new styles are drawn from
# the packs that are left.
HELD_OUT = ("af_heart", "af_sarah", "am_michael", "am_puck", "bf_emma", "bm_george")
UNCLEAR = ("ff_siwis", "zf_xiaoyi")  # foreign packs that a recogniser did not understand in English
# Voices whose words a recogniser (pocketsphinx, choosing among all phrases of the set)
# took for others more often than not. They stay in the plan, so that the rest does not
# depend on this list, but are not spoken.
MISHEARD = ("style013", "style037", "style041", "style042", "style046", "zf_xiaoxiao", "zm_yunxia")
ENGLISH = ("af", "am", "bf", "bm")  # first letters of the packs: accent and sex


class Speaks(Protocol):
    """The part of a synthesiser that `generate` uses."""

    def say(self, text: str, voice: Voice, speed: float, rng: np.random.Generator) -> Samples: ...


@dataclass(frozen=True)
class Item:
    """One clip of the plan."""

    index: int
    line: ScriptLine
    voice: Voice
    speed: float
    seed: tuple[int, int]
    split: str = "train"

    @property
    def file(self) -> str:
        return f"clips/{self.index:06d}_{self.line.text.replace(' ', '-')[:40]}.flac"


Made = tuple[Item, float, str | None]  # (item, seconds, why it was dropped)


def voices(packs: Sequence[str], seed: int, new_styles: int = NEW_STYLES) -> list[Voice]:
    """The training voices: English packs twice (they speak best), others and new styles
    once.

    A quarter of the new styles reads with British pronunciation.
    """
    usable = [name for name in sorted(packs) if name not in HELD_OUT + UNCLEAR]
    english = [Voice(f"kokoro:{name}", name.startswith("b")) for name in usable if name[:2] in ENGLISH]
    foreign = [Voice(f"kokoro:{name}") for name in usable if name[:2] not in ENGLISH]
    british = np.random.default_rng([seed, 1]).random(new_styles) < 0.25
    return english * 2 + foreign + [Voice(f"kokoro:style{n:03d}", bool(b)) for n, b in enumerate(british)]


def add_new_styles(synthesiser: Synthesiser, seed: int, new_styles: int = NEW_STYLES) -> None:
    """Give the synthesiser the voices kokoro:style000 ..., drawn from the packs that
    may be trained on. The first of them are the same however many there are.
    """
    packs = {name: style for name, style in synthesiser.styles.items() if name not in HELD_OUT + UNCLEAR}
    for number in range(new_styles):
        synthesiser.add_style(f"style{number:03d}", blend_styles(packs, np.random.default_rng([seed, 2, number])))


def plan(script: Script, cast: Sequence[Voice], seed: int) -> Iterator[Item]:
    """An endless list of clips. Voices go round in shuffled order and so do the
    script's cards.
    """
    rng = np.random.default_rng([seed, 3])
    cards: list[Card] = []
    index = 0
    while True:
        for speaker in rng.permutation(len(cast)):
            cards = cards or script.deal(rng)
            card = cards.pop()
            speed = round(float(np.exp(rng.uniform(*np.log(SPEEDS)))), 3)
            yield Item(index, script.draw(card, rng), cast[speaker], speed, (seed, index))
            index += 1


def speech_span(samples: Samples) -> tuple[int, int]:
    """First and last sample within 40 dB of the peak; (0, 0) when there is nothing."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.max(np.abs(samples), initial=0.0))
    return (int(loud[0]), int(loud[-1])) if len(loud) else (0, 0)


def broken(samples: Samples) -> str | None:
    """The reason why a spoken clip is of no use, or None."""
    if not np.isfinite(samples).all():
        return "not finite"
    if np.max(np.abs(samples), initial=0.0) < 0.01:
        return "silent"
    first, last = speech_span(samples)
    seconds = (last - first) / SAMPLE_RATE
    if not PLAUSIBLE_S[0] <= seconds <= PLAUSIBLE_S[1]:
        return f"{seconds:.2f} s of speech"
    return "cut off" if first < CUT_OFF or len(samples) - last < CUT_OFF else None


def make_clip(synthesiser: Speaks, root: Path, item: Item) -> Made:
    """Speak and save one clip unless it is there; returns (item, seconds, why it was
    dropped or None).
    """
    soundfile = require("soundfile", extra="synthesis")
    path = root / item.file
    if path.exists():
        with suppress(soundfile.LibsndfileError):  # of a damaged file, which is made again
            return item, soundfile.info(str(path)).frames / SAMPLE_RATE, None
    samples = synthesiser.say(item.line.spoken, item.voice, item.speed, np.random.default_rng(item.seed))
    if fault := broken(samples):
        return item, 0.0, fault
    first, last = speech_span(samples)
    samples = samples[max(0, first - MARGIN) : last + MARGIN] / max(1.0, float(np.abs(samples).max()))
    write_sound(path, samples)
    return item, len(samples) / SAMPLE_RATE, None


@cache
def _synthesiser(model_root: str, seed: int, new_styles: int) -> Synthesiser:
    synthesiser = Synthesiser.load(model_root)
    add_new_styles(synthesiser, seed, new_styles)
    return synthesiser


class _Part(NamedTuple):
    """A clip to make, with everything that a process needs for it."""

    model_root: str
    root: Path
    seed: int
    new_styles: int
    item: Item

    def __str__(self) -> str:
        return str(self.root / self.item.file)


def _work(part: _Part, report: Callable[..., None]) -> Made:  # noqa: ARG001
    return make_clip(_synthesiser(part.model_root, part.seed, part.new_styles), part.root, part.item)


def collect(root: Path, made: Iterable[Made]) -> tuple[int, float]:
    """Write the manifest (and dropped.csv), in the order of the plan, while clips
    arrive in any; returns (clips, seconds).
    """
    rows: dict[int, tuple[object, ...]] = {}
    dropped: dict[int, tuple[object, ...]] = {}
    for item, seconds, fault in made:
        if fault is None:
            rows[item.index] = (item.file, f"{seconds:.3f}", item.line.text, item.voice.id, item.split)
        else:
            dropped[item.index] = (item.file, item.line.text, item.voice.id, fault)
        if (len(rows) + len(dropped)) % FLUSH_EVERY == 0:
            write_csv(root / "manifest.csv", COLUMNS, _in_order(rows))
    write_csv(root / "manifest.csv", COLUMNS, _in_order(rows))
    write_csv(root / "dropped.csv", ("audio", "text", "speaker", "fault"), _in_order(dropped))
    return len(rows), sum(float(str(row[1])) for row in rows.values())


def _in_order(rows: dict[int, tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [rows[index] for index in sorted(rows)]


def generate(
    root: str | Path,
    model_root: str | Path,
    script: Script,
    count: int,
    seed: int = 0,
    workers: int = 1,
    dev_every: int = 0,
    new_styles: int = NEW_STYLES,
) -> Path:
    """Make the first `count` clips of the plan below `root`, but for `MISHEARD`;
    returns the manifest's path.

    dev_every: every so many-th voice speaks for the dev split (no carriers there:
    scoring takes a clip for all of one keyword or for none); 0 for no such split.
    new_styles: mixtures of the packs among the voices.
    Idempotent: a set with a matching completion marker is left alone, clips that exist
    are kept. Raises KwsError when the models of `model_root` are missing or `root`
    holds a set of another seed or script.
    """
    root = Path(root)
    mixed = {"new_styles": new_styles} if new_styles != NEW_STYLES else {}
    _claim(root, {"seed": seed, "script": repr(script)} | ({"dev_every": dev_every} if dev_every else {}) | mixed)
    asked, marker = {"count": count, "seed": seed}, root / "complete.json"
    if read_json(marker, dict) == asked:
        return root / "manifest.csv"
    cast = voices(list(Synthesiser.load(model_root).styles), seed, new_styles)
    items = _spoken(islice(plan(script, cast, seed), count), cast, dev_every)
    parts = [_Part(str(model_root), root, seed, new_styles, item) for item in items]
    if workers == 1:
        collect(root, (_work(part, silent) for part in parts))
    else:
        with closing(on_cores(_work, parts, workers, silent)) as made:
            collect(root, made)
    write_text(marker, json.dumps(asked))
    return root / "manifest.csv"


def _spoken(items: Iterable[Item], cast: Sequence[Voice], dev_every: int) -> Iterator[Item]:
    """The items that are spoken, each in its split."""
    ids = sorted({voice.id for voice in cast})
    held_out = frozenset(ids[dev_every - 1 :: dev_every] if dev_every else ())
    for item in items:
        dev = item.voice.id in held_out
        if item.voice.name not in MISHEARD and not (dev and item.line.kind == "carrier"):
            yield replace(item, split="dev") if dev else item


def _claim(root: Path, asked: dict[str, Any]) -> None:
    (root / "clips").mkdir(parents=True, exist_ok=True)
    owner = root / "script.json"
    before = read_json(owner, dict)
    if before and "script" in before:  # sets that were begun before 0.2 call the confusables of a script near misses
        before["script"] = str(before["script"]).replace("near_misses=", "confusables=")
    if before is not None and before != asked:
        raise KwsError(f"{root} holds a phrase set of another script or seed: give an empty folder or the same ones")
    write_text(owner, json.dumps(asked))
