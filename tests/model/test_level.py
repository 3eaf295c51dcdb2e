"""A model that follows the level hears a soft word as a loud one; a verifier raises what is quiet."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.model.frontend import FLOOR, LogMel  # noqa: E402
from kws.model.level import LOUD, MOST_SEGMENT_GAIN, LevelledLogMel, raised_segments  # noqa: E402

HOP = 160


def levelled(pcm: np.ndarray, cuts: list[int] | None = None) -> np.ndarray:
    """(F, M) of a sound that comes in pieces of whole frames."""
    frontend = LevelledLogMel(40)
    state, parts = frontend.init_state(1), []
    for piece in np.split(pcm, [HOP * cut for cut in sorted(cuts or [])]):
        features, state = frontend(torch.from_numpy(piece.astype(np.float32))[None], state)
        parts.append(features[0].numpy())
    return np.concatenate(parts)


def plain(pcm: np.ndarray) -> np.ndarray:
    frontend = LogMel(40)
    return frontend(torch.from_numpy(pcm.astype(np.float32))[None], frontend.init_state(1))[0][0].numpy()


def noise(frames: int) -> np.ndarray:
    return 0.3 * np.random.default_rng(0).standard_normal(frames * HOP)


def at_loud(frames: int) -> np.ndarray:
    """Noise whose loudest band is at LOUD."""
    return noise(frames) * np.exp((LOUD - plain(noise(frames)).max()) / 2)


@pytest.mark.parametrize("gain_db", [-3, -12, -18])
def test_a_quiet_sound_is_heard_like_one_that_is_20_db_louder(gain_db):
    sound = at_loud(120)
    assert np.abs(levelled(sound * 10 ** (gain_db / 20)) - levelled(sound))[3:].mean() < 0.2


def test_a_loud_sound_is_left_as_it_is():
    sound = noise(120)
    assert np.abs(levelled(sound) - plain(sound))[3:].max() < 1e-5


@settings(deadline=None, max_examples=20)
@given(st.sets(st.integers(1, 149), max_size=6))
def test_pieces_change_nothing(cuts: set[int]):
    sound = noise(150) * np.linspace(1e-3, 1, 150 * HOP)
    assert np.abs(levelled(sound, list(cuts)) - levelled(sound)).max() < 1e-4


def test_the_level_rises_at_once_and_falls_2_db_in_a_second():
    sound = np.concatenate([at_loud(50), 0.05 * at_loud(1100)])
    mel = plain(sound)
    gain_db = 10 / np.log(10) * (levelled(sound) - mel).max(axis=1)
    assert gain_db[5:50].max() < 3
    rising = 60 + np.flatnonzero((gain_db[60:] > 3) & (gain_db[60:] < 15))
    assert (gain_db[rising[-1]] - gain_db[rising[0]]) / (rising[-1] - rising[0]) * 100 == pytest.approx(2, abs=0.1)


def test_silence_stays_silent():
    assert np.allclose(levelled(np.zeros(50 * HOP)), np.log(FLOOR), atol=1e-4)


def test_a_quiet_segment_is_raised_and_a_loud_one_is_left():
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(-1.0, 1.5, (2, 50, 40)).astype(np.float32))
    features += LOUD - features.amax(dim=(1, 2), keepdim=True)
    for quieter in (0.0, 2.0, 5.0):
        found = raised_segments(torch.log(torch.exp(features - quieter) + FLOOR))
        assert torch.allclose(found.amax(dim=(1, 2)), torch.tensor(LOUD), atol=0.01)
        assert (found - raised_segments(features)).abs().max() < 0.1
    assert torch.allclose(raised_segments(features + 3.0), features + 3.0, atol=1e-3)
    assert raised_segments(torch.full((1, 50, 40), float(np.log(FLOOR)))).max() < np.log(FLOOR) + 0.1
    assert raised_segments(features - MOST_SEGMENT_GAIN - 3.0).amax() < LOUD
