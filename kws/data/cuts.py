"""`kws data cut`: words and runs of words cut out of a corpus's sentences, in real
voices.

Single words serve where no corpus of single words has them. Runs hold as many words as
3 s take; a small model learns from them much sooner than from whole sentences.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kws.arrays import Samples
from kws.audio import read
from kws.data.alignment import Aligner, Pieces
from kws.data.manifest import Utterance, write_manifest
from kws.data.sound_file import write_sound
from kws.errors import KwsError
from kws.lexicon import Lexicon
from kws.units import SAMPLE_RATE

_MARGIN = int(0.03 * SAMPLE_RATE)  # kept on both sides of a word, faded
_SHORTEST_S = 0.12  # anything below is a word that was swallowed or an alignment that failed


def cut(samples: Samples, start: int, end: int) -> Samples:
    """samples[start:end] with a margin on both sides in which it is faded in and
    out.
    """
    piece = samples[max(0, start - _MARGIN) : end + _MARGIN].copy()
    ramp = np.linspace(0.0, 1.0, min(_MARGIN, len(piece) // 2), dtype=np.float32)
    piece[: len(ramp)] *= ramp
    piece[len(piece) - len(ramp) :] *= ramp[::-1]
    return piece


def single(words: Sequence[str]) -> Callable[[Pieces], Pieces]:
    """Pieces of single words: all occurrences of `words`."""
    return lambda said: [piece for piece in said if piece[0] in words]


def runs(longest_s: float) -> Callable[[Pieces], Pieces]:
    """Pieces of whole words in a row: the recording in runs of up to `longest_s`; a
    longer word is a run of its own.
    """

    def choose(said: Pieces) -> Pieces:
        made: Pieces = []
        for word, start, end in said:
            if made and end - made[-1][1] <= longest_s * SAMPLE_RATE:
                made[-1] = (f"{made[-1][0]} {word}", made[-1][1], end)
            else:
                made.append((word, start, end))
        return made

    return choose


def cut_pieces(
    root: Path, rows: Sequence[Utterance], choose: Callable[[Pieces], Pieces], lexicon: Lexicon
) -> tuple[int, list[str]]:
    """Writes the pieces that `choose` makes of the aligned words of each of `rows`
    below `root`, with a manifest that keeps speaker and split.

    Returns how many there are, and a line for each recording that could not be used.
    """
    aligner = Aligner(lexicon)
    made: list[Utterance] = []
    skipped: list[str] = []
    for row in tqdm(rows, "cutting", leave=False, disable=None):
        try:
            samples = read(row.audio)
            pieces = list(_pieces(aligner, samples, row.text, choose))
        except (KwsError, RuntimeError) as error:  # RuntimeError: pocketsphinx finds no alignment
            skipped.append(f"{row.audio}: {error}")
            continue
        for text, start, end in pieces:
            path = root / "clips" / (text if " " not in text else "runs") / f"{row.audio.stem}_{start}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            piece = cut(samples, start, end)
            write_sound(path, piece)
            made.append(Utterance(path, len(piece) / SAMPLE_RATE, text, row.speaker, row.split))
    write_manifest(root / "manifest.csv", made)
    return len(made), skipped


def _pieces(
    aligner: Aligner, samples: Samples, text: str, choose: Callable[[Pieces], Pieces]
) -> Iterator[tuple[str, int, int]]:
    found = aligner.words(samples, text)
    if [word for word, _, _ in found] != text.split():
        return  # the aligner gave up before the end
    for piece, start, end in choose(found):
        if (end - start) / SAMPLE_RATE >= _SHORTEST_S:
            yield piece, start, end
