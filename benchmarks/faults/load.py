"""Load: laws over many cases, streams that never end, threads, processes, streams that
come and go, rude clients.
"""

import asyncio
import json
import multiprocessing
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from row import Row, Setting, sheltered, timed

from kws import audio
from kws.runtime.detector import Detector
from kws.runtime.stream import Stream

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "demo/hear.wav"
RATE = 16_000
CLIP = 8_000  # samples of a case


def laws(setting: Setting) -> Iterator[Row]:
    """Three laws of streams, each over so many pieces of the recording."""
    detector, sound = Detector.load(setting.model), audio.read(RECORDING)
    for name, law in (("however it is cut", _cut), ("among others", _among), ("after a reset", _reset)):

        def case(number: int, law: Callable[..., bool] = law) -> str:
            rng = np.random.default_rng([4, number])
            starts = rng.integers(0, sound.size - CLIP, 3)
            if not law(detector, [sound[start : start + CLIP] for start in starts], rng):
                raise AssertionError("other scores")
            return "equal"

        with timed(Row(f"a law: a stream scores the same {name}")) as row:
            sheltered(row, setting.cases, case)
        yield row


def _scores(stream: Stream, clip: NDArray[np.float32]) -> NDArray[np.float64]:
    return stream.process(clip).scores


def _cut(detector: Detector, clips: list[NDArray[np.float32]], rng: np.random.Generator) -> bool:
    cuts = np.sort(rng.integers(0, CLIP, int(rng.integers(1, 8))))
    stream = detector.stream()
    parts = [_scores(stream, piece) for piece in np.split(clips[0], cuts)]
    return np.array_equal(np.concatenate(parts), _scores(detector.stream(), clips[0]))


def _among(detector: Detector, clips: list[NDArray[np.float32]], rng: np.random.Generator) -> bool:
    low = detector.with_threshold(float(rng.uniform(1e-3, 0.5)))
    streams = low.streams()
    handles = [streams.join() for _ in clips]
    for handle, clip in zip(handles, clips, strict=True):
        handle.push(clip)
    events = streams.run()
    together = [[event for owner, event in events if owner is handle] for handle in handles]
    return together == [low.stream().push(clip) for clip in clips]


def _reset(detector: Detector, clips: list[NDArray[np.float32]], rng: np.random.Generator) -> bool:
    stream = detector.stream()
    stream.push(clips[1][: int(rng.integers(CLIP))])
    stream.reset()
    return np.array_equal(_scores(stream, clips[0]), _scores(detector.stream(), clips[0]))


