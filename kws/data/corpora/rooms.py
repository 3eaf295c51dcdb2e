"""Impulse responses of simulated rooms: pyroomacoustics' image sources (Allen and
Berkley 1979), computed once.

ROOT/rooms/roomNNN/N.wav: float, 16 kHz, from the arrival of the direct sound on, whose
sample is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kws.arrays import Float64Array, Samples
from kws.data.corpora.base import Corpus
from kws.data.corpora.responses import by_room
from kws.data.prepare.build import Prepared, build
from kws.data.sound_file import write_sound
from kws.errors import KwsError, require
from kws.units import SAMPLE_RATE

ROOMS = 100
PLACES = 3  # of the speaker, for one microphone
SIZE_M = ((2.5, 2.5, 2.3), (8.0, 6.0, 3.5))
RT60_S = (0.1, 0.6)
WALL_M = 0.4  # nobody speaks nearer to a wall
NEAREST_M = 0.3
MOST_REFLECTIONS = 40  # beyond, a response takes seconds and its tail is 40 dB down or more in most rooms


def _make(folder: Path, rng: np.random.Generator) -> None:
    if folder.exists():
        return
    unfinished = folder.with_name(f".{folder.name}")
    unfinished.mkdir(exist_ok=True)
    for place, rir in enumerate(simulate(rng)):
        write_sound(unfinished / f"{place}.wav", rir, "FLOAT")
    unfinished.replace(folder)


def simulate(rng: np.random.Generator) -> list[Samples]:
    """Room impulse responses (S,) of one drawn shoe-box room, from `PLACES` drawn
    places to one microphone.
    """
    acoustics = require("pyroomacoustics", extra="train")
    size, absorption, reflections = _room(acoustics, rng)
    room = acoustics.ShoeBox(
        size, fs=SAMPLE_RATE, materials=acoustics.Material(absorption), max_order=min(reflections, MOST_REFLECTIONS)
    )
    microphone = rng.uniform(WALL_M, size - WALL_M)
    places: list[Float64Array] = []
    while len(places) < PLACES:
        place = rng.uniform(WALL_M, size - WALL_M)
        if np.linalg.norm(place - microphone) >= NEAREST_M:
            places.append(place)
            room.add_source(place)
    room.add_microphone(microphone)
    room.compute_rir()
    lead = acoustics.constants.get("frac_delay_length") // 2
    speed = acoustics.constants.get("c")  # m/s
    found = []
    for place, rir in zip(places, room.rir[0], strict=True):
        direct = int(np.linalg.norm(place - microphone) / speed * SAMPLE_RATE) + lead
        start = direct + int(np.argmax(np.abs(rir[direct : direct + 2])))  # it falls between two samples
        found.append((rir[start:] / rir[start]).astype(np.float32))
    return found


def _room(acoustics: object, rng: np.random.Generator) -> tuple[Float64Array, float, int]:
    """Size in m, absorption and order of reflections of a room whose reverberation time
    can be had (Sabine).
    """
    while True:
        size, rt60_s = rng.uniform(*SIZE_M), rng.uniform(*RT60_S)
        try:
            absorption, reflections = acoustics.inverse_sabine(rt60_s, size)  # type: ignore[attr-defined]
        except ValueError:  # too short a time for so large a room
            continue
        return size, float(absorption), int(reflections)


class SimulatedRooms(Corpus):
    """Rooms are computed, so there is nothing to fetch and no folder to give."""

    def download(self, root: Path, parts: Sequence[str] = ()) -> None:
        """Does nothing: rooms are made here."""

    def prepare(
        self, root: Path, source: Path | None = None, parts: Sequence[str] = (), rooms: int = ROOMS, seed: int = 0
    ) -> Prepared:
        """Simulates what is missing of `rooms` rooms (about 0.3 s a room) and writes
        the manifest, split by room.
        """
        self.check(parts)
        if source is not None:
            raise KwsError("rooms are simulated: leave --from away, or prepare a folder of your own as `responses`")
        folder = root.absolute() / "rooms" / f"seed{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        tqdm = require("tqdm", extra="train").tqdm
        for number in tqdm(range(rooms), "simulating", unit="room", leave=False, disable=None):
            _make(folder / f"room{number:03d}", np.random.default_rng([seed, number]))
        return build(root, folder, partial(by_room, folder), rooms=rooms, seed=seed)


CORPUS = SimulatedRooms(
    name="rooms",
    holds="impulse responses of 100 simulated rooms",
    licence="none",
    list=by_room,
    ask="made here",
)
