"""`kws serve` from outside: what clients of the wyoming library hear over TCP and over standard input and output."""

import asyncio
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStop, wav_to_chunks
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, read_event, write_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, NotDetected

from kws.cli import verb_parser
from kws.runtime.detector import Detector
from serving import RATE, SERVE, Server, heard, spoken, talk
from trees import ROOT

RECORDING = ROOT / "demo/hear.wav"
ALEXA = slice(0, int(1.2 * RATE))  # of the recording: one word
MOST_WAITING_BYTES = 2**26  # of a flood, in the buffers of the system
QUIET = slice(int(2.0 * RATE), int(3.0 * RATE))  # none


@pytest.fixture(scope="module")
def server():
    """One server for all clients of this file, which are many and partly mad: it ends as if nothing had been."""
    server = Server()
    yield server
    assert server.process.poll() is None
    assert server.stop() == 0


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """The recording, (S,) int16 at 16 kHz."""
    with wave.open(str(RECORDING)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def expected(detector: Detector, samples: np.ndarray, timestamp: int = 0) -> list[tuple[str, int]]:
    """What the same samples give in this process."""
    events = detector.stream().process(samples, last=True).detections
    return [(event.keyword, timestamp + round(1000 * event.end_s)) for event in events]


@pytest.fixture(scope="module")
def shipped() -> Detector:
    return Detector.load()


def write_wav(path: Path, samples: np.ndarray, rate: int, width: int, channels: int) -> Path:
    """The sound (S,) int16 at 16 kHz as a PCM file of another rate, width and number of channels."""
    soxr = pytest.importorskip("soxr")
    loud = soxr.resample(samples.astype(np.float64) / 2**15, RATE, rate)
    scaled = np.round(np.clip(loud, -1, 1 - 2**-15) * 2 ** (8 * width - 1)).astype(np.int64)
    scaled += 2**7 if width == 1 else 0
    both = np.repeat(scaled[:, None], channels, axis=1)
    data = both.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)
    return path


FORMATS = [
    (8_000, 2, 1),
    (16_000, 1, 1),
    (16_000, 2, 2),
    (16_000, 4, 1),
    (22_050, 2, 1),
    (44_100, 3, 2),
    (48_000, 2, 6),
]


