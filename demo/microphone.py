"""A microphone as an endless row of mono blocks at the device's own rate. An unplugged
device is waited for.

S samples, C channels.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, NamedTuple

from kws import units
from kws.arrays import Samples
from kws.audio.pickup import Loudest, Mixdown, Pickup
from kws.errors import InputError, KwsError, require

_BLOCK_MS = 80  # the chunk of the models: shorter blocks wake the processor more often, and nothing comes sooner
_KEPT_S = 2.0  # that the system is asked to keep: more means that this machine cannot keep up
_TICK_S = 0.25
_STEP_S = 0.01  # waits are whole steps, so that what comes in blocks is there when they are over
_STALLED_S = 3.0  # some systems keep an unplugged device "active" and merely stop calling
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # before the attempts to open a lost device again; the last one repeats
_TOLD_EVERY_S = 10.0
_QUIET_S = 10.0  # of an opening: when nothing but very quiet sound came by then, that is said
# Sound servers offer 32 channels and more of which the microphone fills one or two: they mix better than we could.
_MOST_CHANNELS = 8


class Device(NamedTuple):
    """A device that can record: its number and name, how many channels it has, and its
    own rate in Hz.
    """

    number: int
    name: str
    channels: int
    rate: int
    is_default: bool


class Block(NamedTuple):
    """Sound (S,) float32 in [-1, 1] at `rate` Hz, and when it came (`time.monotonic`).

    opening: counts how often the device was opened; between two openings sound was
    lost.
    """

    samples: Samples
    rate: int
    arrived: float
    opening: int


def devices() -> list[Device]:
    """All devices of this machine that can record. Raises KwsError without sounddevice
    or PortAudio.
    """
    sounddevice = require("sounddevice", extra="listen")
    try:
        default = sounddevice.query_devices(kind="input")["index"]
    except (ValueError, sounddevice.PortAudioError):
        default = None
    return [
        Device(
            found["index"],
            found["name"],
            found["max_input_channels"],
            int(found["default_samplerate"]),
            found["index"] == default,
        )
        for found in sounddevice.query_devices()
        if found["max_input_channels"] > 0
    ]


def find(wanted: str | None, found: Sequence[Device]) -> Device:
    """The device with a number or name, or part of a name; None: the system's default.
    KwsError where no device, or devices of several names, match.
    """
    if wanted is None:
        fitting = [device for device in found if device.is_default]
        missing = "there is no microphone" if not found else "the system names no default microphone"
    else:
        fitting = [device for device in found if wanted in (str(device.number), device.name)]
        fitting = fitting or [device for device in found if wanted.lower() in device.name.lower()]
        missing = f"there is no microphone '{wanted}'"
    if not fitting:
        raise KwsError(f"{missing}: see kws listen --list-devices")
    if len({device.name for device in fitting}) > 1:
        names = ", ".join(f"{device.number} ({device.name})" for device in fitting)
        raise KwsError(f"'{wanted}' may be any of {names}: give the number")
    return fitting[0]


class Microphone:
    """A device that gives blocks of mono sound, and is opened again when it was
    unplugged.

    device: its number, name or part of a name; the system's default when None. channel:
    the one to hear, from 1; the mean of all, until they cancel each other, when None.
    tell: gets a line where the device is lost or found again, where sound is lost, and
    where nothing but very quiet sound came. gain_db: how much louder the sound is made.
    follows_level: whether the model that hears it raises quiet sound by itself.
    """

    def __init__(
        self,
        device: str | None = None,
        channel: int | None = None,
        tell: Callable[[str], object] = lambda line: None,
        gain_db: float = 0.0,
        follows_level: bool = True,
    ) -> None:
        self._sounddevice = require("sounddevice", extra="listen")
        self._wanted = device
        self._pickup = Pickup(channel, gain_db)
        self._tell = tell
        self._follows_level = follows_level
        self._overflows = 0
        self._opened: _OpenDevice | None = None
        self.device = self._find()
        if device is not None and device.isdigit():  # numbers change when something is plugged in, ALSA's as well
            self._wanted = self.device.name.partition(" (hw:")[0]

    @property
    def overflows(self) -> int:
        """How often sound was lost because this machine was busy."""
        return self._overflows + (self._opened.overflows if self._opened else 0)

    def __str__(self) -> str:
        """The device's name, with the channel and gain."""
        channels = self._opened.channels if self._opened else self._native()
        channel = self._pickup.channel
        mixed = f"channel {channel} of {channels}" if channel else f"{channels} channels averaged"
        return f"{self.device.name} at {self.device.rate} Hz{'' if channels == 1 else ', ' + mixed}"

    def blocks(self, wait_s: Callable[[], float] = lambda: 0.0) -> Generator[Block | None, None, None]:
        """Opens the device and gives its sound without end; None where nothing came for
        a quarter of a second.

        wait_s: asked before each block how many seconds of sound may be collected for
        it. Raises KwsError when the device cannot be opened at first; later it is tried
        again and again.
        """
        try:
            self._open_first()
            for opening in range(2**62):
                arrived = yield from self._hear(opening, wait_s)
                self._close()
                self._tell(f"{self.device.name} gives no sound any more (unplugged?): waiting for it")
                yield from self._reopen()
                self._tell(f"{self}: heard again; {time.monotonic() - arrived:.1f} s of sound were lost")
        finally:
            self._close()

    def _find(self) -> Device:
        """The device, once it is known to have the channel."""
        device = find(self._wanted, devices())
        try:
            self._pickup.check(device.channels)
        except InputError as error:
            raise KwsError(f"{device.name} {error}") from error
        return device

    def _hear(self, opening: int, wait_s: Callable[[], float]) -> Generator[Block | None, None, float]:
        """Gives blocks until the device is lost; returns when the last one came."""
        device, told, told_at = self._opened, 0, -_TOLD_EVERY_S
        assert device is not None
        loudest: Loudest | None = Loudest(self._pickup.gain_db)
        arrived = time.monotonic()
        while True:
            block = device.take(opening, wait_s())
            if block is None and not (device.is_active and time.monotonic() < arrived + _STALLED_S):
                return arrived
            if block is not None:
                arrived = block.arrived
                loudest = loudest and self._judged(loudest, block)
            if device.overflows > told and time.monotonic() > told_at + _TOLD_EVERY_S:
                told, told_at = device.overflows, time.monotonic()
                self._tell(f"some sound was lost, as this machine was busy (overflow {self.overflows})")
            yield block

    def _judged(self, loudest: Loudest, block: Block) -> Loudest | None:
        """Says, once an opening has lasted long enough, whether it is too quiet;
        returns None from then on.
        """
        loudest.add(block.samples)
        if units.seconds(loudest.samples, block.rate) < _QUIET_S:
            return loudest
        if note := loudest.note(self._follows_level):
            self._tell(f"{self.device.name}, {_QUIET_S:g} s: {note}")
        return None

    def _reopen(self) -> Iterator[None]:
        """Tries to open the device again, after growing pauses; ends when it is
        open.
        """
        for pause in chain(_PAUSES_S, repeat(_PAUSES_S[-1])):
            until = time.monotonic() + pause
            while time.monotonic() < until:
                time.sleep(min(_TICK_S, pause))
                yield None
            try:
                # PortAudio lists the devices once, when it starts: its binding's author
                # says to start it again
                # (github.com/spatialaudio/python-sounddevice/issues/125).
                with suppress(self._sounddevice.PortAudioError):  # it may not have started the last time
                    self._sounddevice._terminate()
                self._sounddevice._initialize()
                self.device = self._find()
                self._open()
                return
            except (KwsError, ValueError, self._sounddevice.PortAudioError):
                continue

    def _open_first(self) -> None:
        try:
            self._open()
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise KwsError(f"{self.device.name} cannot be opened ({error}): see kws listen --list-devices") from error

    def _open(self) -> None:
        """Starts the device with its own rate and number of channels, or else with one
        channel.
        """
        channels = self._native()
        try:
            self._opened = _OpenDevice(self._sounddevice, self.device, channels, self._pickup)
        except (ValueError, self._sounddevice.PortAudioError):
            if channels == 1 or self._pickup.channel is not None:
                raise
            self._opened = _OpenDevice(self._sounddevice, self.device, 1, self._pickup)

    def _native(self) -> int:
        """How many channels to open."""
        return self.device.channels if self.device.channels <= _MOST_CHANNELS else self._pickup.channel or 1

    def _close(self) -> None:
        if self._opened is not None:
            self._overflows += self._opened.overflows
            self._opened.close()
            self._opened = None


