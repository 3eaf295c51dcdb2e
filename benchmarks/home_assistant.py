"""Tries `kws serve` with a real Home Assistant: the way from "Add integration" to a
wake word in Assist, over the same interfaces that its pages use.

    python3.11 -m venv ha
    ha/bin/pip install homeassistant==2024.3.3 'josepy<2'
    ha/bin/python benchmarks/home_assistant.py --kws .venv/bin/kws

Home Assistant runs without a screen, in a folder that is thrown away, and installs what
its integrations need when it first starts, so that takes minutes. `kws` is any that has
the extras `serve` and `zeroconf`. In place of a speech to text a stand-in says how many
seconds of sound came behind the wake word. The recording is played in real time. A line
of the output that begins with FAULT is one; the exit status says whether there was any.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from homeassistant.const import __version__
from wyoming.asr import Transcript
from wyoming.event import async_read_event, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Info

ROOT = Path(__file__).resolve().parent.parent
RATE, BLOCK = 16_000, 1280  # samples a second, and of one message
LATE_S = 0.75  # after the end of a word, within which its event has to come
CONFIGURATION = """
homeassistant: {{name: Home, latitude: 50, longitude: 8, elevation: 100, unit_system: metric, time_zone: UTC}}
http: {{server_host: 127.0.0.1, server_port: {port}}}
api:
auth:
config:
websocket_api:
onboarding:
zeroconf:
assist_pipeline:
"""
PIPELINE = {
    "conversation_engine": "homeassistant",
    **{f"{part}language": "en" for part in ("", "conversation_", "stt_")},
    **dict.fromkeys(("tts_engine", "tts_language", "tts_voice")),
    "stt_engine": "stt.stand_in",
    "wake_word_entity": "wake_word.kws",
}
NO_WORK = {"no_vad": True, "no_chunking": True}  # with chunks its clock of 2024.3 goes at half speed


class Home:
    """A running Home Assistant. web: has the token of its owner."""

    def __init__(self, address: str, web: aiohttp.ClientSession) -> None:
        self._address = address
        self._web = web

    async def post(self, path: str, **body: Any) -> Any:
        async with self._web.post(self._address + path, **body) as answer:
            return await answer.json()

    async def add(self, port: int) -> str:
        """Add the integration Wyoming Protocol for a port of this machine; its
        title.
        """
        flow = await self.post("/api/config/config_entries/flow", json={"handler": "wyoming"})
        place = {"host": "127.0.0.1", "port": port}
        return str((await self.post(f"/api/config/config_entries/flow/{flow['flow_id']}", json=place))["title"])

    @asynccontextmanager
    async def line(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self._web.ws_connect(f"{self._address}/api/websocket") as line:
            await line.receive_json()
            await line.send_json({"type": "auth", "access_token": self._web.headers["Authorization"].split()[1]})
            await line.receive_json()
            yield line

    async def ask(self, kind: str, **what: Any) -> Any:
        """The result of one command of the WebSocket API."""
        async with self.line() as line:
            await line.send_json({"id": 1, "type": kind, **what})
            return (await line.receive_json())["result"]

    async def hear(self, pipeline: str, sound: bytes, end: str = "wake_word", **options: Any) -> dict[str, Any]:
        """Run a pipeline on PCM, played in real time. The data of its events, and the
        second of the sound at which each came (`at`).
        """
        found: dict[str, Any] = {}
        async with self.line() as line:
            stages = {"start_stage": "wake_word", "end_stage": end, "pipeline": pipeline}
            settings = {"sample_rate": RATE, "timeout": 0, **options}
            await line.send_json({"id": 1, "type": "assist_pipeline/run", **stages, "input": settings})
            while (message := await line.receive_json())["type"] != "event":
                if not message.get("success", True):
                    raise RuntimeError(message["error"])
            began = time.monotonic()
            head = bytes([message["event"]["data"]["runner_data"]["stt_binary_handler_id"]])
            player = asyncio.create_task(play(line, head, sound))
            async with asyncio.timeout(len(sound) / RATE / 2 + 10):
                while (event := (await line.receive_json()).get("event", {})).get("type") != "run-end":
                    found[event.get("type")] = {**(event.get("data") or {}), "at": time.monotonic() - began}
            player.cancel()
        return found


async def play(line: aiohttp.ClientWebSocketResponse, head: bytes, sound: bytes) -> None:
    began = time.monotonic()
    for first in range(0, len(sound), 2 * BLOCK):
        await asyncio.sleep(began + (first / 2 + BLOCK) / RATE - time.monotonic())  # a block comes when it is over
        await line.send_bytes(head + sound[first : first + 2 * BLOCK])
    await line.send_bytes(head)


def word(found: dict[str, Any]) -> tuple[str | None, float]:
    """The wake word of a run, and the second of its end as Home Assistant has it."""
    output = found.get("wake_word-end", {}).get("wake_word_output", {})
    return output.get("wake_word_id"), output.get("timestamp", 0) / 1000


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


@asynccontextmanager
async def running(log: Path, port: int, *command: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own group, from when its port answers on."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(*command, stdout=file, stderr=file, start_new_session=True)
    try:
        while process.returncode is None:
            with suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            await asyncio.sleep(0.2)
        else:
            sys.exit(f"{command[0]} ended:\n{log.read_text()[-2000:]}")
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def home_assistant(folder: Path) -> AsyncIterator[Home]:
    """A fresh one with an owner."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
    command = (sys.executable, "-m", "homeassistant", "-c", folder)
    async with running(folder / "out.log", port, *command), aiohttp.ClientSession() as web:
        home, site = Home(address, web), f"{address}/"
        owner = {"name": "owner", "username": "owner", "password": "let me in", "client_id": site, "language": "en"}
        code = (await home.post("/api/onboarding/users", json=owner))["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": site}
        token = (await home.post("/auth/token", data=grant))["access_token"]
        web.headers["Authorization"] = f"Bearer {token}"
        yield home


