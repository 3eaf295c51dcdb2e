"""Measures the cost of a model: multiply-accumulates, CPU time of a stream, and time of
a training step.

Shapes: B batch, T frames of 40 ms, M mel bands.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kws.export.write import write_model
from kws.model.acoustic import AcousticModel, parameter_count
from kws.model.config import AcousticConfig
from kws.runtime.bench.measure import CallCost, time_graphs
from kws.runtime.session import OnnxModel
from kws.train.losses.total import ctc_loss
from kws.train.process.malloc import keep_freed_memory
from kws.units import SAMPLE_RATE


@dataclass(frozen=True)
class StreamCost:
    """A streaming model through ONNX on one thread.

    calls: its speed. difference: the largest between its log-posteriors and torch's, as
    the export found it.
    """

    calls: CallCost
    difference: float


@dataclass(frozen=True)
class StepTime:
    """The time of a training step.

    median_ms: over rounds. ratio: median over rounds of its time against the first
    model's.
    """

    parameters: int
    median_ms: float
    ratio: float


def macs_per_second(model: AcousticModel, seconds: float) -> int:
    """Multiply-accumulates per second of audio, of the encoder and the head that reads
    its tokens.

    A streaming model is counted for one frame of an endless stream, with its window
    full; a segment model over a segment of `seconds`. Products of matrices are counted;
    the frontend, which all models share, is left out, and so is work on single elements
    (norms, softmax, gates, the depthwise convolution: about 1 % with attention).
    """
    frames = 1 if model.streaming else max(1, round(seconds * SAMPLE_RATE / model.stride))
    # In double precision, for which torch has no fused recurrent layers: those hide their products from the counter.
    exact = copy.deepcopy(model).double().eval()

    def heard(batch: int) -> int:
        mel = torch.zeros(batch, frames * model.subsampling.stride, model.config.mels, dtype=torch.float64)
        return multiply_accumulates(lambda: exact.whole(mel, torch.full((batch,), frames)))

    # The difference, because what depends on no sound (maps of a fixed reference) is done once, for any number of them.
    return round((heard(2) - heard(1)) * SAMPLE_RATE / (frames * model.stride))


def multiply_accumulates(call: Callable[[], object]) -> int:
    """The multiply-accumulates of the matrix products in a call."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return int(counter.get_total_flops()) // 2


def stream_cost(checkpoints: Mapping[str, Path], folder: Path, rounds: int) -> dict[str, StreamCost]:
    """Exports each checkpoint to `folder`/NAME.onnx and times the graphs in turns,
    `rounds` times each.

    Raises KwsError for a checkpoint that cannot be exported: a segment model, or one
    whose graph computes otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {name: write_model(path, folder / f"{name}.onnx") for name, path in checkpoints.items()}
    costs = time_graphs({name: OnnxModel.load(file.path) for name, file in written.items()}, rounds)
    return {name: StreamCost(costs[name], file.difference) for name, file in written.items()}


def step_times(
    configs: Mapping[str, AcousticConfig],
    rows: int,
    seconds: float,
    rounds: int,
    threads: int,
    precision: str = "bf16-mixed",
) -> dict[str, StepTime]:
    """Times whole training steps (encoder forward, CTC, backward) on `rows` utterances
    of `seconds`.

    precision: as in a recipe, "bf16-mixed" or "32-true". Each round takes one step of
    every model in turn, so that a slow moment of the machine meets all alike.
    """
    keep_freed_memory()
    models = {name: AcousticModel(config).train() for name, config in configs.items()}
    generator = torch.Generator().manual_seed(0)
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed")
    with threads_set_to(threads):
        batches = {name: noise_batch(model.config, rows, seconds, generator) for name, model in models.items()}
        for name, model in models.items():
            step_seconds(model, mixed, *batches[name])  # the first step allocates
        spent = [[step_seconds(model, mixed, *batches[name]) for name, model in models.items()] for _ in range(rounds)]
    times = np.array(spent)
    medians, ratios = np.median(times, axis=0), np.median(times / times[:, :1], axis=0)
    return {
        name: StepTime(parameter_count(model), 1000 * float(median), float(ratio))
        for (name, model), median, ratio in zip(models.items(), medians, ratios, strict=True)
    }


def noise_batch(config: AcousticConfig, rows: int, seconds: float, generator: torch.Generator) -> list[Tensor]:
    """Normalised mel (B, 4 T, M), frames (B,), targets of all rows in one and their
    lengths (B,), made of noise.
    """
    frames = round(25 * seconds)
    labels = frames // 4
    return [
        torch.randn(rows, 4 * frames, config.mels, generator=generator),
        torch.full((rows,), frames),
        torch.randint(1, len(config.tokens), (rows * labels,), generator=generator),
        torch.full((rows,), labels),
    ]


def step_seconds(
    model: AcousticModel,
    mixed: torch.autocast,
    mel: Tensor,
    frames: Tensor,
    targets: Tensor,
    target_lengths: Tensor,
) -> float:
    """Seconds of forward (in the precision of `mixed`), loss and backward."""
    started = time.perf_counter()
    with mixed:
        log_posteriors = model.whole(mel, frames)
    ctc_loss(log_posteriors, frames, targets, target_lengths).backward()
    spent = time.perf_counter() - started
    model.zero_grad()
    return spent


@contextmanager
def threads_set_to(threads: int) -> Iterator[None]:
    """Lets torch compute on so many threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
