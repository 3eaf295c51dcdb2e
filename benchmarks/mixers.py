"""Training step time of the mixers at equal parameters, side by side in one run.

    python benchmarks/mixers.py [--threads 2] [--seconds 10] [--rounds 8] [--mixers gru memory xsa,static ...]

Each round times one whole step (encoder forward in bfloat16, CTC, backward) of every
mixer in turn, so that a slow moment of the machine meets all alike; ratios are medians
over rounds of the time against the LSTM's of the same round.

What was tried, and what it gave: docs/decisions.md, "A step of attention as
fast as the LSTM's".
"""

import argparse

from kws.lab.cost import step_times
from kws.model.acoustic import AcousticConfig
from kws.model.mixers import SEGMENT, STREAMING

AUDIO_SECONDS = 160  # of a batch


def main() -> None:
    """Print the time of a step and its ratio to the LSTM's, one line per mixer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of an utterance")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--mixers", nargs="+", default=["sa", "xsa"], help="patterns to time beside lstm (or: all)")
    args = parser.parse_args()
    rows = round(AUDIO_SECONDS / args.seconds)
    asked = [*STREAMING, *SEGMENT] if args.mixers == ["all"] else args.mixers
    configs = {name: AcousticConfig(mixer=name) for name in ["lstm", *asked]}
    times = step_times(configs, rows, args.seconds, args.rounds, args.threads)
    print(f"{rows} utterances of {args.seconds:g} s, {args.threads} threads, {args.rounds} rounds")
    for name, time in times.items():
        print(f"{name:<14}{time.parameters:>10,} parameters{time.median_ms:8.0f} ms{time.ratio:8.2f} x lstm")


if __name__ == "__main__":
    main()
