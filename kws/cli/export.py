"""`kws export`: write a checkpoint as one .onnx file, and verify it."""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.errors import KwsError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Write a checkpoint as one .onnx file (PCM in, log-posteriors and states out) and verify it."
    parser.epilog = (
        "examples:\n"
        "  kws export runs/wake-words/model.ckpt -o wake-words.onnx\n"
        "  kws export runs/wake-words/model.ckpt -o low-latency.onnx --chunk-frames 1\n"
        "  kws export runs/mine/verifier.ckpt --first-pass wake-words -o mine.onnx\n"
        "  kws export runs/wake-words/model.ckpt --second-pass wake-words -o new.onnx\n"
        "  kws export runs/*/verifier.ckpt --first-pass wake-words -o their-mean.onnx\n"
        "then set thresholds on audio of yours: kws calibrate wake-words.onnx ..."
    )
    parser.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="model.ckpt or verifier.ckpt, as `kws train` wrote it; of several verifiers the mean counts",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .onnx file to write")
    parser.add_argument("--name", help="the model's name (default: the recipe's)")
    parser.add_argument("--chunk-frames", type=int, help="frames of 40 ms per call: latency against CPU (default: 2)")
    parser.add_argument(
        "--first-pass",
        metavar="MODEL",
        help="of a verifier: the model whose candidates it verifies, a file or the name of one that ships",
    )
    parser.add_argument(
        "--second-pass",
        metavar="MODEL",
        help="of a first pass: the model whose verifiers verify its candidates, a file or the name of one that ships",
    )
    parser.add_argument(
        "--floor",
        type=float,
        metavar="SCORE",
        help="with --second-pass: the first pass's score from which on its verifiers are asked (default: the model's)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the file and say what is in it; a KwsError where ONNX and torch differ."""
    if args.first_pass is not None and args.chunk_frames is not None:
        raise KwsError("--chunk-frames does nothing with --first-pass: the first pass has its chunks already")
    if args.first_pass is not None and args.second_pass is not None:
        raise KwsError("--first-pass belongs to a verifier and --second-pass to a first pass: give one of them")
    if args.first_pass is not None:
        from kws.export.pair import write_pair
        from kws.runtime.shipped import find

        print(write_pair(args.checkpoints, find(args.first_pass), args.output, args.name))
        return 0
    from kws.export.write import write_model
    from kws.model.verifier_checkpoint import is_verifier

    checkpoint = args.checkpoints[0]
    if is_verifier(checkpoint):
        raise KwsError(f"{checkpoint} is a verifier: say whose candidates it verifies with --first-pass MODEL")
    if len(args.checkpoints) > 1:
        raise KwsError("several checkpoints go into one file only where they are verifiers: give one, or --first-pass")
    if args.second_pass is not None:
        from kws.export.takeover import write_with_verifiers_of
        from kws.runtime.shipped import find

        if args.chunk_frames is not None:
            raise KwsError("--chunk-frames does nothing with --second-pass: its first pass has chunks of two frames")
        second = find(args.second_pass)
        print(write_with_verifiers_of(checkpoint, second, args.output, args.name, args.floor))
        return 0
    if args.floor is not None:
        raise KwsError("--floor says when verifiers are asked: give --second-pass MODEL, too")
    print(write_model(checkpoint, args.output, args.name, 2 if args.chunk_frames is None else args.chunk_frames))
    return 0
