"""`kws info`: what is inside a model file."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from kws.metadata import Keyword, Manifest
from kws.runtime.session import OnnxModel
from kws.runtime.shipped import DEFAULT_MODEL, find

_ITEM_BYTES = {"float32": 4, "int64": 8}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kws info`."""
    parser.description = "Show what is inside a model file: keywords, thresholds, formats, training data."
    parser.epilog = f"examples:\n  kws info\n  kws info {DEFAULT_MODEL} --json\n"
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL", help=f"path or name ({DEFAULT_MODEL})"
    )
    parser.add_argument("--json", action="store_true", help="print the manifest as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the manifest as text or JSON."""
    model = OnnxModel.load(find(args.model))
    size = model.path.stat().st_size
    if args.json:
        print(json.dumps({"file": str(model.path), "bytes": size, **asdict(model.manifest)}, indent=2))
    else:
        print("\n".join(_describe(model.manifest, str(model.path), size)))
    return 0


def _describe(manifest: Manifest, path: str, size: int) -> list[str]:
    training = manifest.training
    scoring = manifest.scoring
    frame_ms = 1000 * manifest.frame_samples / manifest.sample_rate
    chunk_ms = frame_ms * manifest.frames_per_chunk
    limits = [
        f"keyword at most {scoring.max_duration_frames * frame_ms:g} ms",
        f"gap at most {scoring.max_gap_frames * frame_ms:g} ms",
        f"next event after {scoring.refractory_frames * frame_ms:g} ms",
    ]
    facts = [
        ("model", f"{manifest.name}  ({path})"),
        ("size", f"{size / 1e6:.2f} MB, {manifest.parameters:,} parameters"),
        ("written by", f"kws {manifest.kws_version}, commit {manifest.commit or 'unknown'}"),
        ("sound", f"{manifest.sample_rate} Hz, mono"),
        ("chunk", f"{manifest.chunk_samples} samples = {chunk_ms:g} ms, up to {manifest.chunks_per_call} in one call"),
        ("frame", f"{manifest.frame_samples} samples = {frame_ms:g} ms"),
        ("tokens", f"{len(manifest.tokens)}: {' '.join(manifest.tokens)}"),
        ("trained by", f"recipe {training.recipe}, seed {training.seed}, {training.steps:,} steps"),
        ("scoring", ", ".join([*limits, f"peak weight {scoring.peak_weight:g}"])),
        ("new phrases", f"fire at {scoring.default_threshold:g}"),
    ]
    lines = [f"{name:<12}{value}" for name, value in facts]
    rows = [row for keyword in manifest.keywords for row in _keyword_rows(keyword)]
    lines += ["", *_table(("keyword", "threshold", "calibrated for", "spelling"), rows)]
    states = [
        (state.name, " x ".join(map(str, state.shape)), state.dtype, str(_bytes(state.shape, state.dtype)))
        for state in manifest.states
    ]
    total = sum(int(row[3]) for row in states)
    lines += ["", *_table(("state", "shape", "type", "bytes"), [*states, ("all", "", "", str(total))])]
    lines += ["", "trained on"]
    lines += [f"  {source.name}, {source.licence}: {source.attribution}" for source in training.data]
    return lines


def _keyword_rows(keyword: Keyword) -> list[tuple[str, ...]]:
    calibration = keyword.calibration
    target = "not calibrated"
    if calibration is not None:
        found = f"{calibration.false_accepts} false in {calibration.hours:.2f} h of {calibration.data}"
        target = f"{calibration.fa_per_hour:g} FA/h ({found})"
    first, *others = [" ".join(spelling) for spelling in keyword.spellings]
    rows = [("", "", "", spelling) for spelling in others]
    return [(keyword.name, f"{keyword.threshold:.4f}", target, first), *rows]


def _bytes(shape: Sequence[int], dtype: str) -> int:
    return math.prod(shape) * _ITEM_BYTES[dtype]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
