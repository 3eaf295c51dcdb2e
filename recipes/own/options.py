"""The options of the recipes `phrase` and `fewshot`, and the corpora that they make.

Apart from pipeline.py so that `kws train phrase --help` need not load torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kws.train.recipe import TrainingCorpus

if TYPE_CHECKING:
    import argparse

SYNTHETIC = TrainingCorpus("synthetic", "synthesised clips", "Apache-2.0", "voices of Kokoro-82M, hexgrad")
RECORDINGS = TrainingCorpus("recordings", "own recordings", "the user's own", "the speakers")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of both recipes."""
    parser.add_argument(
        "--phrase",
        required=True,
        action="once",
        const="a model is trained for one phrase, so train one for each",
        help='words, or words with their phones: "jarvis=JH AA R V IH S"',
    )
    parser.add_argument(
        "--fa-per-hour",
        type="not negative",
        default=0.5,
        metavar="RATE",
        help="false accepts per hour to calibrate for (default: 0.5)",
    )


def configure_synthesis(parser: argparse.ArgumentParser) -> None:
    """Add the options that only `phrase` has."""
    parser.add_argument("--count", type=int, default=800, help="clips to synthesise, about 1 CPU second each")
    parser.add_argument("--models", type=Path, default=Path("speech-models"), help="folder of the speech models")
    parser.add_argument("--download", action="store_true", help="first fetch speech models that are missing")
