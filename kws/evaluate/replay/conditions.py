"""Conditions: a recording as it is, in noise at some SNR, in a room, quiet, over the
telephone, or begun in the middle. Every machine makes the same sound.

Everything that is drawn for a test item depends on the seed and on the item's name
alone, not on the order of the items, the block size or the machine. An item gets the
same noise at every SNR. Memory is bounded, however long the recording.
"""

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from kws import audio
from kws.arrays import Samples
from kws.audio.pickup import AS_IT_IS, Pickup, amplified
from kws.data import augment
from kws.data.manifest import rows_of
from kws.errors import KwsError
from kws.evaluate.replay.files import STEP, sound_of
from kws.evaluate.replay.mixing import SILENT, in_noise, in_room
from kws.evaluate.replay.recorded import at_level, over_telephone, speech_begins
from kws.evaluate.replay.recording import CLEAN, TestItem
from kws.units import samples

ROOM = "room"
COLD = "cold"
_TELEPHONE = "8 kHz"
_KNOWN = (CLEAN, "20 dB", "10 dB", "5 dB", "0 dB", ROOM, COLD, "-45 dBFS", _TELEPHONE)


@dataclass(frozen=True)
class Rules:
    """The rules by which test items are replayed.

    silence_s: seconds of silence before and after each item. seed: decides which noise
    or room an item gets, and which part of it. noise, rirs: the files of noise and of
    room impulse responses. pickup: the channel of each recording to hear, and the gain
    of the whole sound, noise and room included, as of a microphone.
    """

    silence_s: float = 1.0
    seed: int = 0
    noise: tuple[Path, ...] = ()
    rirs: tuple[Path, ...] = ()
    pickup: Pickup = AS_IT_IS

    def of(self, source: TestItem) -> "Rules":
        """The rules for one test item: of the noises and rooms only the one that it is
        mixed with, as an absolute path.
        """
        kind = mixed_kind(source.condition)
        files = self.rirs if kind == "rooms" else self.noise if kind else ()
        if len(files) > 1:
            files = (files[self.generator(source, 0).integers(len(files))],)
        files = tuple(file.absolute() for file in files)
        return replace(self, noise=files if kind == "noise" else (), rirs=files if kind == "rooms" else ())

    def mixed_with(self, source: TestItem) -> Path | None:
        """The noise or room of `source`; None under a condition that needs neither.

        Raises KwsError for a condition that does not exist or lacks its files.
        """
        kind = mixed_kind(parse_condition(source.condition))
        if kind is None:
            return None
        own = self.of(source)
        if not (own.noise or own.rirs):
            raise KwsError(f"the condition {source.condition} needs {kind}")
        return (own.noise or own.rirs)[0]

    def lead_samples(self, frame_samples: int, source: TestItem | None = None) -> int:
        """Samples of silence before a test item: whole frames, so that the item begins
        with a frame.

        Negative for a cold item: the number of samples that are left out at its begin.
        """
        if source is not None and source.condition == COLD:
            return -(speech_begins(source, self.pickup.channel) // frame_samples * frame_samples)
        return -(-samples(self.silence_s) // frame_samples) * frame_samples

    def generator(self, source: TestItem, purpose: int) -> np.random.Generator:
        """The generator of everything that is drawn for a test item."""
        return np.random.default_rng([self.seed, zlib.crc32(os.fsencode(source.name)), purpose])


def parse_condition(text: str) -> str:
    """The condition that a user means, as reports write it.

    It is clean, room, cold (the stream begins with the word), a number of dB (the SNR),
    a negative number of dBFS (the recording's peak), or 8 kHz (telephone).
    """
    word = text.strip().lower().replace(" ", "")
    if word in (CLEAN, ROOM, COLD):
        return word
    if word == _TELEPHONE.lower().replace(" ", ""):
        return _TELEPHONE
    if level := re.fullmatch(r"(-\d+|0)dbfs", word):
        return f"{int(level[1])} dBFS"
    if snr := re.fullmatch(r"([+-]?\d+)(db)?", word):
        return f"{int(snr[1])} dB"
    known = ", ".join(_KNOWN)
    raise KwsError(f"there is no condition '{text}': they are {known}, or any other number of dB or dBFS")


def mixed_kind(condition: str) -> str | None:
    """The kind of files with which a condition, as `parse_condition` gives it, mixes
    recordings: noise, rooms, or none.
    """
    return "rooms" if condition == ROOM else "noise" if condition.endswith(" dB") else None


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
    """The files that can be mixed with: those that can be read and in which not all
    samples are nearly zero.

    `skipped` gets a line for each other file. Raises KwsError when none is left.
    """
    problems = {file: _useless(file) for file in files}
    skipped += filter(None, problems.values())
    if all(problems.values()):
        raise KwsError(f"none of {len(files)} files can be mixed with; the first: {problems[files[0]]}")
    return tuple(file for file in files if not problems[file])


def _useless(file: Path) -> str:
    """The reason why nothing can be mixed with a file; empty where it can."""
    try:
        if any(augment.rms(block) >= SILENT for block in audio.blocks(file, STEP)):
            return ""
    except KwsError as error:
        return str(error)
    return f"{file} is silent: nothing can be mixed with it"


def blocks(source: TestItem, rules: Rules, frame_samples: int = 1) -> Iterator[Samples]:
    """The sound that a system hears, in blocks of about 4 s: silence, the recording,
    silence.

    The first silence lasts `rules.lead_samples(frame_samples, source)`, the second
    `rules.silence_s` seconds. Noise runs through both silences; a room rings out into
    the second. The SNR is the level of the speech (see `augment.speech_level`) over the
    RMS of the noise under the recording, each over the whole recording. Mixed sound is
    clipped at full scale, as a converter clips it, and so is sound after the gain of
    the rules. Raises KwsError for files that cannot be used.
    """
    heard = _under_condition(source, rules, frame_samples)
    return (amplified(block, rules.pickup.gain_db) for block in heard)


def _under_condition(source: TestItem, rules: Rules, frame_samples: int) -> Iterator[Samples]:
    """The sound of `blocks`, without the gain."""
    other, channel = rules.mixed_with(source), rules.pickup.channel
    lead = rules.lead_samples(frame_samples, source)
    before, after = np.zeros(max(0, lead), np.float32), np.zeros(samples(rules.silence_s), np.float32)
    dry = chain([before], _from(sound_of(source.audio, channel), max(0, -lead)), [after])
    condition = parse_condition(source.condition)
    if other is not None and condition == ROOM:
        return in_room(dry, other)
    if other is not None:
        snr_db = float(condition.removesuffix(" dB"))
        return in_noise(dry, lead, source.audio, other, snr_db, rules.generator(source, 1), channel)
    if condition.endswith(" dBFS"):
        return at_level(dry, source.audio, float(condition.removesuffix(" dBFS")), channel)
    return over_telephone(dry) if condition == _TELEPHONE else dry


def _from(sound: Iterator[Samples], first: int) -> Iterator[Samples]:
    """The sound from sample `first` on."""
    for block in sound:
        yield block[first:]
        first = max(0, first - len(block))


def excerpt(source: TestItem, rules: Rules, start_s: float, end_s: float) -> Samples:
    """The sound (S,) that a system hears of a test item from one second to another;
    shorter where the item ends before.
    """
    wanted = samples(end_s) - samples(start_s)
    if source.condition in (CLEAN, COLD):
        sound = audio.blocks(source.audio, wanted, start_s=start_s, pickup=rules.pickup)
        return next(sound, np.empty(0, np.float32))
    first = samples(start_s) + rules.lead_samples(1)
    parts, at = [np.empty(0, np.float32)], 0
    for block in blocks(source, rules):
        parts.append(block[max(0, first - at) : max(0, first + wanted - at)])
        at += len(block)
        if at >= first + wanted:
            break
    return np.concatenate(parts)
