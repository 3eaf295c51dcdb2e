"""Which recordings count as overdriven, also where a lossy codec smeared their flat tops."""

import json

import numpy as np
import pytest

soxr = pytest.importorskip("soxr")
pytest.importorskip("av")

from encoded import encoded  # noqa: E402
from kws import audio  # noqa: E402
from kws.data.prepare import usable  # noqa: E402
from trees import ROOT  # noqa: E402

CODECS = {"mp3": ("mp3", "libmp3lame", 44_100), "aac": ("adts", "aac", 44_100), "opus": ("ogg", "libopus", 48_000)}


@pytest.fixture(scope="module")
def words() -> list[np.ndarray]:
    """The words of the demo's recording, by voices of a synthesiser, with their surroundings."""
    sound = audio.read(ROOT / "demo/hear.wav")
    spans = json.loads((ROOT / "demo/hear.json").read_text(encoding="utf-8"))["wake_words"]
    return [sound[round(16_000 * (w["start_s"] - 0.2)) : round(16_000 * (w["end_s"] + 0.6))] for w in spans]


def noted(words, folder, kind: str, gain_db: float | None) -> int:
    """How many count as overdriven: louder than full scale by so much, then coded."""
    container, codec, rate = CODECS[kind]
    count = 0
    for number, word in enumerate(words):
        loud = soxr.resample(word.astype(np.float64), 16_000, rate)
        loud *= 10 ** ((gain_db or -1) / 20) / np.abs(loud).max()
        path = folder / f"{number}.{kind}"
        path.write_bytes(encoded(np.clip(loud, -0.98, 0.98), container, codec, rate))
        count += usable._is_clipped(path)
    return count


@pytest.mark.parametrize("kind", CODECS)
def test_speech_is_not_overdriven_behind_a_codec(words, tmp_path, kind):
    assert noted(words, tmp_path, kind, None) == 0


@pytest.mark.parametrize("kind", CODECS)
def test_most_overdriven_recordings_are_noticed_behind_a_codec(words, tmp_path, kind):
    assert noted(words, tmp_path, kind, 14.0) >= 0.7 * len(words)


def test_silence_is_not_overdriven_and_where_nothing_but_a_click_is_loud_it_is():
    assert not usable.is_smeared(np.zeros(16_000, np.float32))
    assert not usable.is_smeared(np.zeros(0, np.float32))
    click = np.zeros(16_000, np.float32)
    click[5] = 1.0
    assert usable.is_smeared(click)
