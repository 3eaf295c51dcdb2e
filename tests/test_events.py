"""Events and units: samples for programs, seconds for people."""

import dataclasses

import pytest

from kws import units
from kws.events import Detection


def test_seconds_and_samples():
    assert units.seconds(8000) == 0.5
    assert units.seconds(8000, rate=8000) == 1.0
    assert units.samples(0.5) == 8000
    assert units.samples(0.1, rate=44100) == 4410


def test_a_detection_tells_its_times_and_does_not_change():
    detection = Detection("alexa", 0.9, start=16000, end=24000)
    assert (detection.start_s, detection.end_s) == (1.0, 1.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        detection.score = 1.0
