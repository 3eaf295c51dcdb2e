"""One run of a study: whose posteriors the test is scored by."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.lab import run_one as runs  # noqa: E402
from kws.lab.sounds import Sounds  # noqa: E402
from kws.model.acoustic import AcousticModel  # noqa: E402
from kws.model.config import AcousticConfig  # noqa: E402


def sounds_of(lengths: list[int]) -> Sounds:
    rng = np.random.default_rng(0)
    starts = np.cumsum([0, *(4 * n for n in lengths)])
    return Sounds(
        (None,) * len(lengths), (0,) * len(lengths), rng.normal(size=(starts[-1], 10)).astype("f2"), starts, ()
    )


@given(lengths=st.lists(st.integers(1, 120), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_segments_cover_every_frame_and_are_no_longer_than_asked(lengths):
    torch.manual_seed(0)
    model = AcousticModel(AcousticConfig(mixer="bilstm", width=8, blocks=1, heads=2, channels=4, mels=10)).eval()
    covered = [np.zeros(n, int) for n in lengths]
    for index, start, found in runs.posteriors(model.whole, model, sounds_of(lengths), segment_s=2.0):
        assert len(found) <= 50 and np.isfinite(found).all()
        covered[index][start : start + len(found)] += 1
    assert all((c >= 1).all() for c in covered)
    assert all((c <= 2).all() for c in covered)


def test_batched_posteriors_are_those_of_each_recording_alone():
    torch.manual_seed(0)
    for mixer in ("sa", "bilstm"):
        config = AcousticConfig(mixer=mixer, width=8, blocks=2, heads=2, channels=4, mels=10, window_frames=6)
        model, sounds = AcousticModel(config).eval(), sounds_of([30, 7, 19])
        for index, start, found in runs.posteriors(model.whole, model, sounds, segment_s=4.0):
            mel = model.normalised(sounds.features(index))[None]
            with torch.no_grad():
                alone = model.whole(mel, torch.tensor([mel.shape[1] // 4]))[0].numpy()
            assert start == 0 and np.abs(found - alone).max() < 1e-5
