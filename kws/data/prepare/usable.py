"""Judges which of a user's own recordings can be used. Silence, copies and clips of an
odd length get a fault, as damaged files do; overdriven clips get a note.

S samples at 16 kHz, where nothing else is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kws.arrays import Samples
from kws.audio import blocks, mono
from kws.data.prepare.build import threads, unreadable
from kws.data.prepare.clip import Clip, Fault, Listing, printable
from kws.data.prepare.copies import Sketch, copies, sketch
from kws.errors import KwsError, require
from kws.units import SAMPLE_RATE

LOOKED = 3  # raised when recordings come to be judged otherwise: what was prepared before is looked at anew
SHORTEST_S = 0.15  # of the shortest word

_SILENT = 8 / 32768  # between the highest and the lowest sample: dither and an offset, and no sound
_KEPT_S = 30.0  # of a longer recording, from its first sound on, are compared
_BLOCK_SAMPLES = 1 << 16
_AT_PEAK, _LOUD = 0.97, 0.05  # of the peak
_CLIPPED = 0.01  # share of the loud samples that are at the peak: of 100 clean clips 0.0087 at most, 6 dB over 0.014

_EXACT = (b"RIF", b"RF64", b"riff", b"fLaC", b"FORM", b".snd", b"caff", b"NIST")  # begin files that keep flat tops
_PILED, _FEW = 1.1, 20  # samples around a level for each one just below it: of 300 clean clips 1.01 at most
_CREST = 2.2  # the highest of the loud samples by their root mean square: of 300 clean clips 2.38 at least


class Wanted(NamedTuple):
    """The conditions for a recording to be used: shorter than `longest_s`, and speech.
    hears: judges from samples (S,) whether they are speech; None: nothing does.
    """

    longest_s: float = math.inf
    hears: Callable[[Samples], bool] | None = None


class _Look(NamedTuple):
    fault: Fault | None = None
    sketch: Sketch | None = None
    clipped: bool = False


def looked_at(clips: Sequence[Clip], folder: Path, wanted: Wanted, known: Sequence[Clip] = ()) -> Listing:
    """The clips, with a fault on each that cannot be used, and notes on the others.

    A copy of an earlier clip, or of one that is `known`, has the fault to be one. A
    file is read only as far as its end could still change the judgement. folder: clips
    are named relative to it.
    """
    tqdm = require("tqdm", extra="train").tqdm
    files = list(dict.fromkeys(clip.audio for clip in [*known, *clips] if not clip.fault))
    with threads() as pool:
        looking = pool.map(partial(_look, wanted), files)
        looks = dict(
            zip(files, tqdm(looking, "looking", len(files), unit="file", leave=False, disable=None), strict=True)
        )
    sketches = {file: look.sketch for file, look in looks.items() if look.sketch is not None}
    compared = list(sketches)
    faults = {file: look.fault for file, look in looks.items() if look.fault}
    for copy, first in copies(list(sketches.values())).items():
        faults[compared[copy]] = Fault("copy", f"is a copy of {_name(compared[first], folder)}")
    judged = [replace(clip, fault=clip.fault or faults.get(clip.audio)) for clip in clips]
    clipped = [clip.audio for clip in judged if clip.fault is None and looks[clip.audio].clipped]
    if not clipped:
        return judged, []
    example = f"{len(clipped)} of {len(clips)} recordings are overdriven, for example {_name(clipped[0], folder)}"
    return judged, [f"{example}: they are used, and ones with less gain would be better"]


def _look(wanted: Wanted, file: Path) -> _Look:
    try:
        samples, seconds = _beginning(file, wanted.longest_s)
    except KwsError as error:
        return _Look(unreadable(file, error))
    if seconds >= wanted.longest_s:
        return _Look(Fault("too long", f"has more than {wanted.longest_s:.0f} s: cut it, one take to a file"))
    if not samples.size:
        return _Look(Fault("silent", "is silent: no sample differs from the others"))
    if seconds < SHORTEST_S:
        return _Look(Fault("too short", f"has {seconds:.2f} s: too short for a word"))
    if wanted.hears is not None and not wanted.hears(samples):
        return _Look(Fault("no speech", "holds no speech that the phone model hears"))
    return _Look(None, sketch(samples), _is_clipped(file))


def _beginning(path: Path, longest_s: float) -> tuple[Samples, float]:
    """A recording (S,) from its first block with sound on, (0,) where it has none, and
    its seconds. Reading stops after the samples that are compared, or after
    `longest_s`.
    """
    kept: list[Samples] = []
    most, size = round(_KEPT_S * SAMPLE_RATE), 0
    for piece in blocks(path, _BLOCK_SAMPLES):
        size += piece.size
        if kept or np.ptp(piece) > _SILENT:
            kept.append(piece)
        if size >= longest_s * SAMPLE_RATE or sum(part.size for part in kept) >= most:
            break
    return np.concatenate([np.zeros(0, np.float32), *kept])[:most], size / SAMPLE_RATE


def _is_clipped(path: Path) -> bool:
    """Whether a recording, from its first sound on, is overdriven. Flat tops are looked
    for at its own rate: resampling makes peaks of them.
    """
    kept: list[Samples] = []
    seconds = 0.0
    with suppress(KwsError), closing(mono(path)) as pieces:  # of damage beyond what is compared nobody asks
        for rate, piece in pieces:
            if kept or np.ptp(piece) > _SILENT:
                kept.append(piece)
                seconds += piece.size / rate
            if seconds >= _KEPT_S:
                break
    loudness = np.abs(np.concatenate([np.zeros(0, np.float32), *kept]))
    peak = loudness.max(initial=0.0)
    is_flat = (loudness >= _AT_PEAK * peak).sum() > _CLIPPED * (loudness >= _LOUD * peak).sum()
    return bool(is_flat) or (_is_lossy(path) and is_smeared(loudness))


def _is_lossy(path: Path) -> bool:
    with path.open("rb") as file:
        return not file.read(4).startswith(_EXACT)


def is_smeared(loudness: Samples) -> bool:
    """Whether magnitudes (S,) are of an overdriven recording whose flat tops a lossy
    codec has smeared: they pile up around some high level, where those of speech only
    become rarer, or the highest are hardly above the rest (docs/decisions.md).
    """
    if not loudness.any():
        return False
    ordered = np.sort(loudness)
    levels = np.geomspace(max(float(np.quantile(ordered, 0.99)), 1e-9), float(ordered[-1]), 12)
    below, bottom, top = (np.searchsorted(ordered, share * levels) for share in (0.6, 0.85, 1.1))
    around = top - bottom
    piled = (around >= _FEW) & (around > _PILED * (bottom - below))
    loud = ordered[np.searchsorted(ordered, _LOUD * np.quantile(ordered, 0.999)) :].astype(np.float64)
    return bool(piled.any() or np.quantile(loud, 0.999) < _CREST * np.sqrt(np.mean(loud**2)))


def _name(file: Path, folder: Path) -> str:
    return printable(file.relative_to(folder) if file.is_relative_to(folder) else file)
