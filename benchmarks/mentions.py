"""Counts how often a word fires that is said alone, and how often one that a sentence
only mentions: anywhere, and after a pause alone (`--after-pause`).

    python benchmarks/mentions.py FOLDER/telephone --word operator --word "wildfire=W AY L D F AY ER" [--snr 10]

A row of the manifest says where its word begins and ends. A word counts as heard where
an event ends between its begin and 0.75 s after its end. The thresholds are those of
typed phrases for `phones`, by its stored speech, or one for all.
"""

import argparse

import numpy as np

from kws import audio
from kws.data.manifest import Utterance, rows_of
from kws.lexicon.text import contains, says
from kws.runtime.detector import Detector
from kws.units import samples

_AFTER_S, _LEAD = 0.75, samples(1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="+", help="manifests, or MANIFEST@SPLIT")
    parser.add_argument("--word", action="append", required=True, metavar="PHRASE")
    parser.add_argument("--fa-per-hour", type=float, default=0.5)
    parser.add_argument("--threshold", type=float, help="of every word, instead of one for --fa-per-hour")
    parser.add_argument("--snr", type=float, help="dB, of white noise under each recording")
    args = parser.parse_args()
    anywhere = Detector.load("phones").with_phrases(*args.word, fa_per_hour=args.fa_per_hour)
    if args.threshold:
        anywhere = anywhere.with_threshold(args.threshold)
    names = [keyword.name for keyword in anywhere.keywords]
    counts = np.zeros((2, len(names), 3), int)  # alone or mentioned; word; said, heard anywhere, heard after a pause
    for row in rows_of(args.source):
        own = [number for number, name in enumerate(names) if row.span and contains(row.text, name)]
        if own:
            fired = events(anywhere, row, args.snr)
            for number in own:
                alone = says(row.text, names[number])
                counts[0 if alone else 1, number] += 1, *(number in heard for heard in fired)
    heads = f"{'said':>7} {'heard':>7} {'after a pause':>14}"
    print(f"{'':<14} alone: {heads}   mentioned: {heads}")
    for name, alone, mentioned in zip([*names, "all"], *(with_sum(part) for part in counts), strict=True):
        columns = [f"{own[0]:>7} {own[1]:>7} {own[2]:>14}" for own in (alone, mentioned)]
        print(f"{name:<14}        {columns[0]}              {columns[1]}")


def with_sum(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([counts, counts.sum(axis=0, keepdims=True)])


def events(detector: Detector, row: Utterance, snr: float | None) -> tuple[set[int], set[int]]:
    """The words that fire where the row says its word: anywhere, and after a pause
    alone.
    """
    assert row.span
    sound = np.pad(audio.read(row.audio), _LEAD)
    if snr is not None:
        noise = np.random.default_rng(0).standard_normal(sound.size)
        speech = sound[_LEAD + samples(row.span[0]) : _LEAD + samples(row.span[1])]
        sound = (sound + noise * np.sqrt(np.mean(speech**2) / 10 ** (snr / 10))).astype(np.float32)
    result = detector.stream().process(sound, last=True)
    size = detector.info.frame_samples
    frames = len(sound) // size
    scores, ages = result.scores[:frames], result.ages[:frames]
    pause = detector.said_after_pause().new_pause_before()
    assert pause is not None
    begin, end = (samples(second) + _LEAD for second in (row.span[0], row.span[1] + _AFTER_S))
    found: list[set[int]] = []
    for own in (scores, pause.hear(sound[: frames * size], 0, scores, ages)):
        fired, _ = detector.trigger.run(own, ages, 0, detector.trigger.init_state())
        found.append({keyword for frame, keyword in fired if begin <= (frame + 1) * size <= end})
    return found[0], found[1]


if __name__ == "__main__":
    main()
