"""Conditions: a recording as it is, in noise at some SNR, or in a room; mixed the same
way on every machine.

What is drawn for a test item depends on the seed and on the item's name alone. It does
not depend on the order of the items, on the block size or on the machine. An item gets
the same noise at every SNR. Memory is bounded, however long the recording.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kws import audio
from kws.arrays import Samples
from kws.data import augment
from kws.data.manifest import rows_of
from kws.errors import KwsError, require
from kws.evaluate.replay.recording import CLEAN, TestItem
from kws.units import SAMPLE_RATE, samples

FileIdentity = tuple[str, int, int]

ROOM = "room"
CONDITIONS = (CLEAN, "20 dB", "10 dB", "5 dB", "0 dB", ROOM)

_STEP = 160 * augment.LEVEL_FRAME  # samples that are made at a time: 4 s
_SHORT_S = 60.0  # a file of this length is held while it is heard under one condition after the other
_PIECE_S = 60  # of a longer noise file that a source gets
_SEAM = SAMPLE_RATE // 10  # samples over which the end of a noise fades into its beginning
_FAINT = 0.5  # times the RMS of its file: softer noise under a source is drawn anew
_DRAWS = 50
_SILENT = 1e-5  # RMS of a noise that is none


@dataclass(frozen=True)
class Rules:
    """How test items are replayed.

    silence_s: seconds of silence before and after each. seed: of which file meets which
    item, and where in it. noise, rirs: the files of noise and of room impulse
    responses.
    """

    silence_s: float = 1.0
    seed: int = 0
    noise: tuple[Path, ...] = ()
    rirs: tuple[Path, ...] = ()

    def of(self, source: TestItem) -> "Rules":
        """The rules for one test item: of the files, only the one that it is mixed
        with, as an absolute path.
        """
        in_room = source.condition == ROOM
        files = () if source.condition == CLEAN else self.rirs if in_room else self.noise
        if len(files) > 1:
            files = (files[self._generator(source, 0).integers(len(files))],)
        files = tuple(file.absolute() for file in files)
        return replace(self, noise=() if in_room else files, rirs=files if in_room else ())

    def mixed_with(self, source: TestItem) -> Path | None:
        """The noise or room of `source`; None under the clean condition.

        Raises KwsError for a condition that does not exist or lacks its files.
        """
        if source.condition == CLEAN:
            return None
        snr_db(source.condition)
        own = self.of(source)
        if not (own.noise or own.rirs):
            raise KwsError(f"the condition {source.condition} needs {'rooms' if source.condition == ROOM else 'noise'}")
        return (own.noise or own.rirs)[0]

    def lead_frames(self, frame_samples: int) -> int:
        """Frames of silence before a source: whole ones, so that the source begins with
        a frame.
        """
        return -(-samples(self.silence_s) // frame_samples)

    def _generator(self, source: TestItem, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(os.fsencode(source.name)), purpose])


def parse_condition(text: str) -> str:
    """The condition that a user means: clean, room, or a number of dB with or without
    its unit.
    """
    word = text.strip().lower()
    if word in (CLEAN, ROOM):
        return word
    try:
        return f"{int(word.removesuffix('db'))} dB"
    except ValueError:
        known = ", ".join(CONDITIONS)
        raise KwsError(f"there is no condition '{text}': they are {known}, or any other number of dB") from None


def snr_db(condition: str) -> float | None:
    """The SNR of a noise condition; None of clean and room. Raises KwsError for what is
    no condition.
    """
    name = parse_condition(condition)
    return None if name in (CLEAN, ROOM) else float(name.removesuffix(" dB"))


def sound_files(place: str, faults: list[str] | None = None) -> tuple[Path, ...]:
    """The noises or rooms in a folder, a manifest, or MANIFEST@SPLIT, sorted. Raises
    KwsError when there is none.

    faults: of rows, as `rows_of` takes them.
    """
    files = tuple(sorted(row.audio for row in rows_of([place], faults)))
    if not files:
        raise KwsError(f"there is no sound file in {place}: give a folder, a manifest or MANIFEST@SPLIT")
    return files


def with_sound(files: Sequence[Path], skipped: list[str]) -> tuple[Path, ...]:
    """Those of the files that can be mixed with: they can be read, and not all of their
    samples are nearly zero.

    `skipped` gets a line for each other one. Raises KwsError when none is left.
    """
    problems = {file: _useless(file) for file in files}
    skipped += filter(None, problems.values())
    if all(problems.values()):
        raise KwsError(f"none of {len(files)} files can be mixed with; the first: {problems[files[0]]}")
    return tuple(file for file in files if not problems[file])


def _useless(file: Path) -> str:
    """Why nothing can be mixed with a file; empty where it can."""
    try:
        if any(augment.rms(block) >= _SILENT for block in audio.blocks(file, _STEP)):
            return ""
    except KwsError as error:
        return str(error)
    return f"{file} is silent: nothing can be mixed with it"


def file_identity(path: Path) -> FileIdentity:
    """Path, bytes and time of change: what tells a file from another, and from what it
    was. Raises KwsError.
    """
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        raise KwsError(f"{path} does not exist") from error
    except OSError as error:
        raise KwsError(f"{path} cannot be read: {error.strerror}") from error
    return str(path.absolute()), stat.st_size, stat.st_mtime_ns


def blocks(source: TestItem, rules: Rules, frame_samples: int = 1) -> Iterator[Samples]:
    """The sound that a system hears, in blocks of about 4 s: silence, the recording,
    silence.

    The first silence lasts `rules.lead_frames(frame_samples)` frames, the second
    `rules.silence_s` seconds. Noise runs through both silences; a room rings out into
    the second. The SNR is the level of the speech (see `augment.speech_level`) over the
    RMS of the noise under the recording, each over the whole recording. Mixed sound is
    clipped at full scale, as a converter clips it. Raises KwsError for files that
    cannot be used.
    """
    other = rules.mixed_with(source)
    lead = rules.lead_frames(frame_samples) * frame_samples
    silence = np.zeros(lead, np.float32), np.zeros(samples(rules.silence_s), np.float32)
    dry = chain(silence[:1], _sound(source.audio), silence[1:])
    if other is None:
        return dry
    snr = snr_db(source.condition)
    if snr is None:
        return _in_room(dry, other)
    return _in_noise(dry, lead, source, other, snr, rules._generator(source, 1))


def excerpt(source: TestItem, rules: Rules, start_s: float, end_s: float) -> Samples:
    """What a system hears of a source from one second of it to another (S,): less where
    it ends before.
    """
    wanted = samples(end_s) - samples(start_s)
    if source.condition == CLEAN:
        return next(audio.blocks(source.audio, wanted, start_s=start_s), np.empty(0, np.float32))
    first = samples(start_s) + rules.lead_frames(1)
    parts, at = [np.empty(0, np.float32)], 0
    for block in blocks(source, rules):
        parts.append(block[max(0, first - at) : max(0, first + wanted - at)])
        at += len(block)
        if at >= first + wanted:
            break
    return np.concatenate(parts)


def _in_noise(
    dry: Iterator[Samples], lead: int, source: TestItem, noise: Path, snr: float, rng: np.random.Generator
) -> Iterator[Samples]:
    """`dry`, of which `lead` samples come before the source, with a piece of the noise,
    round and round.
    """
    level, length = _level(source.audio)
    piece = _draw_piece(noise, rng)
    start = _draw_place(piece, length, rng)
    gain = np.float32(level / (_rms(piece, start, length) * augment.decibels(snr)))
    start -= lead
    for block in dry:
        yield np.clip(block + gain * _round(piece, start, len(block)), -1.0, 1.0)
        start += len(block)


def _in_room(dry: Iterator[Samples], room: Path) -> Iterator[Samples]:
    """`dry` convolved with a response, without its delay: overlap-add of what each
    block rings on into the next.
    """
    signal = require("scipy.signal", extra="score")
    response, delay = augment.recorded_rir(audio.read(room))
    ringing, early = np.zeros(len(response) - 1, np.float32), delay
    for block in dry:
        wet = signal.oaconvolve(block, response) if len(block) else np.zeros(len(ringing), np.float32)
        wet[: len(ringing)] += ringing
        ringing = wet[len(block) :]
        yield np.clip(wet[early : len(block)], -1.0, 1.0)
        early = max(0, early - len(block))
    yield np.clip(ringing[early:delay], -1.0, 1.0)


def _sound(path: Path) -> Iterator[Samples]:
    """A file's samples, block by block."""
    if 0 < audio.length_s(path) <= _SHORT_S:
        return iter(_decoded(file_identity(path)))
    return audio.blocks(path, _STEP)


