"""What several test files share: the model of tones (tests/support/tones.py), written once; and in which order and by
how many processes the files are tried.
"""

import os
from functools import cache
from pathlib import Path

import pytest

import tones
from kws import lexicon
from kws.runtime.detector import Detector
from kws.train.process.waiting import wait_asleep

# What takes longest comes first, for `make test` gives a whole file to a process, and waits for the last one. Files
# that compute and files that wait for microphones and browsers take turns.
FIRST = """
tests/lab/test_comparison.py
tests/export/test_export.py
tests/demo/test_listen.py
tests/recipes/test_recipes.py
tests/train/test_distributed.py
tests/demo/test_web.py
tests/docs/test_extend.py
tests/benchmarks/test_faults.py
tests/laws/test_packaging.py
tests/laws/test_readme.py
tests/cli/test_score_cli.py
tests/train/test_stopped_training.py
tests/cli/test_pipes_cli.py
tests/wyoming/test_serve.py
tests/train/test_training.py
tests/train/test_verifier.py
tests/laws/test_front_ends.py
tests/evaluate/report/test_score.py
tests/cli/test_detect_cli.py
tests/runtime/test_explain.py
tests/train/test_segment.py
tests/evaluate/report/test_figures.py
tests/audio/test_containers.py
tests/lab/test_cost.py
tests/data/test_recipe_sets.py
tests/docs/test_docs_build.py
""".split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parents[1] / file: number for number, file in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int | None:
    """One process more than there are cores: some tests wait for sound in real time, for a browser, for the end of a
    process.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:  # which pytest-xdist reads
        return None
    return (os.cpu_count() or 1) + 1


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
