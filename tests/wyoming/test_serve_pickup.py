"""`kws serve --gain --channel`, channels that cancel, and a client whose sound is too quiet: a client of the wyoming
library that speaks to the server.
"""

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event

from kws.runtime.detector import Detector
from serving import ALEXA, RATE, Server, heard, lasting, recording, spoken

server = pytest.fixture(scope="module")(lasting)


@pytest.fixture(scope="module")
def word() -> np.ndarray:
    return recording()[ALEXA]


def sent(*channels: np.ndarray) -> list[Event]:
    """One stream of several channels (S,) int16."""
    sound = np.stack(channels, axis=1)
    chunks = [
        AudioChunk(RATE, 2, len(channels), sound[at : at + RATE // 10].tobytes())
        for at in range(0, len(sound), RATE // 10)
    ]
    return [event.event() for event in (AudioStart(RATE, 2, len(channels)), *chunks, AudioStop())]


def expected(samples: np.ndarray) -> list[tuple[str, int]]:
    events = Detector.load().stream().process(samples, last=True).detections
    return [(event.keyword, round(1000 * event.end_s)) for event in events]


def test_channels_that_cancel_each_other_are_heard(server, word):
    answers = heard(server.talk(*sent(word, -word), until=None))
    assert answers == expected(word)
    assert [name for name, _ in answers] == ["alexa"]


def test_a_client_whose_sound_is_too_quiet_is_named_once(server, word):
    quiet = (word / np.abs(word).max() * 2**15 * 10 ** (-70 / 20)).astype(np.int16)
    since = len(server.lines)
    server.talk(*spoken(quiet), *spoken(quiet), until=None)
    server.wait_for(r"127\.0\.0\.1:\d+: the loudest sample is at -70 dBFS: .*try --gain 40", since)
    server.talk(*spoken(word), until=None)
    server.talk(*spoken(np.zeros_like(word)), until=None)
    server.wait_for("every sample is zero, digital silence", since)
    assert sum("sample" in line for line in server.lines[since:]) == 2


def test_a_gain_and_a_channel_are_those_of_every_client(word):
    quiet = (word // 100).astype(np.int16)
    other = np.random.default_rng(0).integers(-8000, 8000, word.size).astype(np.int16)
    louder = np.clip(quiet * np.float32(2**-15) * np.float32(100), -1, 1).astype(np.float32)
    server = Server("--gain", "40", "--channel", "2")
    try:
        answers = heard(server.talk(*sent(other, quiet), until=None))
        assert answers == expected(louder)
        assert [name for name, _ in answers] == ["alexa"]
        refused = [Error.from_event(event) for event in server.talk(*spoken(word), until=None) if event.type == "error"]
        assert [error.text for error in refused] == [
            "the sound has 1 channel, and no channel 2: see the server's --channel"
        ]
        assert heard(server.talk(*sent(quiet, quiet), until=None)) == answers  # nothing of the others is left
    finally:
        assert server.stop() == 0
