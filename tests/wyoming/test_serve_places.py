"""`kws serve` where Home Assistant and satellites look for it: a unix socket, and zeroconf; and what its log says."""

import os
import queue
import re
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.wake import Detect

import tones
from kws.metadata import ModelInfo
from kws.runtime.detector import Detector
from kws.wyoming.announce import TYPE
from kws.wyoming.catalog import Catalog
from kws.wyoming.session import ClientSession
from kws.wyoming.streams import ClientStreams
from serving import ALEXA, RATE, SERVE, Server, heard, recording, spoken
from trees import ROOT

sound = pytest.fixture(scope="module")(recording)


@pytest.fixture(scope="module")
def at_socket(tmp_path_factory):
    """A server at a unix socket that logs everything; when it ends, its socket is gone."""
    path = tmp_path_factory.mktemp("run") / "kws.sock"
    with Server("--debug", uri=f"unix://{path}") as server:
        yield server
        assert path.is_socket() and server.stop() == 0 and not path.exists()


# A unix socket


def test_a_unix_socket_hears_what_a_port_hears(at_socket, sound):
    (answer,) = at_socket.talk(Describe().event(), until=Info)
    assert Info.from_event(answer).wake[0].models
    wanted = [("alexa", round(1000 * event.end_s)) for event in Detector.load().stream().process(sound[ALEXA], True)[0]]
    assert heard(at_socket.talk(*spoken(sound[ALEXA]), until=None)) == wanted != []


def test_a_socket_where_a_server_listens_is_not_taken_and_one_that_it_left_is(at_socket, tmp_path):
    ran = subprocess.run([*SERVE, "--uri", at_socket.uri], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == f"kws: nobody can listen at {at_socket.uri}: another server does"
    assert at_socket.talk(Describe().event(), until=Info)
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    with Server(uri=f"unix://{left}") as server, socket.socket(socket.AF_UNIX) as other:
        assert server.talk(Describe().event(), until=Info)
        left.unlink()
        other.bind(str(left))  # another server has taken the place meanwhile
        assert server.stop() == 0 and left.is_socket()


def test_the_socket_is_for_those_whom_its_file_lets_write(at_socket):
    umask = os.umask(0)
    os.umask(umask)
    assert Path(at_socket.uri.removeprefix("unix://")).stat().st_mode & 0o777 == 0o777 & ~umask


# An odd chunk


@pytest.mark.parametrize(("width", "channels"), [(2, 1), (2, 2), (3, 1), (4, 2)])
def test_a_chunk_that_ends_inside_a_sample_costs_that_chunk_and_no_more(at_socket, sound, width, channels):
    """It is as much silence: everything else is heard, at its own time, and each odd chunk is named."""
    before, word = sound[19_200 : 19_200 + 1024], sound[ALEXA]
    parts = [word[:512], before, word[512:]]
    chunks = [pcm(part, width, channels) for part in parts]
    chunks[1] += bytes(range(1, width * channels))
    events = [AudioChunk(RATE, width, channels, chunk).event() for chunk in chunks]
    start, stop = AudioStart(RATE, width, channels).event(), AudioStop().event()
    error, *answers = at_socket.talk(start, *events, stop, until=None)
    assert "ends inside a sample" in Error.from_event(error).text
    silent = np.concatenate([parts[0], np.zeros(1024, np.int16), parts[2]])
    (wanted,) = Detector.load().stream().process(silent, last=True).detections
    assert heard(answers) == [(wanted.keyword, round(1000 * wanted.end_s))]


def pcm(samples: np.ndarray, width: int, channels: int) -> bytes:
    """16-bit samples in a wider layout, each channel the same."""
    wide = np.repeat(samples.astype("<i8") << 8 * (width - 2), channels)
    return wide.view(np.uint8).reshape(-1, 8)[:, :width].tobytes()


# The log


def test_debug_says_what_came_and_what_was_said(at_socket, sound):
    before = len(at_socket.lines)
    at_socket.talk(Detect(["alexa"]).event(), *spoken(sound[ALEXA]), until=None)
    at_socket.wait_for("has left", before)
    lines = [line.partition(": ")[2].partition(": ")[2].strip() for line in at_socket.lines[before:]]
    kinds = [re.sub(r" at \d+ ms.*| \{.*", "", line) for line in lines]
    assert [kind for kind in kinds if kind != "alexa"] == [
        "is here",
        "sent 'detect'",
        "sent 'audio-start'",
        "said 'detection'",
        f"sent {-(-sound[ALEXA].size // 1024)} audio-chunk",
        "sent 'audio-stop'",
        "sent 'ping'",
        "said 'pong'",
        "has left",
    ]
    at = [line for line in lines if re.fullmatch(r"alexa at \d+ ms, (score|peak) \d\.\d\d", line)]
    assert ["score" in line for line in at] == [True, False]


def test_without_debug_the_log_has_detections_and_their_peaks_alone(detector):
    log: list[str] = []
    tune = (tones.speak("  ABC   FED   ") * 32_767).astype("<i2")
    session = ClientSession(Catalog([detector]), ClientStreams([detector]), log.append)
    say(session, *spoken(tune))
    stream = detector.stream()
    stream.process(tune.astype(np.int16), last=True)
    assert sorted(log) == sorted(
        f"{event.keyword} at {round(1000 * event.end_s)} ms, {name} {value:.2f}"
        for event in stream.peaks
        for name, value in (("score", event.score), ("peak", event.peak))
    )
    assert len(log) == 4


@pytest.mark.parametrize("follows_level", [False, True])
def test_what_is_too_quiet_depends_on_the_models_of_the_wanted_keywords(detector, follows_level, monkeypatch):
    monkeypatch.setattr(ModelInfo, "follows_level", follows_level)
    log: list[str] = []
    session = ClientSession(Catalog([detector]), ClientStreams([detector]), log.append)
    tune = tones.speak("  ABC   ")
    say(session, *spoken((tune * 32_767 * 10 ** (-50 / 20) / np.abs(tune).max()).astype("<i2")))
    assert any("-50 dBFS: most words so quiet are missed" in line for line in log) != follows_level


def test_of_a_client_that_leaves_the_peak_by_then_is_said(detector):
    """As Home Assistant does: it hangs up at a detection."""
    log: list[str] = []
    session = ClientSession(Catalog([detector]), ClientStreams([detector]), log.append)
    tune = (tones.speak("  ABC") * 32_767).astype("<i2")
    say(session, *spoken(np.concatenate([tune, np.zeros(2048, np.int16)]))[:-1])
    session.leave()
    assert [re.sub(r"\d\.\d\d", "x", line.partition("ms, ")[2]) for line in log] == [
        "score x",
        "peak x or more, for no more was heard",
    ]


def say(session: ClientSession, *events: Event) -> list:
    return [answer for event in events for answer in session.answers(event) if answer is not None]


@pytest.mark.parametrize(("refractory_s", "times"), [(0.0, 3), (2.2, 2), (60.0, 1)])
def test_a_keyword_is_not_detected_again_within_the_refractory_that_is_asked_for(detector, refractory_s, times):
    tune = (tones.speak("  ABC      ABC      ABC   ") * 32_767).astype("<i2")
    session = ClientSession(Catalog([detector]), ClientStreams([detector]), refractory_s=refractory_s)
    assert [len(say(session, *spoken(tune))) for _ in range(2)] == [times] * 2  # each stream is one of its own


# Folders of models


def test_a_folder_of_models_is_heard_too_and_what_is_none_is_named(tone_model, tmp_path):
    (tmp_path / "tones.onnx").write_bytes(tone_model.read_bytes())
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "other.tflite").touch()
    (tmp_path / "notes.txt").touch()
    words = ("--custom-model-dir", str(tmp_path), "--preload-model", "fed", "--threshold", "abc=0.9")
    with Server(*words, "--debug-probability", "--trigger-level", "1") as server:
        (answer,) = server.talk(Describe().event(), until=Info)
        assert {"abc", "fed", "alexa"} <= {model.name for model in Info.from_event(answer).wake[0].models}
        tune = (tones.speak("  FED    ") * 32_767).astype("<i2")
        assert [name for name, _ in heard(server.talk(Detect(["fed"]).event(), *spoken(tune), until=None))] == ["fed"]
        assert server.stop() == 0
    log = "".join(server.lines)
    assert log.count("is left out") == 2 and "broken.onnx is left out" in log and "other.tflite is left out" in log


