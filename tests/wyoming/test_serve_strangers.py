"""`kws serve` and clients that are mad, greedy or dead: each gets a reason, and the others hear nothing of it."""

import errno
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wyoming.error import Error
from wyoming.event import Event, read_event, write_event
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect

from serving import ALEXA, RATE, chunk, heard, lasting, recording, spoken

FLOOD_BYTES = 2**26
LEAVING = 130
MOST_MORE_MB = 16  # that a server may take for what one client does

server = pytest.fixture(scope="module")(lasting)
sound = pytest.fixture(scope="module")(recording)


FLOODS = {
    # Two minutes of sound in each chunk: half a second of work for a server that takes it in a millisecond.
    "sound": b'{"type": "audio-chunk", "data": {"rate": 8000, "width": 1, "channels": 1}, "payload_length": 1048576}\n'
    + bytes(2**20),
    "questions whose answers are not read": b'{"type": "ping", "data_length": 262156}\n{"text": "%b"}' % (b"?" * 2**18),
}


def test_a_minute_at_once_delays_nobody(server):
    with server.connect() as busy, server.connect() as other, other.makefile("rwb") as line:
        busy.sendall(FLOODS["sound"] + b'{"type": "ping"}\n')
        for _ in range(20):
            write_event(Ping().event(), line)
            assert Pong.is_type(read_event(line).type)
        assert select.select([busy], [], [], 0)[0] == []
        with busy.makefile("rb") as answers:
            assert Pong.is_type(read_event(answers).type)


UNHEARABLE = {
    "a rate too low": (chunk(rate=4000), "8000 Hz or more"),
    "a rate beyond reason": (chunk(rate=10**20), "768000 Hz or less"),
    "a rate that is no number": (chunk(rate="fast\n"), r"rate of 'fast\n'"),
    "a rate that is no whole number": (chunk(rate=16000.0), "rate of 16000.0"),
    "no rate": (Event("audio-chunk", {"width": 2, "channels": 1}, bytes(4)), "lacks 'rate'"),
    "a strange width": (chunk(width=5), "5 bytes"),
    "no channels": (chunk(channels=0), "0 channels"),
    "half a sample": (chunk(channels=2, payload=bytes(6)), "ends inside a sample"),
    "a time of day": (chunk(timestamp="noon"), "milliseconds"),
    "a time beyond reason": (chunk(timestamp=10**4299), "milliseconds"),
    "a start at no time": (Event("audio-start", {"rate": RATE, "width": 2, "channels": 1, "timestamp": 0.5}), "milli"),
    "another rate": (chunk(rate=48_000), "changed from 16000 to 48000"),
    "a start that cannot be": (Event("audio-start", {"rate": 1, "width": 2, "channels": 1}), "8000 Hz or more"),
    "names that are none": (Event("detect", {"names": "alexa"}), "list of strings"),
    "names of numbers": (Event("detect", {"names": [1, None]}), "list of strings"),
    "a ping of numbers": (Event("ping", {"text": [1]}), "must be a string"),
}


@pytest.mark.parametrize(("event", "reason"), UNHEARABLE.values(), ids=UNHEARABLE)
def test_what_cannot_be_heard_is_refused_with_the_reason_and_the_next_stream_is_heard(server, sound, event, reason):
    before = len(server.lines)
    answers = server.talk(chunk(), event, event, *spoken(sound[ALEXA]), until=None)
    assert reason in Error.from_event(answers[0]).text
    assert [name for name, _ in heard(answers)] == ["alexa"]
    server.wait_for(re.escape(reason), before)