def endless(setting: Setting) -> Iterator[Row]:
    """One stream that hears the recording again and again: the same events each time,
    in the same memory.
    """
    sound = audio.read(RECORDING)
    sound = sound[: sound.size // 1280 * 1280]
    stream = Detector.load(setting.model).stream()
    first: list[tuple[str, float, int]] = []
    with timed(Row("a stream without an end, by times that the recording was heard")) as row:
        rounds = round(setting.count * 3600 * RATE / sound.size)
        memory = [0, 0]
        for number in range(rounds):
            begin = number * sound.size
            events = [(e.keyword, e.score, e.start - begin) for e in stream.push(sound)]
            if number == 1:  # the first has silence before it
                first, memory[0] = events, _resident_kb()
            elif number > 1:
                row.check(events == first, f"round {number} heard {events}")
        memory[1] = _resident_kb()
        row.check(memory[1] - memory[0] < 2_000, f"memory grew from {memory[0]} to {memory[1]} kB")
        row.note = f"{setting.count:g} h in one stream, memory {memory[0]} to {memory[1]} kB"
    yield row


def _resident_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def crowd(setting: Setting) -> Iterator[Row]:
    """Eight threads, forked and spawned processes, and streams that join and leave,
    with one detector.
    """
    detector, sound = Detector.load(setting.model), audio.read(RECORDING)
    sound = sound[: RATE * min(12 + setting.cases // 10, 59)]  # three words at least
    wanted = _heard(detector, sound)
    with timed(Row("eight threads with one detector")) as threads:
        found: list[list[tuple[str, int]]] = []
        workers = [threading.Thread(target=lambda: found.append(_heard(detector, sound))) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for events in found:
            threads.check(events == wanted, "other events")
        threads.check(len(found) == 8, "a thread has ended")
    yield threads
    with timed(Row("forked and spawned processes")) as processes:
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                for events in pool.map(_heard_of, [(str(setting.model), sound.size)] * 4):
                    processes.check(events == wanted, f"other events after a {method}")
    yield processes
    yield _come_and_go(setting.cases, detector, sound)


def _heard(detector: Detector, sound: NDArray[np.float32]) -> list[tuple[str, int]]:
    return [(event.keyword, event.end) for event in detector.stream().push(sound)]


def _heard_of(work: tuple[str, int]) -> list[tuple[str, int]]:
    """The events of a model in a part of the recording."""
    model, size = work
    return _heard(Detector.load(model), audio.read(RECORDING)[:size])


def _come_and_go(count: int, detector: Detector, sound: NDArray[np.float32]) -> Row:
    """At most 50 at once; each hears its own piece, whoever had its place before."""
    low, rng = detector.with_threshold(1e-3), np.random.default_rng(5)
    streams = low.streams()
    with timed(Row("streams that join and leave")) as row:
        here = []
        for _ in range(count):
            start = int(rng.integers(0, sound.size - CLIP))
            here.append((streams.join(), sound[start : start + CLIP]))
            if len(here) == 50 or rng.random() < 0.02:
                _finish(row, low, streams, here, rng)
                here = []
        _finish(row, low, streams, here, rng)
    return row


def _finish(row: Row, detector: Detector, streams: object, here: list, rng: np.random.Generator) -> None:
    found = {id(handle): [] for handle, _ in here}
    quit_early = {id(handle) for handle, _ in here if rng.random() < 0.2}
    for half in (slice(0, CLIP // 2), slice(CLIP // 2, CLIP)):
        for handle, clip in here:
            if id(handle) not in quit_early:
                handle.push(clip[half])
        for handle, event in streams.run():
            found[id(handle)].append(event)
        for handle, _ in here:
            if id(handle) in quit_early:
                handle.leave()
    for handle, clip in here:
        left = id(handle) in quit_early
        row.check(found[id(handle)] == ([] if left else detector.stream().push(clip)), "other events")
        handle.leave()


def clients(setting: Setting) -> Iterator[Row]:
    """Clients of `kws serve`, of which every other misbehaves: the others hear what
    they would alone.
    """
    command = [sys.executable, "-m", "kws", "serve", "--uri", "tcp://127.0.0.1:0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert server.stderr is not None
    try:
        port = int(next(line for line in server.stderr if "listening at" in line).rsplit(":", 1)[1])
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(server.stderr or ()), daemon=True)
        reader.start()
        with timed(Row("clients of the server, every other of them rude")) as row:
            asyncio.run(_visit(row, port, setting.cases))
            row.check(server.poll() is None, "the server has ended")
    finally:
        server.terminate()
        code = server.wait(20)
        reader.join(5)
    row.check(code == 0, f"the server ended with {code}")
    row.check(not any("Traceback" in line or "fault of kws" in line for line in lines), "the server logged a fault")
    row.note = f"{setting.cases // 2} rude, {setting.cases // 2} asked, and the server itself"
    yield row


async def _visit(row: Row, port: int, count: int) -> None:
    sound = (audio.read(RECORDING)[: int(1.5 * RATE)] * 32767).astype("<i2").tobytes()  # "alexa"
    visits = [_polite(row, port, sound) if number % 2 else _rude(port, number // 2, sound) for number in range(count)]
    await asyncio.gather(*visits)


def _event(kind: str, data: dict[str, object], payload: bytes = b"") -> bytes:
    text = json.dumps(data).encode()
    head = {"type": kind, "version": "1", "data_length": len(text), "payload_length": len(payload)}
    return json.dumps(head).encode() + b"\n" + text + payload


PCM = {"rate": RATE, "width": 2, "channels": 1}


async def _polite(row: Row, port: int, sound: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_event("audio-start", PCM))
    for at in range(0, len(sound), 2048):
        writer.write(_event("audio-chunk", PCM, sound[at : at + 2048]))
        await writer.drain()
        await asyncio.sleep(0.01)
    writer.write(_event("audio-stop", {}))
    try:
        line = await asyncio.wait_for(reader.readline(), 60)
        said = await reader.readexactly(json.loads(line)["data_length"])
        row.check(json.loads(line)["type"] == "detection" and b"alexa" in said, f"heard {line!r}")
    except (OSError, ValueError, KeyError, TimeoutError, asyncio.IncompleteReadError) as error:
        row.check(False, f"no answer: {error!r}")
    writer.close()


async def _rude(port: int, number: int, sound: bytes) -> None:
    """One way of many to misbehave; what is answered is not asked."""
    rng = np.random.default_rng([6, number])
    ways = (
        rng.bytes(5_000),
        b"{" * 100_000,
        b'{"type": "audio-chunk", "data_length": 1000000000000}\n',
        b'{"type": "audio-chunk", "payload_length": -5}\n',
        _event("audio-chunk", PCM | {"rate": 10**9}, sound),
        _event("audio-chunk", PCM | {"channels": 3}, sound[:1001]),
        _event("audio-chunk", PCM, sound)[:-100],
        _event("audio-chunk", PCM, sound) * 20,
        _event("detect", {"names": [{}]}) * 500,
        _event("ping", {"text": "\ud800"}) * 2_000,  # and its answers are not read
    )
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(ways[number % len(ways)])
        await asyncio.wait_for(writer.drain(), 5)
        await asyncio.sleep(float(rng.uniform(0, 3)))
    except (OSError, TimeoutError):
        pass
    if number % 3 == 0:  # hang up at once, which the server hears of as a reset
        line = writer.get_extra_info("socket")
        line.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER
    writer.transport.abort()
