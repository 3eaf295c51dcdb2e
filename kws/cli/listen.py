"""`kws listen`: keywords from a microphone, live. Nothing leaves the machine, nothing
is written unless asked.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kws.cli import options
from kws.cli.keywords import add_keyword_options, open_detectors

if TYPE_CHECKING:
    from kws.demo.command import Command
    from kws.demo.live import LiveBlock, LiveDetection
    from kws.demo.microphone import Device, Microphone
    from kws.runtime.detector import Detector

_EPILOG = """examples:
  kws listen
  kws listen my-model.onnx --device 3 --channel 2
  kws listen --keyword "good morning" --threshold 0.4
  kws listen --json --record heard
  kws listen --exec "aplay ding.wav"
  kws listen --exec "curl -s -d @- http://localhost:8123/api/webhook/kws"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Hear keywords from a microphone, live, until Ctrl-C. No sound leaves this machine, "
        "and none is written without --record."
    )
    parser.epilog = _EPILOG + options.PEAK_HELP
    options.add_model_argument(parser, takes_phrases=True)
    parser.add_argument("--device", help="number, name or part of the name of the microphone (the system's default)")
    options.add_pickup_options(parser, "the microphone")
    parser.add_argument("--list-devices", action="store_true", help="show the microphones and stop")
    add_keyword_options(parser)
    options.add_json_option(
        parser, "print each event as one line of JSON, a second later its peak as another, and nothing else"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="keep a .wav file of each event there, from 8 s before it to 10 s after it, "
        "in which `kws detect` hears the same",
    )
    parser.add_argument(
        "--exec",
        metavar="COMMAND",
        help="run this at each event, without a shell and without waiting for it; its input is the line of --json",
    )


def run(args: argparse.Namespace) -> int:
    """Listens until it is interrupted or terminated, which is how it ends well."""
    from kws.demo.live import listen
    from kws.demo.microphone import Microphone, devices
    from kws.demo.recorder import Recorder

    with silent_libraries(), ExitStack() as stack:
        if args.list_devices:
            print(table(devices()))
            return 0
        notes: list[str] = []
        (detector,) = open_detectors(args, [args.model] if args.model else [], notes.append)
        stop = stack.enter_context(stop_on_signals())
        front = Front(args)
        recorder = Recorder(args.record, front.tell) if args.record else None
        microphone = Microphone(args.device, args.channel, front.tell, args.gain, detector.info.follows_level)
        front.begin(stack, detector, microphone)
        for note in notes:
            front.tell(note)
        listen(
            detector,
            front.fire,
            on_peak=front.settle,
            microphone=microphone,
            recorder=recorder,
            watch=front.watch,
            every_block=front.has_meter,
            stop=stop,
        )
    return 0


class Shown(Protocol):
    """The output for a person or a program: `Lines`, `JsonLines` or a Screen."""

    def tell(self, note: str) -> None:
        """A line about the microphone, the recording or the command."""

    def watch(self, heard: LiveBlock | None) -> None:
        """Follow the sound."""

    def fire(self, event: LiveDetection) -> None:
        """An event."""

    def settle(self, event: LiveDetection) -> None:
        """The peak of an event is known, a second after it fired."""


class Lines:
    """Events as lines of text on standard output, all else on standard error."""

    def tell(self, note: str) -> None:
        say(f"kws: {note}")

    def watch(self, heard: LiveBlock | None) -> None:
        """Lines do not follow the sound."""

    def fire(self, event: LiveDetection) -> None:
        print(f"{event.time:%H:%M:%S}  {event.keyword}  (score {event.score:.2f})", flush=True)

    def settle(self, event: LiveDetection) -> None:
        print(f"{event.time:%H:%M:%S}  {event.keyword}  (peak {event.peak:.2f})", flush=True)


class JsonLines(Lines):
    """Events as lines of JSON."""

    def fire(self, event: LiveDetection) -> None:
        print(json.dumps(event.as_values()), flush=True)

    def settle(self, event: LiveDetection) -> None:
        print(json.dumps(event.peak_values()), flush=True)


class Front:
    """The output of `kws listen`, and the command that runs at each event."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._recording = f"kept in {args.record}" if args.record else ""
        self.has_meter = not args.json and sys.stdout.isatty() and find_spec("rich") is not None
        self._shown: Shown = JsonLines() if args.json else Lines()
        self._command: Command | None = None
        if args.exec:
            from kws.demo import command

            output = subprocess.DEVNULL if self.has_meter else sys.stderr
            self._command = command.Command(args.exec, output, self.tell)
        self._greeting: Callable[[], str] | None = None

    def begin(self, stack: ExitStack, detector: Detector, microphone: Microphone) -> None:
        """Say what is listened to."""
        if self.has_meter:
            from kws.demo.screen import Screen

            screen = Screen(detector, lambda: str(microphone), lambda: microphone.overflows, self._recording)
            self._shown = stack.enter_context(screen)
            return
        words = ", ".join(keyword.name for keyword in detector.keywords)
        self._greeting = lambda: f"listening for {words} on {microphone}; Ctrl-C stops"

    def tell(self, line: str) -> None:
        """A line about the microphone, the recording or the command."""
        self._shown.tell(line)

    def watch(self, heard: LiveBlock | None) -> None:
        """Follow the sound; the microphone is open when this is called first."""
        if self._greeting is not None:
            say(self._greeting())
            self._greeting = None
        if self._command is not None:
            self._command.check()
        self._shown.watch(heard)

    def fire(self, event: LiveDetection) -> None:
        """An event, and its command."""
        if self._command is not None:
            self._command.start(json.dumps(event.as_values()))
        self._shown.fire(event)

    def settle(self, event: LiveDetection) -> None:
        """The peak of an event is known, a second after it fired."""
        self._shown.settle(event)


def say(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


def table(found: list[Device]) -> str:
    """The microphones for a person to choose from."""
    if not found:
        return "no microphone was found"
    width = max(len(device.name) for device in found)
    lines = [f"  number  {'name':<{width}}  channels  rate"]
    lines += [
        f"{'>' if device.is_default else ' '} {device.number:>6}  {device.name:<{width}}  {device.channels:>8}  "
        f"{device.rate} Hz{'  (default)' if device.is_default else ''}"
        for device in found
    ]
    return "\n".join(lines)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that sound which has come is still
    heard; a second signal interrupts at once.
    """
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def silent_libraries() -> Iterator[None]:
    """Keeps PortAudio and ALSA from writing to the process's stderr; Python's own
    output still goes there.
    """
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    before, sys.stderr = sys.stderr, os.fdopen(kept, "w", closefd=False)
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = before
        os.dup2(kept, 2)
        os.close(kept)
