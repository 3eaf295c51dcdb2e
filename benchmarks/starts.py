"""Counts the false accepts of streams that begin in the middle of speech, beside those
of the same stretches where the whole recording is heard.

    python benchmarks/starts.py --negatives SOURCE ... [--model wake-words] [--seed 0] [--starts 1] [--seconds 3]

Each recording of 4 s or more that says no keyword gives one stretch, or --starts of
them, which may overlap. A stretch begins between a quarter and three quarters of the
recording; where, is drawn from the seed and the name of the file. An event counts where
it ends in the stretch. The stream hears a second more, for after the stretch there is
no silence in the whole recording either.
"""

import argparse
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kws import audio
from kws.arrays import Samples
from kws.data.manifest import Utterance, rows_of
from kws.digits import figure
from kws.evaluate.count.intervals import poisson
from kws.lexicon.text import contains
from kws.runtime.detector import Detector
from kws.units import samples, seconds

_LEAST_S = 4.0  # of a recording
_BEGIN_S = 1.4  # the begin of a stretch, which is counted by itself, too: a word and what the verifier waits
_FURTHER_S = 1.0


class Stretch(NamedTuple):
    """The events that end in a stretch of a recording, by their seconds since its
    begin.

    seconds: its length. cold: of a stream that begins with it. warm: of a stream that
    hears the recording from its begin.
    """

    seconds: float
    cold: tuple[float, ...]
    warm: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--negatives", nargs="+", required=True, metavar="SOURCE")
    parser.add_argument("--model", default="wake-words")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--starts", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    detector = Detector.load(args.model)
    every: list[Stretch] = []
    print("recordings                                   starts  hours  stream          events  FA/h (95 %)")
    for source in args.negatives:
        found = list(stretches(detector, rows_of([source]), args))
        print("\n".join(lines(source, found)), flush=True)
        every += found
    if len(args.negatives) > 1:
        print("\n".join(lines("all", every)))


def stretches(detector: Detector, rows: Sequence[Utterance], args: argparse.Namespace) -> Iterator[Stretch]:
    """The stretches of each recording that is long enough and says no keyword."""
    names = [keyword.name for keyword in detector.keywords]
    for row in rows:
        if any(contains(row.text, name) for name in names):
            continue
        sound = audio.read(row.audio)
        if seconds(len(sound)) >= _LEAST_S:
            begins = begins_of(row.audio.name, len(sound), args.seed, args.starts)
            yield from heard(detector, sound, begins, samples(args.seconds))


def begins_of(name: str, length: int, seed: int, count: int) -> list[int]:
    """The samples at which a recording of so many is begun: the same for a seed and a
    name, whatever else is counted.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode(errors="surrogateescape"))])
    return [int(rng.integers(length // 4, 3 * length // 4)) for _ in range(count)]


def heard(detector: Detector, sound: Samples, begins: Sequence[int], most: int) -> Iterator[Stretch]:
    """The stretch of at most so many samples from each of `begins` on. sound: (S,) of
    the recording.
    """
    whole = ends(detector, sound)
    for begin in begins:
        length_s = seconds(min(most, len(sound) - begin))
        cold = ends(detector, sound[begin : begin + most + samples(_FURTHER_S)])
        warm = (time - seconds(begin) for time in whole)
        yield Stretch(length_s, *(tuple(time for time in times if 0 < time <= length_s) for times in (cold, warm)))


def ends(detector: Detector, sound: Samples) -> list[float]:
    """The ends of the events of a fresh stream, in seconds."""
    return [event.end_s for event in detector.stream().process(sound, last=True).detections]


def lines(source: str, found: Sequence[Stretch]) -> Iterator[str]:
    """The rows of the table for a source: events of both kinds of streams, in the
    stretches and in their begins.
    """
    begun, hours = f"{source[-42:]:<44} {len(found):>6}", sum(one.seconds for one in found) / 3600
    begin_hours = sum(min(one.seconds, _BEGIN_S) for one in found) / 3600
    for label, times in (("begins there", [one.cold for one in found]), ("hears all", [one.warm for one in found])):
        own = [time for some in times for time in some]
        first = [time for time in own if time <= _BEGIN_S]
        yield f"{begun}  {hours:5.2f}  {label:<14} {rated(len(own), hours)}"
        yield f"{'':<51}  {begin_hours:5.2f}  {f'its first {_BEGIN_S} s':<14} {rated(len(first), begin_hours)}"
        begun = f"{'':<51}"


def rated(count: int, hours: float) -> str:
    """A count with its rate per hour and its 95 % interval (Garwood 1936)."""
    if not hours:
        return f"{count:>7}"
    low, high = poisson(count, hours)
    return f"{count:>7}  {figure(count / hours)} ({figure(low)} to {figure(high)})"


if __name__ == "__main__":
    main()
