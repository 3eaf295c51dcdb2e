"""`kws bench`: print what a model costs on this machine, on one thread."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from kws.cli import options

if TYPE_CHECKING:
    from kws.runtime.bench.measure import Figures


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure a model on this machine: one stream, one thread, noise as its sound."
    parser.epilog = f"examples:\n  kws bench\n  kws bench {options.DEFAULT_MODEL} --json\n"
    options.add_model_argument(parser)
    options.add_json_option(parser, "print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the figures as text or JSON."""
    from kws.runtime.bench.measure import measure
    from kws.runtime.detector import Detector

    figures = measure(Detector.load(args.model))
    print(json.dumps(_values(figures), indent=2) if args.json else _as_text(figures))
    return 0


def _values(figures: Figures) -> dict[str, object]:
    """The figures by name; those that the model does not have are left out."""
    return {name: value for name, value in asdict(figures).items() if value is not None}


def _as_text(figures: Figures) -> str:
    machine = zip(("machine", "system", "versions"), str(figures.machine).splitlines(), strict=True)
    parts = {"model": figures.model_us, "scorer": figures.scorer_us, "push": figures.push_us}
    lines = [
        f"model           {figures.model}, {figures.parameters:,} parameters, {figures.file_mb} MB",
        *(f"{name:<16}{line}" for name, line in machine),
        f"one core        {figures.cpu_s_per_audio_s:.3%} ({figures.times_real_time:.0f} x real time)".replace(
            "%", " %"
        ),
        f"us per {figures.chunk_ms:g} ms     {'p50':>8}{'p95':>8}{'p99':>8}",
        *(f"  {part:<14}{spread.p50:8.0f}{spread.p95:8.0f}{spread.p99:8.0f}" for part, spread in parts.items()),
    ]
    if calls := figures.verifier_us:
        lines.append(f"a candidate     {calls.p50 / 1000:.1f} ms of the verifier (p99 {calls.p99 / 1000:.1f})")
    lines += [
        f"start           {figures.start_s:.2f} s from a new process to its first scores",
        f"peak memory     {figures.peak_mb:.1f} MB of that process (numpy, onnxruntime and kws)",
    ]
    return "\n".join(lines)
