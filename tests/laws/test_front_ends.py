"""One sound for all: what `kws listen` heard and kept is what the page and the server hear in its file."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from browser import Browser
from kws import audio
from serving import Server, heard, spoken
from vmic import Listening, virtual_microphone
from webpage import drop, events, ready, served, speak, wait


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> list[dict]:
    """The lines of `kws listen` at a microphone that hears some words of the demo, and keeps what it hears."""
    folder = tmp_path_factory.mktemp("live")
    words = speak(folder / "words.wav")
    options = "--json", "--record", str(folder / "kept")
    with virtual_microphone(folder, 16_000) as device, Listening(device, *options) as listening:
        device.play(words)
        time.sleep(0.5)
        out, _ = listening.stop()
    lines = [json.loads(line) for line in out.splitlines()]
    fired, peaks = ([line for line in lines if name in line] for name in ("keyword", "peak_of"))
    assert [(p["peak_of"], p["end_s"]) for p in peaks] == [(e["keyword"], e["end_s"]) for e in fired]
    return [{**event, "peak": peak["peak"]} for event, peak in zip(fired, peaks, strict=True)]


def test_microphone_page_server_and_detect_fire_the_same_events(live):
    (kept,) = {Path(event["recording"]) for event in live}
    wanted = [(event["keyword"], event["recording_end_s"]) for event in live]
    assert [keyword for keyword, _ in wanted] == ["jarvis", "smart mirror"]

    with served("wake-words") as port, Browser() as browser:
        page = ready(browser, f"http://localhost:{port}/")
        drop(page, kept)
        wait(page, "status", "Heard .* 2 events")
        on_page = events(page)
    assert [(keyword, end_s) for keyword, end_s, _ in on_page] == [(k, pytest.approx(s)) for k, s in wanted]
    assert [score for *_, score in on_page] == pytest.approx([event["score"] for event in live], abs=0.006)

    server = Server()
    samples = np.round(audio.read(kept) * 2.0**15).astype(np.int16)  # as the device gave them, and a client sends them
    answers = heard(server.talk(*spoken(samples), until=None))
    assert server.stop() == 0
    assert answers == [(keyword, round(1000 * end_s)) for keyword, end_s in wanted]
