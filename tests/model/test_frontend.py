"""The frontend equals the field's log-mel, is causal, and streams."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kws.audio import read  # noqa: E402
from kws.data.torchaudio_import import load_torchaudio  # noqa: E402
from kws.model.frontend import WINDOW_SAMPLES, LogMel  # noqa: E402
from kws.units import HOP_SAMPLES  # noqa: E402
from trees import ROOT  # noqa: E402


def log_mel(pcm: np.ndarray) -> np.ndarray:
    frontend = LogMel()
    return frontend(torch.from_numpy(pcm)[None], frontend.init_state(1))[0][0].numpy()


DEMO = ROOT / "demo" / "hear.wav"


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    pcm = read(DEMO)
    return pcm[: len(pcm) // HOP_SAMPLES * HOP_SAMPLES]


def test_equals_torchaudio_on_speech(speech):
    mel = load_torchaudio().transforms.MelSpectrogram(
        16_000,
        n_fft=512,
        win_length=WINDOW_SAMPLES,
        hop_length=HOP_SAMPLES,
        f_min=20,
        f_max=7600,
        n_mels=40,
        center=False,
    )
    # frame t of the frontend ends at sample 160 (t + 1); torchaudio centres its 400-sample window in 512 points
    before, middle = WINDOW_SAMPLES - HOP_SAMPLES, (512 - WINDOW_SAMPLES) // 2
    padded = torch.from_numpy(np.pad(speech, (before + middle, middle)))
    expected = torch.log(mel(padded) + 1e-6).T.numpy()
    ours = log_mel(speech)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-3


def test_equals_librosa_on_speech(speech):
    librosa = pytest.importorskip("librosa")
    band = {"fmin": 20, "fmax": 7600, "htk": True}
    # Filters of height one, from those of area one: librosa compiles for ten seconds to give them itself.
    edges = librosa.mel_frequencies(42, **band)
    filters = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=40, norm="slaney", **band)
    filters = filters * (edges[2:] - edges[:-2])[:, None] / 2
    window = np.hanning(WINDOW_SAMPLES + 1)[:-1]
    padded = np.pad(speech, (WINDOW_SAMPLES - HOP_SAMPLES, 0))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES] * window
    expected = np.log(np.abs(np.fft.rfft(frames, 512)) ** 2 @ filters.T + 1e-6)
    assert np.abs(log_mel(speech) - expected).max() < 1e-3


def test_a_pure_tone_stands_in_its_band():
    tone = (0.1 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)).astype(np.float32)
    centres = 700 * (10 ** (np.linspace(*2595 * np.log10(1 + np.array([20, 7600]) / 700), 42)[1:-1] / 2595) - 1)
    assert log_mel(tone)[50].argmax() == np.abs(centres - 1000).argmin()
