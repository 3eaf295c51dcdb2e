"""Chooses thresholds for a rate of false accepts, and writes them into a model file
together with the counts that they rest on.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kws.digits import two_digits
from kws.errors import KwsError, require
from kws.evaluate.count.intervals import upper_rate
from kws.evaluate.count.matching import Counting
from kws.evaluate.count.metrics import KeywordRates, count, rates_at
from kws.evaluate.replay.recording import FLOOR, Replayed
from kws.evaluate.replay.systems import KwsSystem
from kws.files import whole
from kws.metadata import Calibration, ModelInfo, embed
from kws.runtime.shipped import shipped

_LITTLE_H = 0.25  # of negatives: false accepts in less are too few to lower a threshold by


def destination(model: Path, output: Path | None) -> Path:
    """The file for the calibrated model: `output`, or `model` itself. KwsError for a
    shipped model and for files that are no model.
    """
    path = output or model
    for name, file in shipped().items():
        if path.resolve() == file.resolve():
            raise KwsError(f"{name} ships with kws and stays as it is: give -o FILE.onnx, then kws detect FILE.onnx")
    if output and (output.suffix != ".onnx" or output.is_dir() or not output.parent.is_dir()):
        raise KwsError(f"{output} cannot be written: give -o a file that ends in .onnx, in a folder that exists")
    return path


def operating_points(system: KwsSystem, recordings: Sequence[Replayed], fa_per_hour: float) -> list[KeywordRates]:
    """Each keyword's counts at its lowest threshold with at most `fa_per_hour`. The
    threshold stays at or above the model's default where the audio cannot tell: where
    no false accept limits it, or where there is less than a quarter of an hour. It goes
    lower only if the hours show the rate at 95 %.

    The default is the bound, not the present threshold, so that calibrating again gives
    the same result whatever was calibrated before.
    """
    counting, default = Counting.of(system), system.detector.info.scoring.default_threshold

    def groundless(rate: KeywordRates) -> bool:
        little = rate.threshold <= FLOOR or rate.hours < _LITTLE_H
        return rate.threshold < default and little and not _shows(rate, fa_per_hour)

    return [
        count(recordings, system.keywords, index, [default], counting)[0] if groundless(rate) else rate
        for index, rate in enumerate(rates_at(recordings, system.keywords, fa_per_hour, counting))
    ]


def _shows(rate: KeywordRates, fa_per_hour: float) -> bool:
    """Whether the true rate is at most `fa_per_hour`, at 95 %."""
    return rate.hours > 0 and upper_rate(rate.false_accepts, rate.hours) <= fa_per_hour


def notes(rates: Sequence[KeywordRates], fa_per_hour: float, default_threshold: float) -> list[str]:
    """A line for each keyword whose hours cannot show the rate: what they show, and how
    many hours would be needed.
    """
    lines = []
    for rate in rates:
        if _shows(rate, fa_per_hour):
            continue
        parts = [f"at most {two_digits(upper_rate(rate.false_accepts, rate.hours))}/h at 95 %"]
        if fa_per_hour:
            needed = two_digits(upper_rate(rate.false_accepts, 1.0) / fa_per_hour)
            so_many = "with as many" if rate.false_accepts else "without any"
            parts.append(f"{needed} h {so_many} are needed to show {fa_per_hour:g}/h")
        if rate.threshold == default_threshold:
            parts.append(f"too little to set a threshold below the model's default, {default_threshold:g}")
        lines.append(f"{rate.keyword}: {rate.false_accepts} in {rate.hours:.2f} h: {'; '.join(parts)}")
    return lines


def store(
    model: Path,
    info: ModelInfo,
    rates: Sequence[KeywordRates],
    fa_per_hour: float,
    data: str,
    output: Path | None = None,
) -> None:
    """Writes the model of file `model`, whose model info is `info`, with thresholds and
    the counts that they rest on.

    output: the file to write; `model` itself when None. It is written whole or not at
    all. Raises KwsError where it cannot be written.
    """
    onnx = require("onnx", extra="score")
    keywords = tuple(
        dataclasses.replace(
            keyword,
            threshold=rate.threshold,
            calibration=Calibration(fa_per_hour, rate.false_accepts, rate.hours, data),
        )
        for keyword, rate in zip(info.keywords, rates, strict=True)
    )
    proto, path = onnx.load(model), output or model
    embed(proto, dataclasses.replace(info, keywords=keywords))
    try:
        with whole(path) as partial:
            onnx.save(proto, partial)
    except OSError as error:
        raise KwsError(f"{path} cannot be written: {error.strerror or error}") from error
