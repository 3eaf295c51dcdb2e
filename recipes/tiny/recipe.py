"""Everything in about a minute on made data: train, export, calibrate, score; for tests
and for a first look.

    kws train tiny

A language of tones: each phone is two tones of its own, a word is its phones in the
dictionary's order, and a speaker is how high and how fast they come. What is learned is
of no use, only that it is learned.

Data: none; it is made.
"""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kws.data.manifest import Utterance, read_manifest, write_manifest
from kws.data.scenes.config import SceneConfig
from kws.data.synthesis.confusables import Unit, holds, units_of
from kws.files import write_bytes
from kws.lexicon import PHONES, Lexicon, load_cmudict
from kws.log import Log
from kws.model.config import AcousticConfig
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig, TrainingCorpus
from kws.units import SAMPLE_RATE

if TYPE_CHECKING:
    import argparse

KEYWORDS = ("stop", "seven")
TAUGHT = frozenset("AA AH EH G L N OW P S T V".split())  # words of these phones are sung
SPEAKERS = {"train": 16, "dev": 6}
CLIPS_EACH = 18  # of a speaker

RECIPE = Recipe(
    name="tiny",
    task=TaskConfig(
        data="runs/tiny/data",
        speech=(TrainingCorpus("made", "words in tones", "none", "none", share=1.0),),
        noise=None,
        keywords=KEYWORDS,
        model=AcousticConfig(mixer="xsa", width=48, blocks=1, heads=2, window_frames=16, channels=24, dropout=0.0),
        scenes=SceneConfig(rows=8, row_seconds=4.0, room_probability=0.0, babble_probability=0.0),
    ),
    optim=OptimConfig(
        steps=300,
        steps_per_epoch=100,
        validate_every=1000,  # it is tested at the end
        warmup_steps=30,
        learning_rate=5e-3,
        ema_decay=0.95,
        precision="32-true",
    ),
    run=RunConfig(
        output="runs/tiny",
    ),
)

CORPORA = ()  # the data is made


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds no option."""


def make(args: argparse.Namespace, recipe: Recipe, log: Log) -> str | None:  # noqa: ARG001
    """Makes the data, trains, exports, calibrates and scores."""
    from kws.recipes.own.deliver import deliver, fired  # torch takes seconds to load, and --help needs none of it

    rows = make_data(Path(recipe.task.data) / recipe.task.speech[0].folder, recipe.optim.seed)
    dev = [row for row in rows if row.split == "dev"]
    lexicon = load_cmudict()
    keywords = tuple(Unit(word, tuple(lexicon.spell(word))) for word in KEYWORDS)
    negatives = [row for row in dev if not any(holds(units_of(row.text, lexicon), [keyword]) for keyword in keywords)]
    delivered = deliver(recipe, negatives, "made data", 1.0, log)
    if delivered is None:
        return None
    model, rates = delivered
    lines = [f"{model}: trained, exported, calibrated on {len(negatives)} made recordings without a keyword"]
    for index, rate in enumerate(rates):
        said = [row for row in dev if row.text == rate.keyword]
        hits, total = fired(model, said, log, index)
        lines.append(f"{rate.keyword}: {hits} of {total} heard, {rate.false_accepts} false accepts")
    return "\n".join(lines)


def make_data(folder: Path, seed: int) -> list[Utterance]:
    """Clips of one to four words by speakers of both splits, with a manifest; nothing
    when they are there.
    """
    if not (folder / "manifest.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        rng, lexicon, rows = np.random.default_rng(seed), load_cmudict(), []
        words = sorted(word for word, found in lexicon.entries() if word.isalpha() and TAUGHT.issuperset(found[0]))
        for split, speakers in SPEAKERS.items():
            for speaker in range(speakers):
                pitch, pace = rng.uniform(0.9, 1.1), rng.uniform(0.8, 1.25)
                for clip in range(CLIPS_EACH):
                    text = " ".join(rng.choice(words, int(rng.integers(1, 5))))
                    text = KEYWORDS[clip // 3 % 2] if clip % 3 == 0 else text
                    samples = sing(text, pitch, pace, lexicon, rng)
                    path = folder / f"{split}-{speaker}-{clip}.wav"
                    write_wav(path, samples)
                    rows.append(Utterance(path, len(samples) / SAMPLE_RATE, text, f"{split}-{speaker}", split))
        write_manifest(folder / "manifest.csv", rows)
    return read_manifest(folder)


def sing(text: str, pitch: float, pace: float, lexicon: Lexicon, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The phones of `text` as pairs of tones, with short pauses between words, (S,) at
    16 kHz.
    """
    pieces = [np.zeros(SAMPLE_RATE // 10)]
    for word in text.split():
        for phone in lexicon.spell(word)[0]:
            number = PHONES.index(phone)
            time = np.arange(int(rng.uniform(0.08, 0.14) / pace * SAMPLE_RATE)) / SAMPLE_RATE
            low, high = 250 * 1.25 ** (number % 7), 1400 * 1.18 ** (number // 7)
            tones = np.sin(2 * np.pi * pitch * low * time) + np.sin(2 * np.pi * pitch * high * time)
            pieces.append(0.2 * tones * np.hanning(len(time)))
        pieces.append(np.zeros(int(rng.uniform(0.05, 0.2) * SAMPLE_RATE)))
    whole = np.concatenate(pieces)
    return np.asarray(whole + 0.001 * rng.standard_normal(len(whole)), np.float32)


def write_wav(path: Path, samples: npt.NDArray[np.float32]) -> None:
    """16 kHz mono 16-bit PCM."""
    coded = io.BytesIO()
    with wave.open(coded, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    write_bytes(path, coded.getvalue())
