"""`kws info`: what is inside a model file."""

from __future__ import annotations

import argparse
import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from kws.cli import options
from kws.lexicon.borders import written

if TYPE_CHECKING:
    from kws.metadata import Keyword, ModelInfo, VerifierInfo

_WIDTH = 80  # columns
_ITEM_BYTES = {"float32": 4, "int64": 8}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show what is inside a model file: keywords, thresholds, formats, training data."
    parser.epilog = f"examples:\n  kws info\n  kws info {options.DEFAULT_MODEL} --json\n"
    options.add_model_argument(parser)
    options.add_json_option(parser, "print all of it as JSON")


def run(args: argparse.Namespace) -> int:
    """Print what the file says about itself as text or JSON."""
    from kws.runtime.session import OnnxModel
    from kws.runtime.shipped import find

    model = OnnxModel.load(find(args.model))
    size = model.path.stat().st_size
    if args.json:
        print(json.dumps({"file": str(model.path), "bytes": size, **asdict(model.info)}, indent=2))
    else:
        print("\n".join(_describe(model.info, str(model.path), size)))
    return 0


def _describe(info: ModelInfo, path: str, size: int) -> list[str]:
    from kws.decoding.scorer import FRAMES_PER_LABEL

    training = info.training
    scoring = info.scoring
    frame_ms = 1000 * info.frame_samples / info.sample_rate
    chunk_ms = frame_ms * info.frames_per_chunk
    longer = f"a longer phrase {FRAMES_PER_LABEL * frame_ms:g} ms a phone"
    limits = [
        f"keyword at most {scoring.max_duration_frames * frame_ms:g} ms, {longer}",
        f"gap at most {scoring.max_gap_frames * frame_ms:g} ms",
        f"next event after {scoring.refractory_frames * frame_ms:g} ms",
    ]
    facts = [
        ("model", f"{info.name}  ({path})"),
        ("size", f"{size / 1e6:.2f} MB, {info.parameters:,} parameters"),
        ("written by", f"kws {info.kws_version}, commit {info.commit or 'unknown'}"),
        ("sound", f"{info.sample_rate} Hz, mono"),
        ("chunk", f"{info.chunk_samples} samples = {chunk_ms:g} ms, up to {info.chunks_per_call} in one call"),
        ("frame", f"{info.frame_samples} samples = {frame_ms:g} ms"),
        ("tokens", f"{len(info.tokens)}: {' '.join(info.tokens)}"),
        ("trained by", f"recipe {training.recipe}, seed {training.seed}, {training.steps:,} steps"),
        ("scoring", ", ".join([*limits, f"peak weight {scoring.peak_weight:g}"])),
        ("new phrases", f"fire at {scoring.default_threshold:g}"),
    ]
    if info.verifier is not None:
        facts.insert(2, ("verifier", _verifier(info.verifier, frame_ms)))
    lines = [line for name, value in facts for line in _wrapped(f"{name:<12}{value}", 12)]
    lines += ["", *_keyword_lines(info.keywords)]
    states = [
        (state.name, " x ".join(map(str, state.shape)), state.dtype, str(_bytes(state.shape, state.dtype)))
        for state in info.states
    ]
    total = sum(int(row[3]) for row in states)
    lines += ["", *_table(("state", "shape", "type", "bytes"), [*states, ("all", "", "", str(total))])]
    lines += ["", "trained on"]
    for source in training.data:
        lines += _wrapped(f"  {source.name}, {source.licence}: {source.attribution}", 4)
    return lines


def _verifier(verifier: VerifierInfo, frame_ms: float) -> str:
    """The second pass in a sentence."""
    return (
        f"{verifier.parameters:,} parameters, hears the last {verifier.segment_frames / 100:g} s where the first pass "
        f"gives {verifier.floor:g} or more, {verifier.hold_frames * frame_ms:g} ms after its peak"
    )


def _keyword_lines(keywords: Sequence[Keyword]) -> list[str]:
    """The table of keywords; where the names of the calibration data make it too wide,
    they follow the table.
    """
    head = ("keyword", "threshold", "calibrated for", "spelling")
    whole = _table(head, [row for keyword in keywords for row in _keyword_rows(keyword, names_data=True)])
    if max(map(len, whole)) <= _WIDTH:
        return whole
    lines = _table(head, [row for keyword in keywords for row in _keyword_rows(keyword, names_data=False)])
    of: dict[str, list[str]] = {}
    for keyword in keywords:
        if keyword.calibration is not None:
            of.setdefault(keyword.calibration.data, []).append(keyword.name)
    for data, names in of.items():
        which = "" if len(of) == 1 else f"{', '.join(names)}: "
        lines += ["", *_wrapped(f"calibrated on {which}{data}", 2)]
    return lines


def _keyword_rows(keyword: Keyword, names_data: bool) -> list[tuple[str, ...]]:
    calibration = keyword.calibration
    target = "not calibrated"
    if calibration is not None:
        data = f" of {calibration.data}" if names_data else ""
        found = f"{calibration.false_accepts} false in {calibration.hours:.2f} h{data}"
        target = f"{calibration.fa_per_hour:g} FA/h ({found})"
    first, *others = [written(*one) for one in keyword.spelled.items()]
    rows = [("", "", "", spelling) for spelling in others]
    return [(keyword.name, f"{keyword.threshold:.4f}", target, first), *rows]


def _wrapped(line: str, indent: int) -> list[str]:
    """A line in as many as it takes; a word that is longer (a path) stays whole."""
    return textwrap.wrap(
        line,
        _WIDTH,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [""]


def _bytes(shape: Sequence[int], dtype: str) -> int:
    return math.prod(shape) * _ITEM_BYTES[dtype]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
