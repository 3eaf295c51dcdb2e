"""Small made corpora of a real corpus's layout: a folder with audio and a manifest.csv."""

import csv
import wave
from pathlib import Path

import numpy as np

COLUMNS = ("audio", "seconds", "text", "speaker", "split")


def write_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def write_corpus(folder: Path, texts: list[str], clips_each: int = 2, seconds: float = 0.5, seed: int = 0) -> Path:
    """Noise bursts under the given texts, two training clips for every dev clip; returns the folder."""
    rng = np.random.default_rng(seed)
    rows = []
    for i, text in enumerate(texts):
        for j in range(clips_each + 1):
            name = f"{i}/{j}.wav"
            write_wav(folder / name, 0.1 * rng.standard_normal(int(seconds * 16_000)))
            split = "dev" if j == clips_each else "train"
            rows.append((name, seconds, text, f"{split}-{i}-{j}", split))
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return folder
