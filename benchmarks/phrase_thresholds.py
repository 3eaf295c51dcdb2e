"""Tests whether the threshold of a typed phrase keeps its promise: it is set on half of
the stored speech, and counted on the other half.

    python benchmarks/phrase_thresholds.py [--model phones] [--fa-per-hour 0.5]

Speakers are dealt into two halves at random, ten times; each half sets the thresholds
of everyday phrases, and their events in the other half are counted. A line for each way
to set a threshold: false accepts promised and counted over all phrases and halves, how
many of the (phrase, half) pairs lie inside the central 95 % of their Poisson
distribution, and the geometric mean of the thresholds, which is what the promise costs.
`kws` is the way that kws takes.
"""

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np

from kws.lexicon import spell_all
from kws.lexicon.text import contains
from kws.runtime.detector import Detector
from kws.runtime.speech.phrases import required_speech
from kws.runtime.speech.replay import FLOOR, peaks
from kws.runtime.speech.store import StoredSpeech
from kws.runtime.speech.tail import tail_of
from kws.units import SAMPLE_RATE

PHRASES = """
good morning|good evening|good night|hello there|thank you|how are you|what time is it|turn on the light
turn off the light|open the door|close the window|play some music|stop the music|volume up|volume down|next song
call my mother|set a timer|set an alarm|wake up|go to sleep|hey computer|okay computer|hey jarvis|hey robot
hello kitchen|dear assistant|my lovely house|come here|start the engine|read my messages|take a picture
help me please|lights out|good boy|watch out|lock the door|make coffee|feed the cat|start recording
raise the blinds|hey butler|hello world|listen to me|red alert|emergency stop|next page|answer the phone
abracadabra|computer|alexandra|television|butterfly|microphone|elephant|refrigerator|umbrella|chocolate|telephone
dishwasher|hallelujah|hippopotamus|crocodile|strawberry|constantinople|banana|gorilla|pineapple|thermostat
"""
SPLITS = 10
AT_ONCE = 10  # phrases

Setter = Callable[[Sequence[float], float, float], float]  # scores, hours, FA/h -> a threshold


def names_of_phrases() -> list[str]:
    """The names of the everyday phrases."""
    return [name.strip() for name in PHRASES.replace("\n", "|").split("|") if name.strip()]


def counted(scores: Sequence[float], hours: float, fa_per_hour: float) -> float:
    """The lowest threshold with no more events than promised, as calibration chooses
    it.
    """
    return [*scores, FLOOR][min(math.floor(fa_per_hour * hours), len(scores))] * (1 + 1e-9)


def tail(size: int) -> Setter:
    """The threshold from the tail of so many peaks alone."""

    def threshold(scores: Sequence[float], hours: float, fa_per_hour: float) -> float:
        known, allowed = np.array([*scores, FLOOR]), fa_per_hour * hours
        size_here = min(size, len(scores))
        if size_here <= allowed:
            return float(known[min(math.floor(allowed), len(scores))])
        odds = np.log(known / (1 - known))[: size_here + 1]
        reached = odds[-1] + (odds[:-1] - odds[-1]).mean() * math.log(size_here / allowed)
        return float(1 / (1 + np.exp(-reached)))

    return threshold


def as_kws(scores: Sequence[float], hours: float, fa_per_hour: float) -> float:
    """The threshold that kws sets."""
    return tail_of(scores, hours, fa_per_hour, FLOOR).threshold


SETTERS: dict[str, Setter] = {
    "counted": counted,
    **{f"tail of {size}": tail(size) for size in (10, 20, 30, 50)},
    "kws": as_kws,
}


def heard(speech: StoredSpeech, detector: Detector) -> list[dict[str, list[float]]]:
    """For each phrase, by speaker, the scores of its peaks where it is not said."""
    info, names, found = detector.info, names_of_phrases(), []
    spelled = spell_all(names)
    texts = [" ".join(word for word, _ in recording.words) for recording in speech.recordings]
    for first in range(0, len(names), AT_ONCE):
        some = names[first : first + AT_ONCE]
        scorer = info.scoring.scorer(info.tokens, [spelled[name] for name in some])
        for name, own in zip(some, peaks(speech, scorer, info.scoring), strict=True):
            by_speaker: dict[str, list[float]] = {}
            for peak in own:
                if not contains(texts[peak.recording], name):
                    by_speaker.setdefault(speech.recordings[peak.recording].speaker, []).append(peak.score)
            found.append(by_speaker)
    return found


def within(count: int, expected: float) -> bool:
    """Whether a count is in the central 95 % of the Poisson distribution."""

    def at_most(most: int) -> float:
        return sum(math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(most + 1))

    return at_most(count) > 0.025 and 1 - at_most(count - 1) > 0.025


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="phones")
    parser.add_argument("--fa-per-hour", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    args = parser.parse_args()
    detector = Detector.load(args.model)
    speech = required_speech(detector.model)
    phrases = heard(speech, detector)
    frame_h = speech.frame_samples / SAMPLE_RATE / 3600
    hours: dict[str, float] = {}
    for recording in speech.recordings:
        hours[recording.speaker] = hours.get(recording.speaker, 0.0) + recording.frames * frame_h
    speakers = sorted(hours)
    rng = np.random.default_rng(0)
    halves = []
    while len(halves) < 2 * SPLITS:
        one = set(rng.permutation(speakers)[: len(speakers) // 2].tolist())
        if 0.4 < sum(hours[who] for who in one) / speech.hours < 0.6:
            halves += [one, set(speakers) - one]
    print(f"{len(phrases)} phrases, {speech.hours:.2f} h of {len(speakers)} speakers, {SPLITS} random halves")
    print(f"{'FA/h':>5} {'threshold':<12} {'promised':>9} {'counted':>8} {'ratio':>6} {'within':>12} {'mean':>7}")
    for rate in args.fa_per_hour:
        for name, setter in SETTERS.items():
            print(line(name, setter, rate, phrases, hours, halves))


def line(
    name: str,
    setter: Setter,
    rate: float,
    phrases: Sequence[dict[str, list[float]]],
    hours: dict[str, float],
    halves: Sequence[set[str]],
) -> str:
    """The row of the table for one way to set thresholds."""
    promised, events, inside, logs = 0.0, 0, 0, []
    for half in halves:
        here = sum(hours[who] for who in half)
        there = sum(hours.values()) - here
        for by_speaker in phrases:
            own = sorted((score for who in half for score in by_speaker.get(who, [])), reverse=True)
            threshold = setter(own, here, rate)
            count = sum(score >= threshold for who, found in by_speaker.items() if who not in half for score in found)
            promised += rate * there
            events += count
            inside += within(count, rate * there)
            logs.append(math.log(threshold))
    pairs = len(halves) * len(phrases)
    ratio, mean = events / promised, math.exp(sum(logs) / len(logs))
    return f"{rate:>5g} {name:<12} {promised:>9.0f} {events:>8} {ratio:>6.2f} {f'{inside}/{pairs}':>12} {mean:>7.4f}"


if __name__ == "__main__":
    main()
