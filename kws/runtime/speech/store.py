"""The file of stored speech: a model's log-posteriors of hours of ordinary speech, in
few enough bytes to ship with the model.

MODEL.speech lies beside MODEL.onnx. It is a zip archive of five entries: `about.json`
(which model, which speech, how many frames in each recording), `symbols` and `rest`
(the log-posteriors, see kws.decoding.packed), `words` (a line of text for each
recording) and `ends` (the frame in which each word ends).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kws.decoding.packed import LEVELS, PackedPosteriors, levels_of
from kws.decoding.temperature import is_temperature
from kws.errors import KwsError
from kws.files import whole
from kws.jsonable import decode, demand
from kws.metadata import DataSource
from kws.runtime.strangers import MOST_BYTES, graph_of
from kws.units import SAMPLE_RATE

SUFFIX = ".speech"
_SCHEMA = 1
_MOST_FRAMES = 2_000_000  # 22 h: replayed, a frame takes some hundred bytes
_MOST_NATS = 100.0
_ENTRIES = ("about.json", "symbols", "rest", "words", "ends")


@dataclass(frozen=True)
class Recording:
    """A stored recording: its frames, and its words, each with the frame after its last
    one; no words where its transcript is not known. speaker: may be empty.
    """

    frames: int
    speaker: str = ""
    words: tuple[tuple[str, int], ...] = ()

    @property
    def spans(self) -> Iterator[tuple[str, int, int]]:
        """Each word with its first frame and the frame after its last; a pause before a
        word belongs to it.
        """
        start = 0
        for word, end in self.words:
            yield word, start, end
            start = end


@dataclass(frozen=True)
class StoredSpeech:
    """The log-posteriors that one model gave for hours of speech.

    model: the digest of its graph (`digest`). frame_samples: of a frame. data: the
    corpora, with what their licences ask to be said. posteriors: of all recordings, one
    after the other.
    """

    model: str
    frame_samples: int
    data: tuple[DataSource, ...]
    recordings: tuple[Recording, ...]
    posteriors: PackedPosteriors

    @property
    def hours(self) -> float:
        """The length of the speech in hours."""
        return len(self.posteriors) * self.frame_samples / SAMPLE_RATE / 3600

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        about = _About(
            _SCHEMA,
            self.model,
            self.frame_samples,
            self.posteriors.levels.shape[1],
            self.posteriors.nats,
            self.data,
            tuple(recording.frames for recording in self.recordings),
            tuple(recording.speaker for recording in self.recordings),
            self.posteriors.temperature,
        )
        words = "\n".join(" ".join(word for word, _ in recording.words) for recording in self.recordings)
        ends = np.array([end for recording in self.recordings for _, end in recording.words], "<u4")
        entries = {
            "about.json": json.dumps(asdict(about), ensure_ascii=False, allow_nan=False).encode(),
            "symbols": self.posteriors.symbols(),
            "rest": self.posteriors.rest.tobytes(),
            "words": words.encode(),
            "ends": ends.tobytes(),
        }
        with whole(path) as partial, zipfile.ZipFile(partial, "w") as archive:
            for name, content in entries.items():  # a ZipInfo has a fixed date: the same speech gives the same bytes
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_BZIP2, 9)


@dataclass(frozen=True)
class _About:
    schema: int
    model: str
    frame_samples: int
    tokens: int
    nats: tuple[float, ...]
    data: tuple[DataSource, ...]
    frames: tuple[int, ...]
    speakers: tuple[str, ...]
    temperature: float = 1.0


def digest(model: Path) -> str:
    """The digest of a model's graph and weights, which alone determine its
    log-posteriors; keywords and thresholds do not change it.
    """
    return hashlib.blake2b(graph_of(model.read_bytes()), digest_size=16).hexdigest()


def place(model: Path) -> Path:
    """The file in which the stored speech of a model is expected."""
    return model.with_suffix(SUFFIX)


def read_speech(path: Path) -> StoredSpeech:
    """The stored speech in a file. Raises KwsError with one sentence for one that is
    missing, damaged, or of a newer kws.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {name: _entry(archive, name) for name in _ENTRIES}
    except FileNotFoundError as error:
        raise KwsError(f"{path} does not exist") from error
    except Exception as error:  # zipfile lets through what its decompressors raise, which have no class in common
        raise KwsError(f"{path} is no stored speech of kws, or damaged") from error
    try:
        return _parsed(entries)
    except (KwsError, ValueError, RecursionError) as error:
        raise KwsError(f"{path} is no stored speech that this kws can read: {error}") from error


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """An entry's content. No more is read than an entry may have."""
    with archive.open(name) as entry:
        content = entry.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("more than any model has")
    return content


def _parsed(entries: Mapping[str, bytes]) -> StoredSpeech:
    value = json.loads(entries["about.json"])
    schema = value.get("schema") if isinstance(value, dict) else None
    demand(schema == _SCHEMA, f"its schema is {schema}, not {_SCHEMA}")
    about = decode(_About, value)
    assert isinstance(about, _About)
    demand(0 < about.tokens <= 1000 and 0 < about.frame_samples <= SAMPLE_RATE, "it has no tokens, or no frames")
    demand(0 < sum(about.frames) <= _MOST_FRAMES, f"it has no frames, or more than {_MOST_FRAMES}")
    demand(all(-_MOST_NATS <= level <= 0 for level in about.nats), "its log-posteriors are none")
    demand(is_temperature(about.temperature), "its log-posteriors have no temperature")
    levels = levels_of(entries["symbols"], sum(about.frames), about.tokens)
    rest = np.frombuffer(entries["rest"], np.uint8)
    demand(rest.size == about.tokens**2 * LEVELS, "its tables are cut off")
    demand(min(about.frames) >= 0, "a recording has fewer frames than none")
    texts, ends = entries["words"].decode().split("\n"), np.frombuffer(entries["ends"], "<u4")
    counts = [len(text.split()) for text in texts]
    demand(len(texts) == len(about.frames) == len(about.speakers), "its transcripts are cut off")
    demand(sum(counts) == len(ends), "the ends of its words are cut off")
    return StoredSpeech(
        about.model,
        about.frame_samples,
        about.data,
        _recordings(about, texts, np.split(ends, np.cumsum(counts)[:-1])),
        PackedPosteriors(levels, about.nats, rest.reshape(-1, about.tokens), about.temperature),
    )


def _recordings(about: _About, texts: Sequence[str], ends: Sequence[np.ndarray]) -> tuple[Recording, ...]:
    return tuple(
        Recording(frames, speaker, tuple(zip(text.split(), own.tolist(), strict=True)))
        for frames, speaker, text, own in zip(about.frames, about.speakers, texts, ends, strict=True)
    )