class _OpenDevice:
    """An open device. The system keeps its sound until `take` fetches it.

    That costs less than a callback for each block from PortAudio's thread, which would
    have to wake Python's.
    """

    def __init__(self, sounddevice: Any, device: Device, channels: int, pickup: Pickup) -> None:
        self.channels = channels
        self.overflows = 0
        self._lost = sounddevice.PortAudioError
        self._rate = device.rate
        self._mixdown = Mixdown(pickup)
        self._block = device.rate * _BLOCK_MS // 1000
        self._stream = sounddevice.InputStream(
            device=device.number,
            samplerate=device.rate,
            channels=channels,
            dtype="float32",
            blocksize=self._block,
            latency=_KEPT_S,
        )
        try:
            self._stream.start()
        except Exception:
            self.close()
            raise
        self._longest_s = self._stream.latency / 2  # not every device keeps as much as it is asked to

    @property
    def is_active(self) -> bool:
        """Whether more sound may come."""
        return bool(self._stream.active)

    def take(self, opening: int, wait_s: float) -> Block | None:
        """The sound that has come since the last call, once it is a block or has lasted
        `wait_s`; None where none comes in that time.

        A device that gives less than was waited for is waited for a little longer only;
        then the shorter piece is returned.
        """
        wait_s = max(min(wait_s, self._longest_s), units.seconds(self._block, self._rate))
        until = time.monotonic() + wait_s + _TICK_S
        try:
            while (missing_s := wait_s - (there := self._stream.read_available) / self._rate) > 0:
                if time.monotonic() > until:
                    break
                time.sleep(math.ceil(missing_s / _STEP_S) * _STEP_S)
            if not there:
                return None
            sound, overflowed = self._stream.read(there)
        except self._lost:  # it is gone: `is_active` says so, or nothing comes any more
            time.sleep(_TICK_S)
            return None
        self.overflows += bool(overflowed)
        return Block(self._mixdown.push(sound), self._rate, time.monotonic(), opening)

    def close(self) -> None:
        """Lets the device go, whatever state it is in."""
        self._stream.close(ignore_errors=True)
