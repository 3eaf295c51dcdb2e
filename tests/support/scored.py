"""A small scoring that needs no model: made recordings, an engine of two keywords, and the words of `kws score`."""

import csv
from pathlib import Path

import numpy as np

from corpora import write_wav

RATE = 16_000
ADAPTER = """
import numpy as np

class Before:
    version, size_bytes, chunk_samples, louder = "1", 12, 1280, 1.0
    keywords, thresholds = ["alexa", "jarvis"], [0.5, 0.4]

    def __init__(self, wanted):
        pass

    def process(self, chunk):
        sound = self.louder * np.abs(chunk.astype(np.float64)) / 32768
        return [round(min(1.0, sound.max()), 2), round(min(1.0, 2 * sound.mean()), 2)]

    def reset(self):
        pass

class Now(Before):
    version, louder = "2", 1.25
"""
COLUMNS = ("audio", "seconds", "text", "speaker", "split", "start", "end")
NAMED = ["--positives", "said", "--negatives", "radio", "--confusables", "alike", "--noise", "noise"]
NAMED += ["--conditions", "10", "0", "--fa-per-hour", "0.5", "400", "2000", "--jobs", "1"]
BEFORE = ["score", "engine.py:Before", *NAMED, "-o", "before"]
NOW = ["score", "engine.py:Now", *NAMED, "--against", "before", "-o", "now"]


def write_inputs(folder: Path) -> None:
    """The engine and the corpora that NAMED names: what is said, other sound, confusable phrases, noise."""
    rng = np.random.default_rng(11)
    (folder / "engine.py").write_text(ADAPTER)
    said = []
    for number in range(10):
        keyword, level = ("alexa", "jarvis")[number % 2], 0.1 + 0.08 * number
        word = level * rng.uniform(-1, 1, 6400)
        clip = np.concatenate([np.zeros(3200), word, np.zeros(4800)])
        said.append((clip, keyword, f"speaker {number % 3}", (0.2, 0.6) if number < 8 else ("", "")))
    _corpus(folder / "said", said)
    with (folder / "said/manifest.csv").open("a", newline="") as file:
        csv.writer(file).writerow(("damaged.wav", 1, "alexa", "speaker 0", "dev", "", ""))
    (folder / "said/damaged.wav").write_text("no sound")
    burst = [(rng.uniform(0.2, 0.9) * rng.uniform(-1, 1, 2560), np.zeros(24_000)) for _ in range(8)]
    radio = [(np.concatenate([piece for pair in burst for piece in pair]), "a talk on the radio", "", ("", ""))]
    radio += [(0.02 * rng.uniform(-1, 1, 4 * RATE), "", "", ("", ""))]
    _corpus(folder / "radio", radio)
    alike = [(0.7 * rng.uniform(-1, 1, 4000), "alex, a", "", ("", "")), (np.zeros(8000), "her voice", "", ("", ""))]
    _corpus(folder / "alike", alike)
    _corpus(folder / "noise", [(0.3 * rng.uniform(-1, 1, 3 * RATE), "", "", ("", ""))])


def _corpus(folder: Path, clips: list[tuple[np.ndarray, str, str, tuple[object, object]]]) -> None:
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (sound, text, speaker, span) in enumerate(clips):
            write_wav(folder / f"{number}.wav", sound)
            writer.writerow((f"{number}.wav", len(sound) / RATE, text, speaker, "dev", *span))
