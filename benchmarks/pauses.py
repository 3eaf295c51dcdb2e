"""Counts what a pause between the words of a phrase costs, with the words' ends known
and without.

    python benchmarks/pauses.py --clips FOLDER/wake_words@dev [--model wake-words] [--negatives SOURCE ...]
    python benchmarks/pauses.py --clips FOLDER/wake_words --model phones --fa-per-hour 0.5 --negatives SOURCE ...
    python benchmarks/pauses.py --speech FOLDER/mini_librispeech@dev FOLDER/telephone

--clips: recordings whose text is a phrase of several words. Between the first two words
so much of the clip's own quiet is put; the words are cut where pocketsphinx finds their
border. So the sounds are those of fluent speech, which costs some by itself. A model's
own keyword has its threshold; any other phrase is typed and gets one by the stored
speech.

--speech: speech with transcripts. The phrases are two words before and two after a
pause that the speaker made, or a place without one; a phrase is heard where its score
reaches the default threshold of `phones`.

"before" is what kws did until it knew where words end: 480 ms at most anywhere.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from kws import audio
from kws.arrays import Samples
from kws.data.alignment import Aligner
from kws.data.manifest import Utterance, rows_of
from kws.errors import KwsError
from kws.lexicon import load_cmudict
from kws.lexicon.borders import written
from kws.lexicon.text import contains
from kws.runtime.detector import Detector
from kws.units import SAMPLE_RATE, samples, seconds

PAUSES_S = (0.0, 0.3, 0.5, 0.8)
REAL_S = ((0.0, 0.01), (0.1, 0.3), (0.3, 0.5), (0.5, 0.8), (0.8, 1.0), (1.0, 1.2))
_QUIET, _FADE, _LEAD = samples(0.2), samples(0.025), samples(1.0)
_MOST = 400  # phrases of read speech without a pause
_INSIDE_S = 0.05  # a longer gap elsewhere in a phrase of read speech is another pause


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", default=[], metavar="SOURCE")
    parser.add_argument("--speech", nargs="+", default=[], metavar="SOURCE")
    parser.add_argument("--negatives", nargs="+", default=[], metavar="SOURCE")
    parser.add_argument("--model", default="wake-words")
    parser.add_argument("--fa-per-hour", type=float, default=0.5)
    args = parser.parse_args()
    aligner = Aligner(load_cmudict())
    if args.clips:
        clips = list(cut(aligner, [row for row in rows_of(args.clips) if " " in row.text]))
        both = detectors(args.model, sorted({text for text, _, _ in clips}), args.fa_per_hour)
        print(f"{'pause':>6} {'phrase':<16} {'clips':>6} {'before, missed':>15} {'now, missed':>12}")
        for pause_s in PAUSES_S:
            print_missed(clips, both, pause_s)
        print_false(args.negatives, both)
    if args.speech:
        print_real(aligner, rows_of(args.speech))


def detectors(model: str, phrases: Sequence[str], fa_per_hour: float) -> tuple[Detector, Detector]:
    """The phrases without and with the ends of their words."""
    now = Detector.load(model)
    own = {keyword.name for keyword in now.keywords}
    typed = [phrase for phrase in phrases if phrase not in own]
    without = Detector(now.model, [replace(keyword, borders=()) for keyword in now.keywords])
    if not typed:
        return without, now
    now = now.with_phrases(*typed, fa_per_hour=fa_per_hour)
    spelled = [(one.name, "|".join(map(written, one.spellings))) for one in now.keywords if one.name in typed]
    return without.with_phrases(*(f"{name}={phones}" for name, phones in spelled), fa_per_hour=fa_per_hour), now


def cut(aligner: Aligner, rows: Sequence[Utterance]) -> Iterator[tuple[str, Samples, int]]:
    """(text, sound, the sample between its first two words) of each clip in which they
    are found.
    """
    for row in rows:
        sound = audio.read(row.audio)
        words = aligned(aligner, sound, row.text)
        if words:
            yield row.text, sound, (words[0][2] + words[1][1]) // 2


def aligned(aligner: Aligner, sound: Samples, text: str) -> list[tuple[str, int, int]]:
    """The words with their samples; none where they are not found."""
    try:
        words = aligner.words(sound, text)
    except (KwsError, RuntimeError):
        return []
    return words if [word for word, _, _ in words] == text.split() else []


def paused(sound: Samples, place: int, pause_s: float) -> Samples:
    """A clip with so much of its own quietest 0.2 s at `place`, forth and back; a
    second of silence around it.
    """
    lead = np.zeros(_LEAD, np.float32)
    if not pause_s:
        return np.concatenate([lead, sound, lead])
    power = np.convolve(np.square(sound, dtype=np.float64), np.ones(_QUIET), "valid")
    quiet = sound[power.argmin() :][:_QUIET].copy()
    fade = np.sin(np.linspace(0, np.pi / 2, _FADE, dtype=np.float32))
    quiet[:_FADE] *= fade
    quiet[-_FADE:] *= fade[::-1]
    made = np.zeros(samples(pause_s) + 2 * _QUIET, np.float32)
    for number, begin in enumerate(range(0, samples(pause_s) + _FADE, _QUIET - _FADE)):
        made[begin : begin + _QUIET] += quiet[:: -1 if number % 2 else 1]
    between = made[_FADE : _FADE + samples(pause_s)]
    return np.concatenate([lead, sound[:place], between, sound[place:], lead])


def print_missed(clips: Sequence[tuple[str, Samples, int]], both: tuple[Detector, Detector], pause_s: float) -> None:
    """The rows of a table for one length of pause."""
    for phrase in sorted({text for text, _, _ in clips}):
        own = [paused(sound, place, pause_s) for text, sound, place in clips if text == phrase]
        missed = [sum(not fires(detector, phrase, sound) for sound in own) for detector in both]
        print(f"{pause_s:>5.1f}s {phrase:<16} {len(own):>6} {missed[0]:>15} {missed[1]:>12}")


def fires(detector: Detector, phrase: str, sound: Samples) -> bool:
    events = detector.stream().process(sound, last=True).detections
    return any(event.keyword == phrase for event in events)


def print_false(sources: Sequence[str], both: tuple[Detector, Detector]) -> None:
    """False accepts of the phrases of several words in recordings that do not say
    them.
    """
    phrases = [keyword.name for keyword in both[1].keywords if " " in keyword.name]
    counts, heard = np.zeros((2, len(phrases)), int), 0
    for row in rows_of(sources) if sources else ():
        sound = np.pad(audio.read(row.audio), _LEAD)
        heard += len(sound)
        for column, detector in enumerate(both):
            events = detector.stream().process(sound, last=True).detections
            for number, phrase in enumerate(phrases):
                said = contains(row.text, phrase)
                counts[column, number] += 0 if said else sum(event.keyword == phrase for event in events)
    for number, phrase in enumerate(phrases):
        at = [next(one.threshold for one in detector.keywords if one.name == phrase) for detector in both]
        hours = f"{heard / SAMPLE_RATE / 3600:.2f} h"
        print(
            f"{phrase}: {counts[0, number]} false accepts in {hours} at {at[0]:.4f} before, "
            f"{counts[1, number]} at {at[1]:.4f} now"
        )


def print_real(aligner: Aligner, rows: Sequence[Utterance]) -> None:
    """Prints how many phrases of four words around real pauses are heard."""
    detector = Detector.load("phones")
    limit = detector.info.scoring.default_threshold
    found: list[tuple[float, float, float]] = []
    for row in rows:
        words = row.text.split()
        if len(words) < 4 or aligner.lexicon.missing(row.text):
            continue
        sound = audio.read(row.audio)
        spans = aligned(aligner, sound, row.text)
        if spans:
            posteriors = detector.stream().process(np.pad(sound, _LEAD), last=True).log_posteriors
            found += scored(detector, aligner, spans, posteriors)
    print(f"{'pause':>12} {'phrases':>8} {'before, heard':>14} {'now, heard':>11}")
    for least, most in REAL_S:
        own = [one for one in found if least <= one[0] < most]
        own = [own[place] for place in np.random.default_rng(0).permutation(len(own))[:_MOST]]
        before, now = (sum(one[column] >= limit for one in own) for column in (1, 2))
        print(f"{f'{least:g} to {most:g} s':>12} {len(own):>8} {before:>14} {now:>11}")


def scored(
    detector: Detector, aligner: Aligner, spans: Sequence[tuple[str, int, int]], posteriors: np.ndarray
) -> Iterator[tuple[float, float, float]]:
    """(pause, score before, score now) of the phrases around each place between two
    words.
    """
    info = detector.info
    gaps = [seconds(after[1] - before[2]) for before, after in pairwise(spans)]
    for place, gap in enumerate(gaps[1:-1], 1):
        own = spans[place - 1 : place + 3]
        if max(gaps[place - 1], gaps[place + 1]) > _INSIDE_S:
            continue
        first, last = ((sample + _LEAD) // info.frame_samples for sample in (own[0][1], own[-1][2]))
        rows = posteriors[max(0, first - 25) : last + 25]
        spelled = aligner.lexicon.spell_words(" ".join(word for word, _, _ in own))
        scorers = (info.scoring.scorer(info.tokens, [options]) for options in (list(spelled), spelled))
        before, now = (float(scorer.score(rows)[0].max(initial=0.0)) for scorer in scorers)
        yield gap, before, now


if __name__ == "__main__":
    main()
