"""`make demo`: the bundled recording through the shipped model, chunk by chunk, as a
microphone would give it.

Prints each event as it fires, compares all with what is said, and draws the scores in
the terminal and as a picture.
"""

import argparse
import json
import sys
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from kws import audio
from kws.arrays import Samples
from kws.demo.timeline import blocks, draw_png
from kws.errors import KwsError, require
from kws.events import Detection
from kws.runtime.detector import Detector
from kws.units import SAMPLE_RATE

_LATE_S = 1.0  # an event this long after its word still belongs to it


class Truth(NamedTuple):
    """A wake word of the recording and where it is said."""

    keyword: str
    start_s: float
    end_s: float


class DemoRun(NamedTuple):
    """The detector's events in the recording, and its scores (T, K) of frames of
    40 ms.
    """

    detections: list[Detection]
    scores: NDArray[np.float64]


def main() -> None:
    """Runs the demo; exits 1 with a sentence where something is missing."""
    parser = argparse.ArgumentParser(prog="python -m kws.demo.hear", description=main.__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("kws-demo.png"), help="the picture to write")
    args = parser.parse_args()
    console = Console(highlight=False)
    try:
        show(console, args.output)
    except KwsError as error:
        raise SystemExit(f"kws: {error}") from None


def show(console: Console, picture: Path) -> None:
    """The whole demo on one screen."""
    folder = resources.files("kws.demo")
    truth = [Truth(**word) for word in json.loads((folder / "hear.json").read_text("utf-8"))["wake_words"]]
    with resources.as_file(folder / "hear.wav") as path:
        samples = audio.read(path)
    detector = Detector.load()
    console.print(
        f"[bold]{detector.info.name}[/bold] listens for {', '.join(k.name for k in detector.keywords)}\n"
        f"in {len(samples) / SAMPLE_RATE:.0f} s of synthesised speech with confusables and noise; "
        "it was not trained on these voices.\n",
        soft_wrap=True,
    )
    heard = hear(detector, samples, truth, console)
    console.print(f"\n{summary(heard.detections, truth)}\n", soft_wrap=True)
    draw_terminal(console, detector, heard)
    draw_png(picture, samples, detector, heard.scores, heard.detections, truth)
    console.print(f"\nThe same as a picture: [bold]{picture}[/bold]")
    console.print(going_live(), soft_wrap=True)


def hear(detector: Detector, samples: Samples, truth: list[Truth], console: Console) -> DemoRun:
    """Streams the samples in chunks of the model's size and prints events as they
    fire.
    """
    stream, size = detector.stream(), detector.info.chunk_samples
    starts = range(0, len(samples), size)
    detections: list[Detection] = []
    scores = []
    for start in starts:
        result = stream.process(samples[start : start + size], last=start == starts[-1])
        scores.append(result.scores)
        for event in result.detections:
            word = next((word for word in truth if belongs(event, word)), None)
            note = f"{event.end_s - word.end_s:+.2f} s after the word" if word else "[red]nobody said that[/red]"
            console.print(f"  {event.end_s:6.2f} s  [green]{event.keyword:<14}[/green] score {event.score:.2f}  {note}")
            detections.append(event)
    return DemoRun(detections, np.concatenate(scores))


def belongs(event: Detection, word: Truth) -> bool:
    """Whether an event is the hearing of a word."""
    return event.keyword == word.keyword and word.start_s < event.end_s <= word.end_s + _LATE_S


def summary(detections: list[Detection], truth: list[Truth]) -> str:
    """How many words were heard, which not, and how many events were false."""
    missed = [word for word in truth if not any(belongs(event, word) for event in detections)]
    false = sum(not any(belongs(event, word) for word in truth) for event in detections)
    text = f"{len(truth) - len(missed)} of {len(truth)} wake words heard, {false} false events"
    return text + "".join(f"; missed: {word.keyword} at {word.start_s:.1f} s" for word in missed)


def draw_terminal(console: Console, detector: Detector, heard: DemoRun) -> None:
    """A row of blocks per keyword: its highest score over time, green where it
    fired.
    """
    width = max(20, min(100, console.width - 18))
    frame_samples = detector.info.frame_samples
    for index, keyword in enumerate(detector.keywords):
        row = Text(f"{keyword.name:>14}  ")
        fired = {
            int(event.end / frame_samples / len(heard.scores) * width)
            for event in heard.detections
            if event.keyword == keyword.name
        }
        for column, block in enumerate(blocks(heard.scores[:, index], width)):
            row.append(block, style="bold green" if {column, column + 1} & fired else "dim")
        console.print(row)
    seconds = len(heard.scores) * frame_samples / SAMPLE_RATE
    console.print(Text(f"{'':>16}0 s{'':>{width - 7}}{seconds:.0f} s", style="dim"))


def going_live() -> str:
    """How to go on with a microphone, if there is one."""
    command = Path(sys.executable).with_name("kws")
    shown = command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command
    try:
        sounddevice = require("sounddevice", extra="listen")
        try:
            microphone = sounddevice.query_devices(kind="input")["name"]
        except (ValueError, sounddevice.PortAudioError) as error:
            raise KwsError(str(error)) from error
    except KwsError as error:
        return f"No microphone was found ({error}). With one, go live: {shown} listen"
    return f"Go live, with {microphone}: {shown} listen"


if __name__ == "__main__":
    main()
