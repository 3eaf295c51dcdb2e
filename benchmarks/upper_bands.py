"""Bandwidth extension: the table by which the mel bands above 3.4 kHz follow from those
below.

    python benchmarks/upper_bands.py --speech SOURCE ... [-o kws/model/upper_bands.csv]

At most 250 recordings of each SOURCE (drawn with seed 0) give hops of 10 ms that are
not silent. Printed: their number, and how far the prediction is from each band, in
nats. The shipped table is of mini_librispeech@train, wake_words@train and
common_voice@train.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from kws import audio
from kws.data.manifest import rows_of
from kws.errors import KwsError
from kws.evaluate.replay.recorded import over_telephone
from kws.model.frontend import FLOOR, LogMel
from kws.units import HOP_SAMPLES

LOWER = 30  # bands below 3.4 kHz, which a telephone leaves
MOST = 250  # recordings of a corpus
AUDIBLE = -6.0  # log energy of the loudest band of a hop that counts
RIDGE = 10.0


def log_mel(samples: np.ndarray) -> np.ndarray:
    """(S,) -> (F, M) log-mel energies of a stream that begins with the sound."""
    mel = LogMel(40)
    pcm = torch.from_numpy(samples[: samples.size // HOP_SAMPLES * HOP_SAMPLES])[None]
    return np.log(mel.energies(pcm, mel.init_state(1))[0][0].double().numpy() + FLOOR)


def hops(sources: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hops of speech as it is and over the telephone, each (F, M)."""
    rng, wide, narrow = np.random.default_rng(0), [], []
    for source in sources:
        rows = rows_of([source])
        for number in rng.permutation(len(rows))[:MOST]:
            try:
                sound = audio.read(rows[number].audio)
            except KwsError as error:
                print(f"skipped: {error}")
                continue
            wide.append(log_mel(sound))
            narrow.append(log_mel(np.concatenate(list(over_telephone(iter([sound]))))))
    heard, telephone = np.concatenate(wide), np.concatenate(narrow)
    counts = heard.max(axis=1) > AUDIBLE
    return heard[counts], telephone[counts]


def fit(wide: np.ndarray, narrow: np.ndarray) -> np.ndarray:
    """(M - LOWER, LOWER + 1): ridge regression of upper bands on lower ones and 1.

    The level does not matter: what is fitted are differences from the mean of the lower
    bands, so the weights of a band add up to 1.
    """
    level = narrow[:, :LOWER].mean(axis=1, keepdims=True)
    lower = np.column_stack([narrow[:, :LOWER] - level, np.ones(len(narrow))])
    squares = lower.T @ lower + RIDGE * np.eye(LOWER + 1)
    table = np.linalg.solve(squares, lower.T @ (wide[:, LOWER:] - level)).T
    table[:, :-1] += (1 - table[:, :-1].sum(axis=1, keepdims=True)) / LOWER
    return table


def main() -> None:
    """Fits, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", nargs="+", required=True, metavar="SOURCE")
    parser.add_argument("-o", "--output", type=Path, help="the table to write")
    args = parser.parse_args()
    wide, narrow = hops(args.speech)
    table = fit(wide, narrow)
    error = narrow[:, :LOWER] @ table[:, :-1].T + table[:, -1] - wide[:, LOWER:]
    print(f"{len(wide)} hops; of bands {LOWER} to {wide.shape[1] - 1}:")
    print(f"  error, nats        {np.sqrt((error**2).mean(axis=0)).round(2)}")
    print(f"  standard deviation {wide[:, LOWER:].std(axis=0).round(2)}")
    if args.output:
        np.savetxt(args.output, table, fmt="%.5f", delimiter=",")


if __name__ == "__main__":
    main()
