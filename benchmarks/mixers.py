"""Training step time of the mixers at equal parameters, side by side in one run.

    python benchmarks/mixers.py [--threads 2] [--seconds 10] [--rounds 8]

Each round times one whole step (encoder forward in bfloat16, CTC, backward) of every mixer in turn, so that a slow
moment of the machine meets all alike; ratios are medians over rounds of the time against the LSTM's of the same round.

What was tried, and what it gave (two cores, x86-64 with AVX512-BF16, 160 s of audio a step):
- attention by blocks of W queries against 2 W - 1 keys, batched matrix products and an explicit softmax: about as
  fast as the LSTM (figures: recipes/wake_words/RESULTS.md); attention over whole utterances grows with their length.
- the mask of empty cache slots added to the first block's scores alone, not to all: XSA 1.15 -> about 1.07 of the LSTM.
- glibc keeping freed memory (kws.train.run.keep_freed_memory): the frontend of a step 0.28 s -> 0.10 s on a busy
  machine, the whole step about a third faster, for every mixer: large activations were mapped anew in each step.
- depthwise convolution as shifted sums instead of Conv1d: 10 ms against 35 ms a layer, forward and backward.
"""

import argparse
import time

import numpy as np
import torch

from kws.model.acoustic import AcousticConfig, AcousticModel, parameter_count
from kws.model.mixers import SEGMENT, STREAMING
from kws.train.run import keep_freed_memory
from kws.train.task import ctc_loss

AUDIO_SECONDS = 160  # of a batch


def main() -> None:
    """Prints one line per mixer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of an utterance")
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    keep_freed_memory()
    names = [*STREAMING, *SEGMENT]
    models = {name: AcousticModel(AcousticConfig(mixer=name)).train() for name in names}
    batch = make_batch(args.seconds)
    for name in names:
        step(models[name], *batch)
    times = np.array([[step(models[name], *batch) for name in names] for _ in range(args.rounds)])
    ratios = np.median(times / times[:, [names.index("lstm")]], axis=0)
    print(f"{batch[0].shape[0]} utterances of {args.seconds:g} s, {args.threads} threads, {args.rounds} rounds")
    for name, median, ratio in zip(names, np.median(times, axis=0), ratios, strict=True):
        print(f"{name:<10}{parameter_count(models[name]):>10,} parameters{median * 1e3:8.0f} ms{ratio:8.2f} x lstm")


def make_batch(seconds: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalised mel (B, 4 T, M), frames (B,), targets and their lengths (B,), made of noise."""
    rows, frames = round(AUDIO_SECONDS / seconds), round(seconds * 25)
    labels = frames // 4
    targets = torch.randint(1, 40, (rows * labels,))
    return (
        torch.randn(rows, 4 * frames, 40),
        torch.full((rows,), frames),
        targets,
        torch.full((rows,), labels),
    )


def step(
    model: AcousticModel,
    mel: torch.Tensor,
    frames: torch.Tensor,
    targets: torch.Tensor,
    lengths: torch.Tensor,
) -> float:
    """Seconds of forward, loss and backward."""
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        log_posteriors = model.whole(mel, frames)
    ctc_loss(log_posteriors, frames, targets, lengths).backward()
    spent = time.perf_counter() - started
    model.zero_grad()
    return spent


if __name__ == "__main__":
    main()
