"""What several test files share: the model of tones (tests/support/tones.py), written once."""

from functools import cache
from pathlib import Path

import pytest

import tones
from kws import lexicon
from kws.runtime.detector import Detector
from kws.train.process.waiting import wait_asleep


def pytest_configure() -> None:
    """Before any test loads torch: tests, too, run beside other work, and beside each other.

    And one dictionary for all of them, for reading it takes longer than most of what is done with it.
    """
    wait_asleep()
    lexicon.load_cmudict = cache(lexicon.load_cmudict)


@pytest.fixture(scope="session")
def tone_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a small true model whose tokens are tones."""
    return tones.write_model(tmp_path_factory.mktemp("models") / "tones.onnx")


@pytest.fixture(scope="session")
def detector(tone_model: Path) -> Detector:
    """The detector of that model."""
    return Detector.load(tone_model)
