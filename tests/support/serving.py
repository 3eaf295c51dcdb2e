"""`kws serve` as a process, and a client of the wyoming library that talks to it."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator

import numpy as np
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.ping import Ping, Pong
from wyoming.wake import Detection, NotDetected

from trees import ROOT

SERVE = [sys.executable, "-m", "kws", "serve"]
RATE, CHUNK = 16_000, 1024
RECORDING = ROOT / "demo/hear.wav"
ALEXA = slice(0, int(1.2 * RATE))  # of the recording: one word


class Server:
    """`kws serve` at a place of its own (by default a port), and the lines that it has logged."""

    def __init__(self, *words: str, uri: str = "tcp://127.0.0.1:0") -> None:
        command = [*SERVE, "--uri", uri, *words]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.uri = self.wait_for(r"listening at (\S+)")[1]
        self.port = int(self.uri.rpartition(":")[2]) if self.uri.startswith("tcp:") else None

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        """A test that failed leaves no process behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)

    def wait_for(self, pattern: str, since: int = 0) -> re.Match[str]:
        """The first line that fits, once it is there."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for line in self.lines[since:]:
                if found := re.search(pattern, line):
                    return found
            time.sleep(0.01)
        raise AssertionError(f"{pattern!r} was not logged: {self.lines[since:]}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit code after a signal; nothing that looks like a fault may have been logged."""
        self.process.send_signal(number)
        code = self.process.wait(10)
        self._reader.join()
        self.process.stderr.close()
        assert "Traceback" not in "".join(self.lines)
        assert "fault of kws" not in "".join(self.lines)
        return code

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def talk(self, *events: Event, until: type = NotDetected) -> list[Event]:
        """What is answered to events, up to the first answer of a type."""
        return asyncio.run(talk(self.uri, events, until))


def lasting() -> Iterator[Server]:
    """For a fixture: one server for all clients of a file, however mad, that ends as if nothing had been."""
    server = Server()
    yield server
    assert server.process.poll() is None
    assert server.stop() == 0


async def talk(uri: str, events: tuple[Event, ...], until: type | None) -> list[Event]:
    """What is answered to events: up to an answer of a type, or to the pong of a ping when None."""
    async with AsyncClient.from_uri(uri) as client:
        if until is None:
            events, until = (*events, Ping("done").event()), Pong
        answers: list[Event] = []

        async def listen() -> None:
            while not (answers and until.is_type(answers[-1].type)):
                answers.append(await asyncio.wait_for(client.read_event(), 30))
                assert answers[-1] is not None, "the server hung up"

        listening = asyncio.create_task(listen())
        for event in events:
            await client.write_event(event)
        await listening
        return answers


def recording() -> np.ndarray:
    """(S,) int16 at 16 kHz."""
    with wave.open(str(RECORDING)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def chunk(
    rate: object = RATE, width: object = 2, channels: object = 1, payload: bytes = bytes(64), **more: object
) -> Event:
    """One `audio-chunk`, however wrong."""
    return Event("audio-chunk", {"rate": rate, "width": width, "channels": channels, **more}, payload)


def spoken(samples: np.ndarray, timestamp: int | None = None) -> list[Event]:
    """One stream: start, chunks (with timestamps from a moment on, unless None), stop."""
    chunks = [
        AudioChunk(
            RATE, 2, 1, samples[at : at + CHUNK].tobytes(), None if timestamp is None else timestamp + at * 1000 // RATE
        )
        for at in range(0, samples.size, CHUNK)
    ]
    return [event.event() for event in (AudioStart(RATE, 2, 1), *chunks, AudioStop())]


def heard(answers: list[Event]) -> list[tuple[str | None, int | None]]:
    """Name and milliseconds of every detection."""
    found = [Detection.from_event(event) for event in answers if Detection.is_type(event.type)]
    return [(event.name, event.timestamp) for event in found]