async def stand_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speech to text that says how many seconds it heard."""
    nobody = Attribution(name="", url="")
    about = {"attribution": nobody, "installed": True, "description": None, "version": None}
    info = Info(asr=[AsrProgram(name="stand in", models=[AsrModel(name="none", languages=["en"], **about)], **about)])
    size = 0
    while (event := await async_read_event(reader)) is not None:
        size += len(event.payload or b"")
        if event.type == "describe":
            await async_write_event(info.event(), writer)
        if event.type == "audio-stop":
            await async_write_event(Transcript(f"{size / 2 / RATE:.2f} s").event(), writer)
    writer.close()


class Trial:
    """The checks, in the order in which they are printed."""

    def __init__(self, home: Home, kws: str, folder: Path) -> None:
        self._home, self._kws, self._log, self._port = home, kws, folder / "kws.log", free_port()
        with wave.open(str(ROOT / "demo/hear.wav")) as file:
            self._sound = file.readframes(file.getnframes())
        self._truth = json.loads((ROOT / "demo/hear.json").read_text(encoding="utf-8"))["wake_words"]
        self.faults = 0

    def say(self, is_right: bool, line: str) -> None:
        self.faults += not is_right
        print(f"{'' if is_right else 'FAULT '}{line}", flush=True)

    def served(self, *options: str) -> Any:
        uri = f"tcp://0.0.0.0:{self._port}"
        return running(self._log, self._port, self._kws, "serve", "--uri", uri, "--debug", *options)

    def cut(self, first_s: float, last_s: float | None = None) -> bytes:
        first, last = (None if second is None else 2 * round(second * RATE) for second in (first_s, last_s))
        return self._sound[first:last]

    async def all(self) -> None:
        async with self.served("--zeroconf", "kws of a trial") as server:
            await self.discovery()
            self.say(await self._home.add(self._port) == "kws", "the integration is added by its host and port")
            ears = await asyncio.start_server(stand_in, "127.0.0.1", 0)
            await self._home.add(ears.sockets[0].getsockname()[1])
            names = (await self._home.ask("wake_word/info", entity_id="wake_word.kws"))["wake_words"]
            names = [one["id"] for one in names]
            self.say({one["keyword"] for one in self._truth} == set(names), f"wake_word.kws hears {', '.join(names)}")
            ways = {name: await self.pipeline(name) for name in [None, *names]}
            await self.recording(ways[None])
            await self.at_once({name: ways[name] for name in names})
            await self.quiet(ways[None])
            broken = asyncio.create_task(self._home.hear(ways[None], self.cut(2.0, 6.0)))
            await asyncio.sleep(1)
            server.kill()
            self.say(word(await broken)[0] is None, "a server that is killed ends the run without a word")
        gone = await self._home.hear(ways[None], self.cut(0, 3))
        self.say(word(gone)[0] is None, "a run without a server ends without a word")
        async with self.served():
            back = await self._home.hear(ways["jarvis"], self.cut(5, 9))
            self.say(word(back)[0] == "jarvis", "the server that is there again is heard at once")
        ears.close()

    async def pipeline(self, name: str | None) -> str:
        made = await self._home.ask("assist_pipeline/pipeline/create", name=str(name), wake_word_id=name, **PIPELINE)
        return str(made["id"])

    async def discovery(self) -> None:
        for _ in range(50):
            flows = await self._home.ask("config_entries/flow/progress")
            found = [flow["context"]["source"] for flow in flows if flow["handler"] == "wyoming"]
            if found:
                break
            await asyncio.sleep(0.2)
        self.say(found == ["zeroconf"], f"discovered by: {', '.join(found) or 'nothing'}")

    async def recording(self, pipeline: str) -> None:
        """One run after another, each from the event of the last on."""
        begin, heard = 0.0, []
        while begin < 58:
            found = await self._home.hear(pipeline, self.cut(begin), **NO_WORK)
            name, end_s = word(found)
            if name is None:
                break
            heard.append((name, begin + end_s, begin + found["wake_word-end"]["at"]))
            begin += found["wake_word-end"]["at"]
        late, rest = [], list(heard)
        for one in self._truth:
            fitting = [h for h in rest if h[0] == one["keyword"] and -0.1 <= h[1] - one["end_s"] <= LATE_S]
            rest = [h for h in rest if h not in fitting[:1]]
            late += [at - one["end_s"] for _, _, at in fitting[:1]]
        others = ", ".join(f"{name} at {end_s:.2f} s" for name, end_s, _ in rest)
        median = f"{1000 * statistics.median(late):.0f} ms" if late else "never"
        self.say(
            len(late) == len(self._truth),
            f"{len(late)} of {len(self._truth)} words in {len(heard)} runs, others: {others or 'none'}; "
            f"an event comes {median} after the word's end (median)",
        )

    async def at_once(self, ways: dict[str, str]) -> None:
        """A pipeline for each word at the same time, each on to speech to text."""
        sound = self.cut(0, 35)
        runs = await asyncio.gather(*(self._home.hear(way, sound, "stt", **NO_WORK) for way in ways.values()))
        heard = [word(found)[0] for found in runs]
        said = [found.get("stt-end", {}).get("stt_output", {}).get("text") for found in runs]
        self.say(heard == list(ways), f"{len(ways)} pipelines at once, each for its word: {', '.join(map(str, heard))}")
        self.say(None not in said, f"sound that came to the speech to text behind them: {', '.join(map(str, said))}")

    async def quiet(self, pipeline: str) -> None:
        code = (await self._home.hear(pipeline, bytes(2 * 8 * RATE), timeout=3)).get("error", {}).get("code")
        self.say(code == "wake-word-timeout", f"three seconds of silence: {code}")
        ended = await self._home.hear(pipeline, self.cut(2.0, 4.0))
        self.say("wake_word-end" in ended and word(ended)[0] is None, "sound that ends without a word ends the run")


async def tried(kws: str) -> int:
    print(f"Home Assistant {__version__}, Python {sys.version.split()[0]}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        async with home_assistant(Path(name)) as home:
            trial = Trial(home, kws, Path(name))
            await trial.all()
        lines = (Path(name) / "kws.log").read_text().splitlines()
        bad = [line for line in lines if "Traceback" in line or "fault of kws" in line]
        trial.say(not bad, f"the log of kws has {len(lines)} lines and {len(bad)} faults")
    return trial.faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kws", default="kws", help="the command of the kws that is tried (%(default)s)")
    sys.exit(min(asyncio.run(tried(parser.parse_args().kws)), 1))


if __name__ == "__main__":
    main()
