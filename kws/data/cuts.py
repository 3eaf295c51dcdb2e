"""Words and runs of words cut out of a corpus's sentences, in real voices.

    python -m kws.data.cuts --root DIR --words on off stop -- mini_librispeech an4
    python -m kws.data.cuts --root DIR --runs 3 -- mini_librispeech

Single words are for words that no set of single words brings; runs, of as many words as 3 s hold, are what a small
model learns from much sooner than from whole sentences. Where a word begins and ends is found by pocketsphinx's forced
alignment (its acoustic model ships in its wheel).
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from kws.audio import read
from kws.data.augment import Wave
from kws.data.manifest import Utterance, rows_of, write_manifest
from kws.data.transcripts import guess
from kws.errors import KwsError, require
from kws.lexicon import Lexicon, load_cmudict
from kws.units import SAMPLE_RATE

_FRAME_SAMPLES = SAMPLE_RATE // 100  # of pocketsphinx
_LEAD = int(0.3 * SAMPLE_RATE)  # the aligner wants silence at both ends
_MARGIN = int(0.03 * SAMPLE_RATE)  # kept on both sides of a word, faded
_SHORTEST_S = 0.12  # anything below is a word that was swallowed or an alignment that failed


Pieces = list[tuple[str, int, int]]  # what is said from which sample to which


class Aligner:
    """Where the words of a transcript lie in a recording."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.decoder = require("pocketsphinx", extra="lexicon").Decoder(lm=None, loglevel="FATAL")

    def words(self, samples: Wave, text: str) -> Pieces:
        """(word, start, end) in samples of (S,) float32 at 16 kHz; empty where the transcript does not fit."""
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
                max(0, segment.start_frame * _FRAME_SAMPLES - _LEAD),
                (segment.end_frame + 1) * _FRAME_SAMPLES - _LEAD,
            )
            for segment in self.decoder.seg() or []
            if not segment.word.startswith(("<", "["))
        ]


def cut(samples: Wave, start: int, end: int) -> Wave:
    """samples[start:end] with a margin on both sides in which it is faded in and out."""
    piece = samples[max(0, start - _MARGIN) : end + _MARGIN].copy()
    ramp = np.linspace(0.0, 1.0, min(_MARGIN, len(piece) // 2), dtype=np.float32)
    piece[: len(ramp)] *= ramp
    piece[len(piece) - len(ramp) :] *= ramp[::-1]
    return piece


def single(words: Sequence[str]) -> Callable[[Pieces], Pieces]:
    """Every one of `words` that is said."""
    return lambda said: [piece for piece in said if piece[0] in words]


def runs(longest_s: float) -> Callable[[Pieces], Pieces]:
    """All that is said, in runs of whole words of up to `longest_s`; a longer word is a run of its own."""

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
    """Writes the pieces that `choose` makes of the aligned words of each of `rows` below `root`, with a manifest that
    keeps speaker and split.

    Returns how many there are, and a line for each recording that could not be used.
    """
    soundfile = require("soundfile", extra="audio")
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
            soundfile.write(str(path), piece, SAMPLE_RATE, subtype="PCM_16")
            made.append(Utterance(path, len(piece) / SAMPLE_RATE, text, row.speaker, row.split))
    write_manifest(root / "manifest.csv", made)
    return len(made), skipped


def _pieces(
    aligner: Aligner, samples: Wave, text: str, choose: Callable[[Pieces], Pieces]
) -> Iterator[tuple[str, int, int]]:
    found = aligner.words(samples, text)
    if [word for word, _, _ in found] != text.split():
        return  # the aligner gave up before the end
    for piece, start, end in choose(found):
        if (end - start) / SAMPLE_RATE >= _SHORTEST_S:
            yield piece, start, end


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command line of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m kws.data.cuts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of the new set")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--words", nargs="+", help="cut these words")
    what.add_argument("--runs", type=float, metavar="SECONDS", help="cut everything into runs of words of this length")
    parser.add_argument("corpora", nargs="+", help="manifests or folders of corpora with transcripts")
    options = parser.parse_args(arguments)
    try:
        rows = rows_of(options.corpora)
        if options.words:
            rows = [row for row in rows if set(row.text.split()) & set(options.words)]
        choose = single(options.words) if options.words else runs(options.runs)
        count, skipped = cut_pieces(options.root, rows, choose, load_cmudict())
    except KwsError as error:
        parser.exit(1, f"kws: {error}\n")
    parser.exit(0, "".join(f"skipped {line}\n" for line in skipped) + f"{count} pieces in {options.root}\n")


if __name__ == "__main__":
    main()
