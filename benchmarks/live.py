"""Measures the cost and the latency of `kws listen`, with real sound through a real
audio server, for as long as is wished.

    python benchmarks/live.py [--minutes 60] [--rate 48000] [--recording demo/hear.wav --truth demo/hear.json]

A PulseAudio server of its own has a sink whose monitor is the microphone; the recording
is played into it again and again in real time, and `kws listen --json` hears that
through PortAudio, as it hears any device. Needs what tests of the microphone need: pip
install '.[dev]' and the packages that tests/support/vmic.py names. Printed:

- CPU: user and system time of the whole process (PortAudio's and ALSA's threads
  included) as a share of one core, from the third second on; in every tenth of the run,
  so that a drift shows;
- memory: resident size after the first and after the last tenth, and the highest;
- words: how many of the truth were heard and how many other events there were, and the
  same for `kws detect` on the file. The two need not agree: a playing begins anywhere
  between two frames, and a score near its threshold (the recording has confusable
  phrases on purpose) moves with that. On the very samples that were heard they do
  (tests/demo/test_listen.py);
- latency: from the end of the word, as the truth has it, to the event, over all
  playings.

The sound card's own delay is not in the latency: a null sink has none to speak of, a
USB microphone some 10 ms.

Where the time goes, and what was tried: docs/decisions.md, "Waking up is what live
listening costs".
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kws import audio, units
from kws.evaluate.count.matching import LATE_S
from kws.events import Detection
from kws.runtime.detector import Detector

ROOT = Path(__file__).resolve().parent.parent
SETTLED_S = 3.0
BETWEEN_S = 1.5  # of silence between two playings, longer than any event is late
PARTS = 10
SAME_S = 0.12  # a playing begins between chunks, which moves an event by one frame or two


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far, and bytes of memory, at a moment (`time.monotonic`)."""

    at: float
    cpu_s: float
    resident: int


def usage(process: int) -> Usage:
    """The usage of a process with all its threads, from Linux."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    ticks, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return Usage(time.monotonic(), (int(fields[11]) + int(fields[12])) / ticks, page_bytes * pages)


def listen(microphone: Any, recording: Path, minutes: float) -> tuple[list[list[dict[str, Any]]], list[Usage]]:
    """The events of `kws listen` in each playing of the recording, and what it used,
    second by second.
    """
    command = [sys.executable, "-m", "kws", "listen", "--json"]
    listener = subprocess.Popen(command, env=microphone.environment, stdout=subprocess.PIPE, text=True)
    used: list[Usage] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            used.append(usage(listener.pid))

    assert listener.stdout is not None
    time.sleep(SETTLED_S)
    if listener.poll() is not None:
        sys.exit("kws listen ended before anything was played: what it said stands above")
    watcher = threading.Thread(target=watch)
    watcher.start()
    heard: list[list[dict[str, Any]]] = []
    out = listener.stdout

    def read() -> None:
        """Keeps the events; lines of their peaks name no keyword."""
        for event in map(json.loads, out):
            if "keyword" in event:
                heard[-1].append(event)

    reader = threading.Thread(target=read)
    reader.start()
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        heard.append([])
        microphone.play(recording)
        time.sleep(BETWEEN_S)
    over.set()
    watcher.join()
    listener.terminate()
    listener.wait()
    reader.join()
    return heard, used


def began(heard: list[dict[str, Any]], expected: list[Detection]) -> float:
    """The second of listening in which the recording began, on which most pairs of
    equal words agree.
    """
    offsets = [event["end_s"] - one.end_s for event in heard for one in expected if event["keyword"] == one.keyword]
    votes = [[other for other in offsets if abs(other - offset) <= SAME_S] for offset in offsets]
    return statistics.median(max(votes, key=len)) if votes else 0.0


def latencies(heard: list[dict[str, Any]], offset: float, words: list[dict[str, Any]]) -> list[float]:
    """From the end of each word that was heard to its event, in seconds, for one
    playing.
    """
    found = []
    for word in words:
        fitting = (
            event["latency_s"] + event["end_s"] - offset - word["end_s"]
            for event in heard
            if event["keyword"] == word["keyword"]
            if word["start_s"] < event["end_s"] - offset < word["end_s"] + LATE_S
        )
        found += list(fitting)[:1]
    return found


def report(
    args: argparse.Namespace, playings: list[list[dict[str, Any]]], used: list[Usage], expected: list[Detection]
) -> str:
    """The lines that are printed."""
    words = json.loads(args.truth.read_text(encoding="utf-8"))["wake_words"]
    late = [s for heard in playings for s in latencies(heard, began(heard, expected), words)]
    in_file = [{"keyword": one.keyword, "end_s": one.end_s, "latency_s": 0.0} for one in expected]
    parts = np.array_split(np.arange(len(used)), PARTS)
    shares = [100 * share(used[part[0]], used[part[-1]]) for part in parts if len(part) > 1]
    sizes = [one.resident / 2**20 for one in used]
    first = sizes[len(parts[0]) - 1]
    lines = [
        f"heard: {used[-1].at - used[0].at:.0f} s at {args.rate} Hz, {args.recording.name} again and again",
        f"CPU: {100 * share(used[0], used[-1]):.2f} % of a core; by tenths {' '.join(f'{s:.2f}' for s in shares)}",
        f"memory: {first:.1f} MB after a tenth, {sizes[-1]:.1f} MB at the end, {max(sizes):.1f} MB at most",
        f"words: {len(late)} of {len(playings) * len(words)} heard, {sum(map(len, playings)) - len(late)} other events",
        f"kws detect: {len(latencies(in_file, 0.0, words))} of {len(words)} in the file, {len(expected)} events in all",
    ]
    if late:
        p95 = float(np.quantile(late, 0.95))
        lines.append(
            f"latency from the word's end: median {1000 * statistics.median(late):.0f} ms, "
            f"95th percentile {1000 * p95:.0f} ms"
        )
    return "\n".join(lines)


def share(first: Usage, last: Usage) -> float:
    """The share of one core between two moments."""
    return (last.cpu_s - first.cpu_s) / max(last.at - first.at, 1e-9)


def main() -> None:
    """Plays the recording, listens to it and prints the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=48_000, help="of the microphone, in Hz")
    parser.add_argument("--recording", type=Path, default=ROOT / "demo/hear.wav")
    parser.add_argument("--truth", type=Path, default=ROOT / "demo/hear.json", help="its words with start_s and end_s")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests/support"))
    from vmic import VirtualMicrophone, missing

    if reason := missing():
        sys.exit(reason)
    stream = Detector.load().stream(units.SAMPLE_RATE)
    expected = stream.push(audio.read(args.recording)) + stream.flush()
    with tempfile.TemporaryDirectory() as folder:
        microphone = VirtualMicrophone(Path(folder), args.rate)
        try:
            playings, used = listen(microphone, args.recording, args.minutes)
        finally:
            microphone.server.terminate()
            microphone.server.wait()
    print(report(args, playings, used, expected))


if __name__ == "__main__":
    main()
