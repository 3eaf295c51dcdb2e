"""`kws data align`: where the text of each recording is said, by forced alignment.

What needs to know when a word ends, such as the latency of a detector, should not ask the detector.
"""

from collections.abc import Sequence
from dataclasses import replace

from tqdm import tqdm

from kws.audio import read
from kws.data.cuts import Aligner
from kws.data.manifest import Utterance
from kws.errors import KwsError
from kws.lexicon import load_cmudict
from kws.units import seconds


def align(rows: Sequence[Utterance], skipped: list[str]) -> list[Utterance]:
    """The rows with the span of their text, from its first phone to its last (pocketsphinx, to 10 ms).

    A row without text, with a span, or whose text cannot be found in its recording stays as it is; of the last kind
    each gets a line in `skipped`.
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
