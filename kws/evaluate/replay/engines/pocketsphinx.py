"""pocketsphinx (Carnegie Mellon University): keyword spotting with its US English
acoustic model and dictionary.

It fires where the likelihood of the keyword's phones against a loop of all phones
reaches `kws_threshold`. That ratio stands in its result, so one decoder with a very low
threshold gives the score at all others: 1 / (1 + ratio ** (-1 / 25)), which is 0.5 at a
ratio of 1, 0.06 at its default threshold of 1e-30 and 0.01 at 1e-50. A keyword is any
phrase of words in its dictionary, also "NAME=PHRASE".
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kws.errors import KwsError
from kws.evaluate.replay.engines import REQUIREMENTS, package

_DEFAULT, _LOWEST = 1e-30, 1e-50  # kws_threshold
_DECADES = 25
_OFFSET = 1500  # KWS_MAX in kws_search.c: what it takes from the ratio's logarithm before it gives it out
_SHIFT = 10  # SENSCR_SHIFT in hmm.h: its logarithms are kept without their last bits
_LISTED = 200  # results of an utterance; they pile up until it ends


class PocketSphinx:
    """The adapter of pocketsphinx, an `Engine` of `kws.evaluate.replay.systems`."""

    version = REQUIREMENTS["pocketsphinx"][0]
    chunk_samples = 1280

    def __init__(self, keywords: Sequence[str]) -> None:
        engine = package("pocketsphinx", "pocketsphinx")
        if not keywords:
            raise KwsError("pocketsphinx has no keyword of its own: say what to hear with --keyword")
        phrases = dict(_name_and_phrase(keyword) for keyword in keywords)
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "keyphrases"
            lines = (f"{phrase} /{_LOWEST}/\n" for phrase in phrases.values())
            listed.write_text("".join(lines), encoding="utf-8")
            self._decoder = engine.Decoder(kws=str(listed), loglevel="FATAL")
        for word in " ".join(phrases.values()).split():
            if self._decoder.lookup_word(word) is None:
                raise KwsError(f"{word!r} is not in pocketsphinx's dictionary: it cannot spot that")
        self.keywords = list(phrases)
        self.thresholds = [_score(math.log10(_DEFAULT))] * len(phrases)
        model = Path(engine.get_model_path("en-us/en-us"))
        self.size_bytes = sum(file.stat().st_size for file in model.iterdir())
        self._phrases = list(phrases.values())
        self._cepstral_mean = self._decoder.get_cmn(False)
        self._seen: set[tuple[str, int, int]] = set()
        self._decoder.start_utt()

    def process(self, chunk: npt.NDArray[np.int16]) -> list[float]:
        """The best new result of each keyword, which comes 0.1 s after the end of the
        word; 0 if there is none.
        """
        self._decoder.process_raw(chunk.tobytes())
        scores = [0.0] * len(self._phrases)
        for result in self._decoder.seg() or ():
            key = (result.word, result.start_frame, result.end_frame)
            if key not in self._seen:
                self._seen.add(key)
                index = self._phrases.index(result.word.strip())  # it keeps the space before the threshold
                scores[index] = max(scores[index], _score(self._log10_ratio(result.prob)))
        if len(self._seen) > _LISTED:
            self._begin()
        return scores

    def reset(self) -> None:
        """A new utterance, with the cepstral mean that the model came with."""
        self._begin()
        self._decoder.set_cmn(self._cepstral_mean)

    def _begin(self) -> None:
        self._decoder.end_utt()
        self._decoder.start_utt()
        self._seen.clear()

    def _log10_ratio(self, prob: float) -> float:
        logarithms = self._decoder.logmath
        return float(logarithms.log_to_log10(logarithms.log(prob) + _OFFSET << _SHIFT))


def _score(log10_ratio: float) -> float:
    return 1 / (1 + 10 ** (-log10_ratio / _DECADES))


def _name_and_phrase(keyword: str) -> tuple[str, str]:
    name, _, phrase = keyword.partition("=")
    return name.strip(), " ".join((phrase or name).lower().split())
