"""Forced alignment: finds where in a recording the words of its transcript are said.

A figure that needs the end of a word, such as the latency of a detector, must not take
it from the detector. pocketsphinx aligns; its acoustic model ships in its wheel.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from kws.arrays import Samples
from kws.audio import read
from kws.data.manifest import Utterance
from kws.data.transcripts import guess
from kws.errors import KwsError, require
from kws.lexicon import Lexicon, load_cmudict
from kws.units import HOP_SAMPLES, SAMPLE_RATE, seconds

_LEAD = int(0.3 * SAMPLE_RATE)  # the aligner wants silence at both ends

Pieces = list[tuple[str, int, int]]  # what is said from which sample to which


class Aligner:
    """Finds the words of a transcript in a recording."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.decoder = require("pocketsphinx", extra="lexicon").Decoder(lm=None, loglevel="FATAL")

    def words(self, samples: Samples, text: str) -> Pieces:
        """(word, start, end) in samples of (S,) float32 at 16 kHz; empty where the
        transcript does not fit.
        """
        for word in set(text.split()):
            if self.decoder.lookup_word(word) is None:
                self.decoder.add_word(word, " ".join(guess(word, self.lexicon)), True)
        pcm = np.clip(np.pad(samples, _LEAD) * 32767, -32768, 32767).astype("<i2")
        self.decoder.set_align_text(text)
        self.decoder.start_utt()
        self.decoder.process_raw(pcm.tobytes(), full_utt=True)
        self.decoder.end_utt()
        return [
            (
                segment.word.partition("(")[0],
                max(0, segment.start_frame * HOP_SAMPLES - _LEAD),
                (segment.end_frame + 1) * HOP_SAMPLES - _LEAD,
            )
            for segment in self.decoder.seg() or []
            if not segment.word.startswith(("<", "["))
        ]


def align(rows: Sequence[Utterance], skipped: list[str]) -> list[Utterance]:
    """The rows with the span of their text, from its first phone to its last
    (pocketsphinx, to 10 ms).

    A row without text, with a span, or whose text cannot be found in its recording
    stays as it is; of the last kind each gets a line in `skipped`.
    """
    aligner = Aligner(load_cmudict())
    return [_aligned(aligner, row, skipped) for row in tqdm(rows, "aligning", unit="clip", leave=False, disable=None)]


def _aligned(aligner: Aligner, row: Utterance, skipped: list[str]) -> Utterance:
    if not row.text or row.span:
        return row
    try:
        samples = read(row.audio)
        found = aligner.words(samples, row.text)
    except (KwsError, RuntimeError) as error:  # RuntimeError: pocketsphinx finds no alignment
        skipped.append(f"{row.audio}: {error}")
        return row
    if [word for word, _, _ in found] != row.text.split():
        skipped.append(f"{row.audio}: '{row.text}' is not found in it")
        return row
    return replace(row, span=(seconds(found[0][1]), seconds(min(found[-1][2], len(samples)))))
