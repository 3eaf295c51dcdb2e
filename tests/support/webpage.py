"""The page of `kws web` on a server of its own, and a person's hands in it."""

import functools
import http.server
import json
import re
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from browser import CHROMIUM, Browser
from kws.cli.main import main
from kws.demo import page
from trees import ROOT

RUNTIME = ROOT / "runs/web/vendor"
Events = list[tuple[str, float, float]]  # (keyword, end, score)


@contextmanager
def served(*models: str) -> Iterator[int]:
    """The port of a server of static files, as `python -m http.server` is one, with the page that hears these models.

    The test is skipped where Chromium or onnxruntime-web is missing.
    """
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here, bring it with: apt install chromium")
    if not page.has_runtime(RUNTIME):
        pytest.skip("onnxruntime-web is not here, bring it with: kws web -o runs/web --download")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vendor").symlink_to(RUNTIME)
        assert main(["web", *models, "-o", folder]) == 0
        speak(Path(folder) / "words.wav")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder)) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield server.server_port
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def speak(path: Path) -> Path:
    """Writes some seconds of the demo's recording, jarvis and the smart mirror, and one of silence.

    Chromium repeats a file that is its microphone when it is over.
    """
    with wave.open(str(ROOT / "demo/hear.wav")) as whole, wave.open(str(path), "wb") as part:
        part.setparams(whole.getparams())
        whole.setpos(int(46.2 * 16_000))
        part.writeframes(whole.readframes(int(3.6 * 16_000)) + bytes(2 * 16_000))
    return path


def evaluate(browser: Browser, body: str, **values: Any) -> Any:
    """The value of a function's body in the page; `values` are its variables."""
    names = ", ".join(values)
    return browser.evaluate(f"(async ({{{names}}}) => {{ {body} }})({json.dumps(values)})")


def text(browser: Browser, name: str) -> str:
    return browser.evaluate(f"document.getElementById('{name}').innerText")


def click(browser: Browser, name: str) -> None:
    browser.evaluate(f"document.getElementById('{name}').click()")


def wait(browser: Browser, name: str, wanted: str, seconds: float = 30.0) -> str:
    """The text of an element once it holds what is wanted."""
    end = time.monotonic() + seconds
    while not re.search(wanted, found := text(browser, name)):
        assert time.monotonic() < end, f"#{name} says {found!r}; #problem: {text(browser, 'problem')!r}"
        time.sleep(0.05)
    return found


def press(browser: Browser, key: str, code: int) -> None:
    for kind in ("keyDown", "keyUp"):
        words = {"text": key} if len(key) == 1 else {}
        browser.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **words)


def ready(browser: Browser, address: str) -> Browser:
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(address)
    wait(browser, "status", "is ready")
    return browser


def drop(page: Browser, file: Path) -> None:
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.send("Input.dispatchDragEvent", type=kind, x=300, y=500, data=data)
        assert page.evaluate("document.body.classList.contains('dropping')") == (kind == "dragOver")


def events(browser: Browser) -> Events:
    """The list on the page, in order of time."""
    rows = "[...document.querySelectorAll('#events li:not(.none)')]"
    shown = browser.evaluate(f"{rows}.map((li) => [...li.children].map((part) => part.textContent))")
    return [
        (word, float(end.removesuffix(" s")), float(score.split()[1].rstrip(",")))
        for end, word, score in reversed(shown)
    ]
