"""A model that follows the level hears a soft word as a loud one; a verifier raises what is quiet."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.model.frontend import FLOOR, LogMel  # noqa: E402
from kws.model.level import QUIET, LevelledLogMel  # noqa: E402
from kws.model.verifier import LOUD, MOST_GAIN, raised  # noqa: E402

HOP = 160


def levelled(pcm: np.ndarray, cuts: list[int] | None = None) -> np.ndarray:
    """(F, M) of a sound that comes in pieces of whole frames."""
    frontend = LevelledLogMel(40)
    state, parts = frontend.init_state(1), []
    for piece in np.split(pcm, [HOP * cut for cut in sorted(cuts or [])]):
        features, state = frontend(torch.from_numpy(piece.astype(np.float32))[None], state)
        parts.append(features[0].numpy())
    return np.concatenate(parts)


def noise(frames: int) -> np.ndarray:
    return 0.3 * np.random.default_rng(0).standard_normal(frames * HOP)


@pytest.mark.parametrize("gain_db", [-10, -20, -35])
def test_the_level_of_a_sound_does_not_matter(gain_db):
    sound = noise(120)
    assert np.abs(levelled(sound * 10 ** (gain_db / 20)) - levelled(sound)).max() < 0.02


@settings(deadline=None, max_examples=20)
@given(st.sets(st.integers(1, 149), max_size=6))
def test_pieces_change_nothing(cuts: set[int]):
    sound = noise(150) * np.linspace(1e-3, 1, 150 * HOP)
    assert np.abs(levelled(sound, list(cuts)) - levelled(sound)).max() < 1e-4


def test_the_level_rises_at_once_and_falls_4_db_in_a_second():
    sound = np.concatenate([noise(50), 1e-2 * noise(200)])
    plain = LogMel(40)
    mel = plain(torch.from_numpy(sound.astype(np.float32))[None], plain.init_state(1))[0][0].numpy()
    level = (mel - levelled(sound)).mean(axis=1)
    assert level[3] > 0.9 * level[:50].max()
    fallen_db = 10 / np.log(10) * (level[60] - level[160])
    assert fallen_db == pytest.approx(4, abs=0.1)


def test_silence_stays_below_speech():
    assert np.allclose(levelled(np.zeros(50 * HOP)), np.log(FLOOR), atol=1e-4)
    assert levelled(noise(50)).max() == pytest.approx(QUIET, abs=1e-4)


def test_a_quiet_segment_is_raised_and_a_loud_one_is_left():
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(-1.0, 1.5, (2, 50, 40)).astype(np.float32))
    features += LOUD - features.amax()
    for quieter in (0.0, 2.0, 5.0):
        found = raised(torch.log(torch.exp(features - quieter) + FLOOR))
        assert torch.allclose(found.amax(), torch.tensor(LOUD), atol=0.01)
        assert (found - raised(features)).abs().max() < 0.1
    assert torch.allclose(raised(features + 3.0), features + 3.0, atol=1e-3)
    assert raised(torch.full((1, 50, 40), float(np.log(FLOOR)))).max() < np.log(FLOOR) + 0.1
    assert raised(features - MOST_GAIN - 3.0).amax() < LOUD
