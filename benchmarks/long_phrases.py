"""Counts how often a typed phrase of many words is heard, with the limit of a word and
with the limit that grows with its phones.

    python benchmarks/long_phrases.py FOLDER@dev

FOLDER is a prepared corpus of read speech with transcripts, such as mini_librispeech.
The phrases are the first words of its recordings, as the dictionary spells them; a
phrase is heard where its score reaches the default threshold of the model in the
recording that begins with it, and false where it does so in recordings of others.
Phrases that the dictionary cannot spell are left out.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kws import audio
from kws.data.manifest import Utterance, rows_of
from kws.decoding.scorer import KeywordScorer
from kws.lexicon import Spelling, load_cmudict
from kws.runtime.detector import Detector
from kws.units import SAMPLE_RATE

WORDS = (3, 5, 8, 10, 12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a manifest, or MANIFEST@SPLIT")
    parser.add_argument("--model", default="phones")
    parser.add_argument("--most", type=int, default=110, help="phrases of each length (default: 110)")
    args = parser.parse_args()
    detector = Detector.load(args.model)
    rows = sorted(rows_of([args.source]), key=lambda row: str(row.audio))
    rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    posteriors = [detector.stream().process(audio.read(row.audio), last=True).log_posteriors for row in rows]
    print(f"{'words':>5} {'phones':>6} {'heard':>12} {'within 2 s':>12} {'false':>6} {'hours x phrases':>16}")
    for count in WORDS:
        print(line(detector, rows, posteriors, count, args.most))


def line(
    detector: Detector, rows: Sequence[Utterance], posteriors: Sequence[NDArray[np.float32]], count: int, most: int
) -> str:
    """The row of the table for phrases of `count` words."""
    scoring = detector.info.scoring
    chosen = phrases(rows, count)[:most]
    grown = [scoring.scorer(detector.info.tokens, [spellings]) for _, spellings in chosen]
    within = [limited(detector, spellings) for _, spellings in chosen]
    heard, before = (
        sum(fires(scorer, posteriors[row], detector) for (row, _), scorer in zip(chosen, scorers, strict=True))
        for scorers in (grown, within)
    )
    false, frames = 0, 0
    for (row, _), scorer in zip(chosen, grown, strict=True):
        other = posteriors[(row + len(rows) // 2) % len(rows)]  # one recording of other words
        false += fires(scorer, other, detector)
        frames += len(other)
    hours = frames * detector.info.frame_samples / SAMPLE_RATE / 3600
    phones = np.mean([len(spellings[0]) for _, spellings in chosen])
    of = len(chosen)
    return f"{count:>5} {phones:>6.1f} {f'{heard}/{of}':>12} {f'{before}/{of}':>12} {false:>6} {hours:>16.2f}"


def phrases(rows: Sequence[Utterance], count: int) -> list[tuple[int, list[Spelling]]]:
    """(row, spellings) of the first `count` words of each recording that says more."""
    lexicon = load_cmudict()
    found = []
    for number, row in enumerate(rows):
        words = row.text.split()
        phrase = " ".join(words[:count])
        if len(words) > count and not lexicon.missing(phrase):
            found.append((number, lexicon.spell(phrase)))
    return found


def limited(detector: Detector, spellings: Sequence[Spelling]) -> KeywordScorer:
    """A scorer that allows every phrase what a word may take."""
    scoring, ids = detector.info.scoring, {token: number for number, token in enumerate(detector.info.tokens)}
    return KeywordScorer(
        [[ids[phone] for phone in spelling] for spelling in spellings],
        [0] * len(spellings),
        peak_weight=scoring.peak_weight,
        max_duration_frames=scoring.max_duration_frames,
        max_gap_frames=scoring.max_gap_frames,
    )


def fires(scorer: KeywordScorer, log_posteriors: NDArray[np.float32], detector: Detector) -> bool:
    """Whether the score of the one keyword reaches the default threshold."""
    scores, _, _ = scorer.score(log_posteriors)
    return bool(scores.max(initial=0.0) >= detector.info.scoring.default_threshold)


if __name__ == "__main__":
    main()