UNREADABLE = {
    "garbage": (b"\x00\xff\xfe GET / HTTP/1.1\r\n\r\n", "not an event"),
    "a list": (b"[1, 2]\n", "not an event"),
    "no type": (b'{"data": {}}\n', "not an event"),
    "a type that is none": (b'{"type": 3}\n', "not an event"),
    "data that is none": (b'{"type": "describe", "data": 7}\n', "not an event"),
    "half a line": (b'{"type": "desc', "middle of an event"),
    "half a frame": (b'{"type": "audio-chunk", "payload_length": 2048}\n' + bytes(100), "middle of an event"),
    "half the data": (b'{"type": "detect", "data_length": 99}\n{"names', "middle of an event"),
    "a huge line": (b'{"type": "' + b"x" * 200_000, "too long"),
    "a huge payload": (b'{"type": "audio-chunk", "payload_length": 99999999999}\n', "too long"),
    "a length that is none": (b'{"type": "audio-chunk", "payload_length": "2"}\n', "not an event"),
    "half a byte": (b'{"type": "audio-chunk", "payload_length": 0.5}\n', "a length of 0.5"),
    "a deep well": (b"[" * 60_000 + b"\n", "not an event"),
}


@pytest.mark.parametrize(("data", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_event_ends_that_client_alone(server, sound, data, reason):
    before = len(server.lines)
    with server.connect() as client:
        client.sendall(data)
        try:
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except OSError as error:  # it hung up on what it did not read, before the shutdown or after
            if error.errno not in (errno.ECONNRESET, errno.ENOTCONN):
                raise
    server.wait_for(reason, before)
    assert [name for name, _ in heard(server.talk(*spoken(sound[ALEXA]), until=None))] == ["alexa"]


def test_a_client_that_is_killed_is_noticed(server, sound):
    before = len(server.lines)
    script = (
        "import socket, time\n"
        f"line = socket.create_connection(('127.0.0.1', {server.port}))\n"
        'line.sendall(b\'{"type": "audio-chunk", "payload_length": 9999}\\n\')\n'
        "print('sent', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as client:
        client.stdout.readline()
        client.kill()
    server.wait_for("middle of an event|broke", before)
    assert [name for name, _ in heard(server.talk(*spoken(sound[ALEXA]), until=None))] == ["alexa"]


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_waits_in_the_client_that_sends_it(server, sound, flood):
    """Much is sent as fast as it is taken, for a second at most: the server does not keep it, and hears others."""
    with server.connect() as client, watched(server.process.pid):
        client.setblocking(False)
        sent, deadline = 0, time.monotonic() + 1
        while sent < FLOOD_BYTES and time.monotonic() < deadline:
            sent += send_some(client, flood[sent % len(flood) :])
        assert [name for name, _ in heard(server.talk(*spoken(sound[ALEXA]), until=None))] == ["alexa"]


def test_of_those_who_leave_nothing_stays(server, sound):
    """Many begin anew, or are gone while their sound is heard, as after a kill: no memory is lost."""
    word, long = spoken(sound[ALEXA]), chunk(payload=sound[: 10 * RATE].tobytes())
    with watched(server.process.pid):
        server.talk(*[Detect().event(), *word[:3]] * LEAVING, until=None)
        for _ in range(LEAVING):
            with server.connect() as client, client.makefile("rwb") as line:
                for event in (*word[:3], Ping().event()):
                    write_event(event, line)
                assert Pong.is_type(read_event(line).type)
                write_event(long, line)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no goodbye
        assert [name for name, _ in heard(server.talk(*word, until=None))] == ["alexa"]


@contextmanager
def watched(pid: int) -> Iterator[None]:
    """Meanwhile the process may not take much more memory than it has, not even for a moment."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("there is no /proc here")
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak of before
    before = megabytes(status, "VmRSS")
    yield
    assert megabytes(status, "VmHWM") - before < MOST_MORE_MB


def megabytes(status: Path, name: str) -> float:
    return int(re.search(rf"{name}:\s+(\d+)", status.read_text())[1]) / 1024


def send_some(client: socket.socket, data: bytes) -> int:
    """How many bytes went through a socket that does not wait."""
    try:
        return client.send(data)
    except BlockingIOError:
        time.sleep(0.005)
        return 0
