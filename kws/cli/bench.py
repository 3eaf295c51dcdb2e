"""`kws bench`: print what a model costs on this machine, on one thread."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kws.cli import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure a model on this machine: one stream, one thread, noise as its sound."
    parser.epilog = f"examples:\n  kws bench\n  kws bench {options.DEFAULT_MODEL} --json\n"
    options.add_model_argument(parser)
    options.add_json_option(parser, "print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the figures as text or JSON."""
    from kws.runtime.bench import measure
    from kws.runtime.detector import Detector

    figures = measure(Detector.load(args.model))
    print(json.dumps(figures, indent=2) if args.json else _as_text(figures))
    return 0


def _machine(fields: dict[str, Any]) -> list[str]:
    """A line each for the processor, the system and the versions."""
    from kws.runtime.board import Board

    names = ("machine", "system", "versions")
    return [f"{name:<16}{line}" for name, line in zip(names, str(Board(**fields)).splitlines(), strict=True)]


def _as_text(figures: dict[str, Any]) -> str:
    share, times = 100 * figures["cpu_s_per_audio_s"], figures["times_real_time"]
    parts = {part: figures[f"{part}_us"] for part in ("model", "scorer", "push")}
    calls = figures.get("verifier_us")
    verifier = (
        []
        if calls is None
        else [f"a candidate     {calls['p50'] / 1000:.1f} ms of the verifier (p99 {calls['p99'] / 1000:.1f})"]
    )
    return "\n".join(
        [
            f"model           {figures['model']}, {figures['parameters']:,} parameters, {figures['file_mb']} MB",
            *_machine(figures["machine"]),
            f"one core        {share:.3f} % ({times:.0f} x real time)",
            f"us per {figures['chunk_ms']:g} ms     {'p50':>8}{'p95':>8}{'p99':>8}",
            *(
                f"  {part:<14}" + "".join(f"{spread[p]:8.0f}" for p in ("p50", "p95", "p99"))
                for part, spread in parts.items()
            ),
            *verifier,
            f"start           {figures['start_s']:.2f} s from a new process to its first scores",
            f"peak memory     {figures['peak_mb']:.1f} MB of that process (numpy, onnxruntime and kws)",
        ]
    )
