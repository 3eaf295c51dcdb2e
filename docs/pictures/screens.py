"""Draws the pictures of screens: `python docs/pictures/screens.py [NAME ...]` writes
them where the pages have them.

    explain   docs/explain.png   why `phones` misses the first "computer" of the demo
    listen    demo/listen.png    the screen of `kws listen`, while the demo's recording plays
    page      demo/page.png      the page of `kws web` after its example
    report    demo/report.png    the first screen of a report (--report FOLDER, which `kws score -o FOLDER` wrote)

All but the first need Chromium, and the page also onnxruntime-web (`kws web -o runs/web
--download`).
"""

import argparse
import io
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from PIL import Image
from rich.console import Console

from kws import audio
from kws.demo.live import listen
from kws.demo.microphone import Block
from kws.demo.screen import Screen
from kws.runtime.detector import Detector
from kws.runtime.explain import figure
from kws.runtime.explain.explainer import Explainer
from kws.units import SAMPLE_RATE

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from browser import Browser  # noqa: E402 - a helper of the tests
from webpage import click, ready, served, wait  # noqa: E402

HEAR = ROOT / "demo" / "hear.wav"
HEARD_S = 39.0  # of the demo's recording, on the screen of `kws listen`
BLOCK = SAMPLE_RATE * 80 // 1000


def explain(path: Path) -> None:
    """The first of the places that `kws detect --explain` tells of."""
    detector = Detector.load("phones").with_phrases("computer", fa_per_hour=0.5)
    explainer = Explainer(detector, ["computer"])
    explainer.push(audio.read(HEAR))
    explanation = explainer.flush()[0]
    figure.draw(path, HEAR.name, replace(explanation, diagnoses=explanation.diagnoses[:1]), detector.info)


def listening(path: Path) -> None:
    """The screen as it is after HEARD_S of the recording, which plays as fast as a
    microphone would hear it.
    """
    samples = audio.read(HEAR)[: round(HEARD_S * SAMPLE_RATE)]

    def blocks(_wait_s: Callable[[], float]) -> Iterator[Block | None]:
        began = time.monotonic()
        for start in range(0, len(samples), BLOCK):
            arrived = began + (start + BLOCK) / SAMPLE_RATE
            time.sleep(max(0.0, arrived - time.monotonic()))
            yield Block(samples[start : start + BLOCK], SAMPLE_RATE, arrived, 0)
        stop.set()
        yield None

    stop, shown = threading.Event(), io.StringIO()
    console = Console(width=100, height=30, record=True, file=shown, force_terminal=True, color_system="truecolor")
    screen = Screen(Detector.load(), lambda: f"{HEAR.name} at {SAMPLE_RATE} Hz", lambda: 0, console=console)
    picture = screen.draw()

    def watch(heard: object) -> None:
        nonlocal picture
        screen.watch(heard)
        picture = picture if stop.is_set() else screen.draw()

    microphone = SimpleNamespace(blocks=blocks)
    listen(screen._detector, screen.fire, microphone=microphone, on_peak=screen.settle, watch=watch, stop=stop)
    console.export_text()  # forgets what the live screen drew
    console.print(picture)
    page = path.with_suffix(".html")
    page.write_text(
        f'<body style="margin:0;background:#fff">{console.export_svg(title="kws listen")}', encoding="utf-8"
    )
    with Browser(width=1209, height=573) as browser:
        browser.open(page)
        browser.picture(path)
    page.unlink()
    crop(path, 573)


def heard_page(path: Path) -> None:
    """The page once it has heard its example."""
    with served("wake-words") as port, Browser(width=1160, height=1020) as browser:
        ready(browser, f"http://localhost:{port}/")
        click(browser, "example")
        wait(browser, "status", "Heard", 300.0)
        time.sleep(1.0)  # what is drawn follows
        browser.picture(path)
    crop(path, 1020)
    image = Image.open(path)
    image.convert("RGB").resize((870, 765), Image.Resampling.LANCZOS).save(path)


def report(path: Path, folder: Path) -> None:
    """The first screen of a report."""
    with Browser(width=1180, height=1420) as browser:
        browser.open(folder / "report.html")
        time.sleep(1.0)
        browser.picture(path)
    crop(path, 1420)


def crop(path: Path, height: int) -> None:
    """So many rows from the top."""
    image = Image.open(path)
    image.crop((0, 0, image.width, min(height, image.height))).save(path)


def fewer_bytes(path: Path) -> None:
    """At most 256 colours."""
    image = Image.open(path).convert("RGB")
    image.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Draws what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["explain", "listen", "page"], metavar="NAME")
    parser.add_argument("--report", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    pictures = {
        "explain": (ROOT / "docs" / "explain.png", explain),
        "listen": (ROOT / "demo" / "listen.png", listening),
        "page": (ROOT / "demo" / "page.png", heard_page),
        "report": (ROOT / "demo" / "report.png", lambda path: report(path, args.report)),
    }
    for name in [*args.names, *(["report"] if args.report and "report" not in args.names else [])]:
        target, draw = pictures[name]
        with tempfile.TemporaryDirectory() as folder:
            drawn = Path(folder) / target.name
            draw(drawn)
            fewer_bytes(drawn)
            target.write_bytes(drawn.read_bytes())
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
