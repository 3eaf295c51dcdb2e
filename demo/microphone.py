"""`kws listen`: keywords from a microphone, live. Nothing is written and nothing leaves the machine."""

import argparse
import json
import queue
import sys
from datetime import datetime
from typing import Any

import numpy as np

from kws.errors import KwsError, require
from kws.runtime.detector import Detector
from kws.runtime.session import DEFAULT_MODEL

_BLOCK_MS = 40
_WAITING_BLOCKS = 250  # ten seconds: more means that this machine cannot keep up


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of `kws listen`."""
    parser.description = "Hear keywords from a microphone, live, until Ctrl-C. Sound is neither kept nor sent."
    parser.epilog = "examples:\n  kws listen\n  kws listen my-model.onnx --device 3\n  kws listen --list-devices"
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, help=f"an .onnx file or a model's name ({DEFAULT_MODEL})"
    )
    parser.add_argument("--device", help="number or part of the name of the microphone (default: the system's)")
    parser.add_argument("--list-devices", action="store_true", help="show the microphones and stop")
    parser.add_argument("--json", action="store_true", help="print each event as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Listens until it is interrupted."""
    sounddevice = require("sounddevice", extra="mic")
    if args.list_devices:
        print(sounddevice.query_devices())
        return 0
    detector = Detector.load(args.model)
    device = int(args.device) if args.device and args.device.isdigit() else args.device
    try:
        found = sounddevice.query_devices(device, kind="input")
        listen(sounddevice, detector, device, int(found["default_samplerate"]), found["name"], args.json)
    except (ValueError, sounddevice.PortAudioError) as error:
        raise KwsError(f"no microphone can be opened ({error}): see kws listen --list-devices") from error
    return 0


def listen(sounddevice: Any, detector: Detector, device: Any, rate: int, name: str, as_json: bool) -> None:
    """Feeds blocks of the device's own rate to a stream and prints its events."""
    waiting: queue.Queue[tuple[Any, bool]] = queue.Queue(_WAITING_BLOCKS)

    def keep(block: Any, _frames: int, _time: Any, status: Any) -> None:
        try:
            waiting.put_nowait((block[:, 0].copy(), bool(status.input_overflow)))
        except queue.Full:
            raise sounddevice.CallbackAbort from None

    stream = detector.stream(rate)
    words = ", ".join(keyword.name for keyword in detector.keywords)
    print(f"listening for {words} on {name} at {rate} Hz; Ctrl-C stops", file=sys.stderr)
    with sounddevice.InputStream(
        device=device,
        samplerate=rate,
        channels=1,
        dtype="float32",
        blocksize=rate * _BLOCK_MS // 1000,
        callback=keep,
    ) as source:
        while source.active or not waiting.empty():
            try:
                block, overflow = waiting.get(timeout=1.0)
            except queue.Empty:
                continue
            if overflow:
                print("kws: some sound was lost: the machine was busy", file=sys.stderr)
            for event in stream.push(np.ascontiguousarray(block, np.float32)):
                print(line(event.keyword, event.score, as_json), flush=True)
    raise KwsError("the microphone stopped giving sound: was it unplugged?")


def line(keyword: str, score: float, as_json: bool) -> str:
    """One event with the time of day."""
    now = datetime.now().astimezone()
    if as_json:
        return json.dumps({"keyword": keyword, "score": round(score, 4), "time": now.isoformat()})
    return f"{now:%H:%M:%S}  {keyword}  (score {score:.2f})"