# Zeroconf


def test_a_browser_of_zeroconf_sees_two_servers_until_they_end():
    """On the loopback alone: the second server gets a number, and both are withdrawn."""
    zeroconf = pytest.importorskip("zeroconf")
    told: queue.Queue[tuple[str, str]] = queue.Queue()

    def note(zeroconf, service_type, name, state_change):
        told.put((state_change.name, name))

    def next_two(change: str) -> set[str]:
        names: set[str] = set()
        while len(names) < 2:
            what, name = told.get(timeout=30)
            names |= {name} if what == change and name.startswith("kws test") else set()
        return names

    with (
        zeroconf.Zeroconf(interfaces=["127.0.0.1"]) as network,
        Server("--zeroconf", "kws test") as first,
        Server("--zeroconf", "kws test") as second,
    ):
        zeroconf.ServiceBrowser(network, TYPE, handlers=[note])
        servers = {one.wait_for("network is told of it as (.*)")[1] + f".{TYPE}": one for one in (first, second)}
        assert next_two("Added") == set(servers)
        for name, server in servers.items():
            service = network.get_service_info(TYPE, name, timeout=10_000)
            assert (service.parsed_addresses(), service.port) == (["127.0.0.1"], server.port)
            server.wait_for(
                f"only this machine reaches tcp://127.0.0.1:{server.port}, .* give --uri tcp://0.0.0.0:10400"
            )
        assert first.stop() == second.stop() == 0
        assert next_two("Removed") == set(servers)


def test_zeroconf_without_its_package_is_one_sentence(tmp_path):
    (tmp_path / "zeroconf.py").write_text("raise ModuleNotFoundError(\"No module named 'zeroconf'\", name='zeroconf')")
    command = [*SERVE, "--uri", "tcp://127.0.0.1:0", "--zeroconf"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, env=environment)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "kws: zeroconf is needed here: pip install '.[zeroconf]' in the folder of kws"
