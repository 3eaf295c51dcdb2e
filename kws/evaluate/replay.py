"""Replay: recordings through the shipped Stream, as a microphone would give them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kws import audio
from kws.data.manifest import Utterance, read_manifest
from kws.errors import KwsError
from kws.evaluate.metrics import Recording
from kws.runtime.detector import Detector
from kws.units import SAMPLE_RATE

_BLOCK_SAMPLES = SAMPLE_RATE
_AUDIO = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def replay(
    detector: Detector, rows: Iterable[Utterance], silence_s: float, report: Callable[[str], None]
) -> Iterator[Recording]:
    """Each row's scores, heard by a fresh stream between `silence_s` of digital silence on both sides.

    A recording that cannot be read is reported and left out. Its keyword is its text where the detector hears that.
    """
    names = {keyword.name for keyword in detector.keywords}
    silence = np.zeros(int(silence_s * SAMPLE_RATE), np.float32)
    for row in rows:
        stream, samples = detector.stream(), 0
        results = [stream.process(silence)]
        try:
            for block in audio.blocks(row.audio, _BLOCK_SAMPLES):
                samples += len(block)
                results.append(stream.process(block))
        except KwsError as error:
            report(f"skipped: {error}")
            continue
        results.append(stream.process(silence, last=True))
        scores = np.concatenate([result.scores for result in results])
        ages = np.concatenate([result.ages for result in results])
        yield Recording.of(scores, ages, samples, row.text if row.text in names else None)


def rows_of(sources: Sequence[str]) -> list[Utterance]:
    """The rows of manifests, or of one split where ``PATH@SPLIT`` says so; a folder without a manifest gives its audio
    files, without text.
    """
    rows: list[Utterance] = []
    for source in sources:
        name, _, split = source.rpartition("@") if "@" in source and not Path(source).exists() else (source, "", "")
        path = Path(name)
        if path.is_dir() and not (path / "manifest.csv").exists():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _AUDIO)
            rows += [Utterance(file, 0.0, "", "", "") for file in files]
        else:
            rows += read_manifest(path, [split] if split else None)
    return rows