def test_every_format_is_heard_as_in_a_file(server, sound, tmp_path):
    part = sound[int(27.5 * RATE) : int(32.5 * RATE)]
    paths = [write_wav(tmp_path / f"{i}.wav", part, *layout) for i, layout in enumerate(FORMATS)]
    command = [sys.executable, "-m", "kws", "detect", "--json", *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    in_files = [json.loads(line) for line in lines]
    for path, layout in zip(paths, FORMATS, strict=True):
        with wave.open(str(path)) as file:
            events = [event.event() for event in wav_to_chunks(file, 1000, start_event=True, stop_event=True)]
        # Without the timestamps of the chunks, which the library rounds down one after the other.
        for event in events:
            event.data["timestamp"] = None
        answers = asyncio.run(talk(server.port, tuple(events), None))
        wanted = [(event["keyword"], round(1000 * event["end_s"])) for event in in_files if event["file"] == str(path)]
        assert heard(answers) == wanted, layout
        assert len(wanted) >= 1, layout


def test_stdio_is_the_same(sound, shipped):
    part = sound[: 9 * RATE]
    with subprocess.Popen(
        [*SERVE, "--uri", "stdio://"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        for event in (*spoken(part), Ping("done").event()):
            write_event(event, process.stdin)
        answers = []
        while not (answers and Pong.is_type(answers[-1].type)):
            answers.append(read_event(process.stdout))
            assert answers[-1] is not None
        assert heard(answers) == expected(shipped, part)
        assert len(heard(answers)) >= 2
        process.stdin.close()
        assert process.wait(10) == 0
        assert process.stdout.read() == b""
        assert b"Traceback" not in process.stderr.read()


def test_it_describes_its_keywords(server, shipped):
    (answer,) = server.talk(Describe().event(), until=Info)
    (program,) = Info.from_event(answer).wake
    assert program.installed and program.version
    assert [model.name for model in program.models] == [keyword.name for keyword in shipped.keywords]
    for model in program.models:
        assert model.installed and model.languages == ["en"] and model.phrase == model.name
        assert all(source.attribution in model.attribution.name for source in shipped.manifest.training.data)


def test_fifty_clients_at_once_each_hear_their_own(server, sound, shipped):
    """Each begins elsewhere in the recording, and all speak at the same time."""
    parts = [sound[(at := 16_000 * number + 37 * number) : at + 3 * RATE] for number in range(50)]
    wanted = [expected(shipped, part) for part in parts]

    async def everybody() -> list[list[Event]]:
        return await asyncio.gather(*(talk(server.port, tuple(spoken(part)), None) for part in parts))

    assert [heard(answers) for answers in asyncio.run(everybody())] == wanted
    assert len({str(events) for events in wanted}) > 10


def test_only_the_keywords_that_are_asked_for(server, sound):
    words = spoken(sound[: 9 * RATE])
    assert [name for name, _ in heard(server.talk(Detect().event(), *words, until=None))] == ["alexa", "jarvis"]
    assert [name for name, _ in heard(server.talk(Detect(["JARVIS"]).event(), *words, until=None))] == ["jarvis"]
    assert heard(server.talk(Detect(["smart_mirror"]).event(), *words)) == []


def test_an_unknown_keyword_is_refused_by_name(server, sound):
    error, *others = server.talk(Detect(["hey zorgo", "alexa"]).event(), *spoken(sound[ALEXA]), until=None)
    assert "'hey zorgo'" in Error.from_event(error).text and "smart mirror" in Error.from_event(error).text
    assert [name for name, _ in heard(others)] == ["alexa"]
    error, last = server.talk(Detect(["hey zorgo"]).event(), *spoken(sound[ALEXA]))
    assert Error.is_type(error.type) and NotDetected.is_type(last.type)


def test_not_detected_is_said_of_each_stream_alone(server, sound, shipped):
    first, quiet = spoken(sound[ALEXA]), spoken(sound[QUIET])
    answers = server.talk(*first, *quiet, *first, *quiet, until=None)
    once = expected(shipped, sound[ALEXA])
    assert heard(answers) == once * 2
    kinds = [event.type for event in answers]
    assert kinds == ["detection", "not-detected", "detection", "not-detected", "pong"]


def test_times_are_those_of_the_clients_chunks(server, sound, shipped):
    answers = server.talk(*spoken(sound[ALEXA], timestamp=3_600_000), until=None)
    assert heard(answers) == expected(shipped, sound[ALEXA], 3_600_000)


def test_sound_in_one_chunk_is_heard_as_in_many(server, sound, shipped):
    part = sound[: 20 * RATE]
    whole = AudioChunk(RATE, 2, 1, part.tobytes()).event()
    assert heard(server.talk(whole, AudioStop().event(), until=None)) == expected(shipped, part)


def chunk(
    rate: object = RATE, width: object = 2, channels: object = 1, payload: bytes = bytes(64), **more: object
) -> Event:
    return Event("audio-chunk", {"rate": rate, "width": width, "channels": channels, **more}, payload)


UNHEARABLE = {
    "a rate too low": (chunk(rate=4000), "8000 Hz or more"),
    "a rate beyond reason": (chunk(rate=10**20), "768000 Hz or less"),
    "a rate that is no number": (chunk(rate="fast"), "rate of fast"),
    "no rate": (Event("audio-chunk", {"width": 2, "channels": 1}, bytes(4)), "lacks 'rate'"),
    "a strange width": (chunk(width=5), "5 bytes"),
    "no channels": (chunk(channels=0), "0 channels"),
    "half a sample": (chunk(channels=2, payload=bytes(6)), "ends inside a sample"),
    "a time of day": (chunk(timestamp="noon"), "milliseconds"),
    "another rate": (chunk(rate=48_000), "changed from 16000 to 48000"),
    "a start that cannot be": (Event("audio-start", {"rate": 1, "width": 2, "channels": 1}), "8000 Hz or more"),
    "names that are none": (Event("detect", {"names": "alexa"}), "list of strings"),
    "names of numbers": (Event("detect", {"names": [1, None]}), "list of strings"),
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
    "a deep well": (b"[" * 60_000 + b"\n", "not an event"),
}


@pytest.mark.parametrize(("data", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_event_ends_that_client_alone(server, sound, data, reason):
    before = len(server.lines)
    with server.connect() as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass  # it hung up on what it did not read
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


def test_a_flood_waits_in_the_client_that_sends_it(server, sound):
    """One asks and never reads the answers, one sends sound faster than it can be heard: neither fills the server."""
    question = b'{"type": "describe"}\n' * 3000
    noise = b"".join([b'{"type": "audio-chunk", "data": {"rate": 768000, "width": 4, "channels": 1}, ',
                      b'"payload_length": 1048576}\n', bytes(2**20)])  # fmt: skip
    for flood in (question, noise):
        with server.connect() as client:
            client.setblocking(False)
            sent, deadline = 0, time.monotonic() + 0.5
            while time.monotonic() < deadline:
                sent += send_some(client, flood[sent % len(flood) :])
            assert sent < MOST_WAITING_BYTES
            assert [name for name, _ in heard(server.talk(*spoken(sound[ALEXA]), until=None))] == ["alexa"]
    assert resident_mb(server.process.pid) < 250


def send_some(client: socket.socket, data: bytes) -> int:
    """How many bytes went through a socket that does not wait."""
    try:
        return client.send(data)
    except BlockingIOError:
        time.sleep(0.005)
        return 0


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("there is no /proc here")
    return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) / 1024


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_every_connection(number, code, sound):
    server = Server(
        "--keyword", "good morning=G UH D M AO R N IH NG", "--threshold", "alexa=1", "--threshold", "alexa=0.3"
    )

    async def cut_off() -> None:
        async with AsyncTcpClient("127.0.0.1", server.port) as busy, AsyncTcpClient("127.0.0.1", server.port) as idle:
            await idle.write_event(Describe().event())
            info = Info.from_event(await idle.read_event())
            assert "good morning" in [model.name for model in info.wake[0].models]
            await busy.write_event(chunk())
            assert server.stop(number) == code
            assert await asyncio.wait_for(idle.read_event(), 10) is None

    asyncio.run(cut_off())
    with socket.socket() as line:
        assert line.connect_ex(("127.0.0.1", server.port)) != 0


MISTAKES = {
    "no port": (["--uri", "tcp://127.0.0.1"], "no place to listen at"),
    "another protocol": (["--uri", "http://127.0.0.1:1"], "no place to listen at"),
    "a port that is no number": (["--uri", "tcp://127.0.0.1:port"], "no place to listen at"),
    "no such keyword": (["--threshold", "zorgo=0.5"], "'zorgo'"),
    "one model twice": (["wake-words", "wake-words"], "'alexa'"),
    "a model without keywords": (["phones"], "--keyword"),
    "files": (["--uri", "stdio://"], "pipes"),
}


@pytest.mark.parametrize(("words", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence(words, reason):
    with RECORDING.open("rb") as file:
        ran = subprocess.run([*SERVE, *words], stdin=file, capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert ran.returncode == 1
    assert reason in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


def test_a_port_that_is_taken_is_named(server):
    uri = f"tcp://127.0.0.1:{server.port}"
    ran = subprocess.run([*SERVE, "--uri", uri], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert ran.returncode == 1
    assert uri in ran.stderr.splitlines()[-1] and "Traceback" not in ran.stderr


def test_the_container_and_the_unit_give_a_command_that_exists():
    image = (ROOT / "demo/service/Dockerfile").read_text()
    unit = (ROOT / "demo/service/kws.service").read_text()
    commands = [json.loads(re.search(r"^ENTRYPOINT (.*)$", image, re.M)[1])]
    commands.append(shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M)[1]))
    for program, verb, *words in commands:
        assert Path(program).name == "kws" and verb == "serve"
        assert verb_parser(verb).parse_intermixed_args(words).uri == "tcp://0.0.0.0:10400"
    assert "EXPOSE 10400" in image
