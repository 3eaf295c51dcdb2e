"""`kws serve` from outside: what clients of the wyoming library hear over TCP and over standard input and output."""

import asyncio
import json
import shlex
import signal
import socket
import subprocess
import sys
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

from kws.runtime.detector import Detector
from kws.runtime.session import OnnxModel
from kws.wyoming.catalog import Catalog
from kws.wyoming.session import ClientSession
from kws.wyoming.streams import ClientStreams
from serving import ALEXA, RATE, RECORDING, SERVE, Server, chunk, heard, lasting, recording, spoken, talk
from trees import ROOT

QUIET = slice(int(2.0 * RATE), int(3.0 * RATE))  # of the recording: no word

server = pytest.fixture(scope="module")(lasting)
sound = pytest.fixture(scope="module")(recording)


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
        answers = asyncio.run(talk(server.uri, tuple(events), None))
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


def test_stdio_says_everything_before_it_ends():
    """More than a pipe holds is answered before anybody reads it, and the input is at its end."""
    command = [*SERVE, "--uri", "stdio://"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        for _ in range(1000):
            write_event(Ping("?" * 40).event(), process.stdin)
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        answers = [read_event(process.stdout) for _ in range(1000)]
        assert all(Pong.from_event(answer).text == "?" * 40 for answer in answers)
        assert process.stdout.read() == b"" and process.wait(10) == 0


@pytest.mark.parametrize("redirection", [f"< {shlex.quote(str(RECORDING))}", "< /dev/null", "<&-", ">&-"])
def test_stdio_without_anybody_at_the_other_end_is_refused(redirection):
    command = f"{shlex.join(SERVE)} --uri stdio:// {redirection}"
    ran = subprocess.run(command, shell=True, stdin=subprocess.PIPE, capture_output=True, cwd=ROOT, timeout=30)
    assert ran.returncode == 1 and ran.stdout == b""
    assert b"needs pipes" in ran.stderr.splitlines()[-1] and b"Traceback" not in ran.stderr


def test_it_describes_its_keywords(server, shipped):
    (answer,) = server.talk(Describe().event(), until=Info)
    (program,) = Info.from_event(answer).wake
    assert program.installed and program.version
    assert [model.name for model in program.models] == [keyword.name for keyword in shipped.keywords]
    for model in program.models:
        assert model.installed and model.languages == ["en"] and model.phrase == model.name
        assert all(source.attribution in model.attribution.name for source in shipped.info.training.data)


def test_fifty_clients_at_once_each_hear_their_own(server, sound, shipped):
    """Each begins elsewhere in the recording, and all speak at the same time."""
    parts = [sound[(at := 16_000 * number + 37 * number) : at + 3 * RATE] for number in range(50)]
    wanted = [expected(shipped, part) for part in parts]

    async def everybody() -> list[list[Event]]:
        return await asyncio.gather(*(talk(server.uri, tuple(spoken(part)), None) for part in parts))

    assert [heard(answers) for answers in asyncio.run(everybody())] == wanted
    assert len({str(events) for events in wanted}) > 10


def test_those_who_speak_at_once_are_heard_at_once(shipped, sound, monkeypatch):
    """One run of the model for all whose sound waits, but for who has left meanwhile."""
    rows, run = [], OnnxModel.run
    monkeypatch.setattr(OnnxModel, "run", lambda model, pcm, states: rows.append(len(pcm)) or run(model, pcm, states))
    catalog = Catalog([shipped])
    streams = ClientStreams(catalog.detectors)
    sessions = [ClientSession(catalog, streams) for _ in range(8)]
    talks = [session.answers(chunk(payload=sound[:1280].tobytes())) for session in sessions]
    assert [next(talk) for talk in talks] == [None] * 8
    sessions[3].leave()
    assert [list(talk) for talk in (*talks[:3], *talks[4:])] == [[]] * 7
    assert rows == [7]


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
    "a threshold that is no number": (["--threshold", "alexa=high"], "'high' is not a number in (0, 1]"),
    "a socket without a path": (["--uri", "unix://kws.sock"], "unix:///run/kws.sock"),
    "a socket in no folder": (["--uri", "unix:///no/such/folder/kws.sock"], "No such file"),
    "a socket where a file is": (["--uri", f"unix://{RECORDING}"], "no socket"),
    "zeroconf of a socket": (["--uri", "unix:///run/kws.sock", "--zeroconf"], "--uri tcp://HOST:PORT"),
    "a model for a name": (["--zeroconf", "wake-words"], "before --zeroconf"),
    "a name that is too long": (["--uri", "tcp://127.0.0.1:0", "--zeroconf", "x" * 80], "cannot be announced"),
    "several activations": (["--trigger-level", "2"], "a higher --threshold"),
    "a refractory that is none": (["--refractory-seconds", "-1"], "not a number from 0 up"),
    "a word that is not heard": (["--preload-model", "ok_nabu"], "'ok_nabu'"),
    "no folder": (["--custom-model-dir", "/no/such/folder"], "no such folder"),
    "a folder for sound": (["--output-dir", "x"], "keeps no sound"),
    "an option for a model": (["--model", "phones"], "kws serve MODEL"),
    "other models": (["--models-dir", "x"], "--custom-model-dir"),
    "another log": (["--log-format", "%(message)s"], "one form"),
}


@pytest.mark.parametrize(("words", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence(words, reason):
    ran = subprocess.run([*SERVE, *words], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert ran.returncode in (1, 2)
    assert reason in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


def test_a_port_that_is_taken_is_named(server):
    uri = f"tcp://127.0.0.1:{server.port}"
    ran = subprocess.run([*SERVE, "--uri", uri], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert ran.returncode == 1
    assert uri in ran.stderr.splitlines()[-1] and "Traceback" not in ran.stderr
