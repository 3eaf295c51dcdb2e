"""What several test files share: the model of tones (tests/tones.py), written once."""

from pathlib import Path

import pytest

import tones
from kws.runtime.detector import Detector
from kws.train.waiting import wait_asleep


def pytest_configure() -> None:
    """Before any test loads torch: tests, too, run beside other work, and beside each other."""
    wait_asleep()


@pytest.fixture(scope="session")
def tone_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a small true model whose tokens are tones."""
    return tones.write_model(tmp_path_factory.mktemp("models") / "tones.onnx")


@pytest.fixture(scope="session")
def detector(tone_model: Path) -> Detector:
    """The detector of that model."""
    return Detector.load(tone_model)
