"""Every file in examples/ does what its first lines say."""

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
import time
import wave
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import command
import kws
from kws import audio
from kws.demo.microphone import Block
from kws.evaluate.replay.systems import SystemSpec, open_system
from trees import ROOT
from vmic import virtual_microphone

EXAMPLES = ROOT / "examples"
HEAR = ROOT / "demo" / "hear.wav"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def shipped() -> kws.Detector:
    return kws.Detector.load("wake-words")


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Path:
    """A second of silence, in which a microphone is opened, and the first word of the demo's recording."""
    path = tmp_path_factory.mktemp("sound") / "short.wav"
    samples = np.concatenate([np.zeros(16_000, np.float32), audio.read(HEAR)[:32_000]])
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def said(short, shipped) -> list[str]:
    stream = shipped.stream()
    events = [*stream.push(audio.read(short)), *stream.flush()]
    assert events
    return [event.keyword for event in events]


def test_every_example_is_tested():
    tests = [name for name in globals() if name.startswith("test_")]
    stems = [path.stem for path in EXAMPLES.glob("*.py")]
    assert [stem for stem in stems if not any(name.startswith(f"test_{stem}_") for name in tests)] == []


def test_file_prints_the_events_of_a_file(short, said):
    ran = run("file", str(short))
    assert ran.returncode == 0, ran.stderr
    assert [line.split(": ")[1].split(" at ")[0] for line in ran.stdout.splitlines()] == said


def test_file_says_in_one_sentence_what_cannot_be_read(tmp_path):
    ran = run("file", str(tmp_path / "no.wav"))
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1 and "no.wav" in ran.stderr


def test_microphone_calls_on_event_until_it_is_stopped(short, said, monkeypatch, capsys):
    module, stop = example("microphone"), threading.Event()

    def blocks(_wait_s):
        samples = audio.read(short)
        for start in range(0, samples.size, 4_000):
            yield Block(samples[start : start + 4_000], 16_000, time.monotonic(), 0)
        stop.set()
        yield None

    device = SimpleNamespace(blocks=blocks)
    monkeypatch.setattr(module, "Microphone", lambda tell: device)
    assert module.main(stop) == 0
    assert [line.split(" ", 1)[1].split(",")[0] for line in capsys.readouterr().out.splitlines()] == said


def test_microphone_hears_a_virtual_microphone(short, said, tmp_path):
    with virtual_microphone(tmp_path, 16_000) as device:
        command = [sys.executable, "-u", str(EXAMPLES / "microphone.py")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=ROOT, env=device.environment, **pipes)
        try:
            assert process.stderr.readline().startswith("listening to ")
            device.play(short)
            time.sleep(1)
        finally:
            process.terminate()
        out, _ = process.communicate(timeout=20)
    assert len(out.splitlines()) == len(said) and said[0] in out


def test_many_streams_hears_in_each_room_what_it_hears_in_one(short, said, shipped):
    heard = example("many_streams").hear_rooms(short, ["kitchen", "hall"], shipped)
    for room in ("kitchen", "hall"):
        assert [event.keyword for name, event in heard if name == room] == said


def test_my_engine_is_a_system_that_can_be_scored():
    system = open_system(SystemSpec(f"{EXAMPLES / 'my_engine.py'}:Loudness", ("clap",)))
    loud = np.where(np.arange(16_000) < 8_000, 0.0, 0.9).astype(np.float32)
    scores = system.stream().process(loud, True).scores
    assert system.keywords == ("clap",)
    assert scores[0, 0] == 0 and scores[-2, 0] >= system.thresholds[0]


def test_my_mixer_keeps_the_streaming_law():
    torch = pytest.importorskip("torch")
    from kws.model.contract import verify
    from kws.model.mixers import MixerConfig, Switches

    torch.manual_seed(0)
    mixer = example("my_mixer").MovingAverage(MixerConfig(width=8, heads=2, window_frames=4), Switches())
    verify(mixer, torch.randn(2, 24, 8))


def test_my_mixer_is_trained_exported_and_heard(tmp_path):
    pytest.importorskip("onnxscript")
    mixer = f"model.mixer={EXAMPLES / 'my_mixer.py'}:MovingAverage"
    small = ["steps=2", "steps_per_epoch=2", "warmup_steps=1"]
    ran = command.kws("train", "tiny", mixer, *small, f"data={tmp_path / 'data'}", f"output={tmp_path / 'out'}")
    assert ran.returncode == 0, ran.stderr
    detector = kws.Detector.load(tmp_path / "out" / "model.onnx")
    assert detector.stream().push(np.zeros(16_000, np.float32)) == []


def test_asyncio_service_tells_each_client_of_its_own_events(short, said, shipped):
    service = example("asyncio_service").Service(shipped)
    with wave.open(str(short), "rb") as file:
        data = file.readframes(file.getnframes())

    async def client(port: int, sound: bytes) -> list[str]:
        reader, writer = await asyncio.open_connection("localhost", port)
        for start in range(0, len(sound), 3_333):  # odd: samples come in halves
            writer.write(sound[start : start + 3_333])
            await writer.drain()
        writer.write_eof()
        lines = (await asyncio.wait_for(reader.read(), 60)).splitlines()
        writer.close()
        return [json.loads(line)["keyword"] for line in lines]

    async def talk() -> list[list[str]]:
        server = asyncio.create_task(service.run(free_port))
        await asyncio.sleep(0.2)
        try:
            return await asyncio.gather(*(client(free_port, sound) for sound in (data, data, bytes(64_000))))
        finally:
            server.cancel()
            with suppress(asyncio.CancelledError):
                await server

    import socket

    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        free_port = probe.getsockname()[1]
    assert asyncio.run(talk()) == [said, said, []]
    assert not service.writers