@lru_cache(maxsize=1)
def _decoded(identity: FileIdentity) -> list[Samples]:
    return list(audio.blocks(identity[0], _STEP))


def _level(path: Path) -> tuple[float, int]:
    """Level of the speech in a file and its length in samples, read once, with 8 bytes
    kept of 25 ms.
    """
    powers: list[npt.NDArray[np.float64]] = []
    length = 0
    for block in _sound(path):
        powers.append(augment.frame_powers(block))
        length += len(block)
    whole = np.concatenate(powers)
    return (augment.louder_half(whole) if len(whole) else augment.rms(block)), length


def _draw_piece(noise: Path, rng: np.random.Generator) -> Samples:
    """A piece of a noise that is not silent. Raises KwsError where none is found."""
    starts_s = rng.random(_DRAWS) * max(0.0, audio.length_s(noise) - _PIECE_S)
    for start_s in dict.fromkeys(starts_s.tolist()):
        piece = _piece(file_identity(noise), start_s)
        if augment.rms(piece) >= _SILENT:
            return piece
    raise KwsError(f"{noise} is silent: it is no noise to mix with")


@lru_cache(maxsize=1)  # the same at every SNR
def _piece(noise: FileIdentity, start_s: float) -> Samples:
    """A piece (S,) of a noise that can go round: what follows its end fades over into
    its beginning.
    """
    piece = np.concatenate(list(islice(audio.blocks(noise[0], SAMPLE_RATE, start_s=start_s), _PIECE_S)))
    seam = min(_SEAM, len(piece) // 4)
    rise = np.sqrt(np.linspace(0.0, 1.0, seam, dtype=np.float32))  # of equal power: the two do not know each other
    looped = piece[seam:].copy()
    looped[len(looped) - seam :] *= rise[::-1]
    looped[len(looped) - seam :] += piece[:seam] * rise
    return looped


def _draw_place(piece: Samples, length: int, rng: np.random.Generator) -> int:
    """Where in a piece a source of `length` begins: where it is not nearly silent, if
    there is such a place.
    """
    enough = _FAINT * augment.rms(piece)
    places = rng.integers(len(piece), size=_DRAWS).tolist()
    loud = next((place for place in places if _rms(piece, place, length) >= enough), None)
    return max(places, key=lambda place: _rms(piece, place, length)) if loud is None else loud


def _rms(piece: Samples, start: int, length: int) -> float:
    """RMS of `length` samples of a piece that repeats, maybe many times."""
    rounds, rest = divmod(length, len(piece))
    energy = rounds * len(piece) * augment.rms(piece) ** 2 if rounds else 0.0
    energy += rest * augment.rms(_round(piece, start, rest)) ** 2 if rest else 0.0
    return float(np.sqrt(energy / length))


def _round(piece: Samples, start: int, count: int) -> Samples:
    """`count` samples of a piece that repeats, from any number of sample on."""
    return np.take(piece, np.arange(start, start + count), mode="wrap")
