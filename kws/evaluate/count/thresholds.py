"""Chooses thresholds for a rate of false accepts, and writes them into a model file
together with the counts that they rest on.
"""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from kws.digits import two_digits
from kws.errors import KwsError, require
from kws.evaluate.count.intervals import upper_rate
from kws.evaluate.count.matching import Counting
from kws.evaluate.count.metrics import KeywordRates, at_rate, count, det, rates_at
from kws.evaluate.replay.recording import FLOOR, Replayed
from kws.evaluate.replay.systems import KwsSystem
from kws.files import whole
from kws.metadata import Calibration, ModelInfo, embed
from kws.runtime.shipped import shipped
from kws.runtime.speech.tail import tail_of

_LITTLE_H = 0.25  # of negatives: false accepts in less are too few to choose a threshold by


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
    rates = rates_at(recordings, system.keywords, fa_per_hour, Counting.of(system))
    return [_grounded(system, recordings, index, rate, fa_per_hour) for index, rate in enumerate(rates)]


def expected_points(system: KwsSystem, recordings: Sequence[Replayed], fa_per_hour: float) -> list[KeywordRates]:
    """Each keyword's counts at the threshold at which `fa_per_hour` false accepts are
    to be expected in other speech, read off the tail of these recordings' peaks
    (`tail_of`).

    Where the audio is short the lowest threshold without an event lies far too high:
    the next event of half a false accept an hour is due after two hours. Nothing is
    read off less than a quarter of an hour, nor fewer peaks than the rate allows: then
    as `operating_points`.
    """
    counting, found = Counting.of(system), []
    for index in range(len(system.keywords)):
        points = det(recordings, system.keywords, index, counting)
        rate, peaks = at_rate(points, fa_per_hour), _peaks(points)
        if rate.hours >= _LITTLE_H and 0 < fa_per_hour * rate.hours < len(peaks):
            tail = tail_of(peaks, rate.hours, fa_per_hour, FLOOR)
            (rate,) = count(recordings, system.keywords, index, [tail.threshold], counting)
        found.append(_grounded(system, recordings, index, rate, fa_per_hour))
    return found


def _peaks(points: Sequence[KeywordRates]) -> list[float]:
    """The scores at which a false accept is added, the highest first. points: as `det`
    gives them.
    """
    return [
        lower.threshold for higher, lower in pairwise(points) for _ in range(lower.false_accepts - higher.false_accepts)
    ]


def _grounded(
    system: KwsSystem, recordings: Sequence[Replayed], index: int, rate: KeywordRates, fa_per_hour: float
) -> KeywordRates:
    """`rate`, or the counts of keyword `index` at the model's default threshold where
    the audio cannot tell of a lower one.
    """
    default = system.detector.info.scoring.default_threshold
    little = rate.threshold <= FLOOR or rate.hours < _LITTLE_H
    if rate.threshold < default and little and not _shows(rate, fa_per_hour):
        return count(recordings, system.keywords, index, [default], Counting.of(system))[0]
    return rate


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
