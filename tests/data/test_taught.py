"""A teacher's posteriors of clips, laid along rows: each frame comes from the sound that it stands over."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="frames are those of the encoder")

from kws.data.scenes.taught import Taught

LEAD, FRAME = 6, 640


def of(frames: int, peak: int, delay: int) -> Taught:
    """A clip of so many frames that says token 1 in one of them, and nothing else."""
    posteriors = np.full((frames + 2 * LEAD, 3), np.log(5e-5), np.float16)
    posteriors[:, 0] = np.log(1 - 1e-4)
    posteriors[LEAD + peak] = np.log([0.1, 0.8, 0.1])
    return Taught(posteriors, np.array([0, len(posteriors)]), LEAD, delay, "key")


@given(
    frames=st.integers(2, 60), peak=st.floats(0, 1), at=st.integers(0, 40_000), speed=st.floats(0.4, 1.25),
    delay=st.integers(0, 5),
)  # fmt: skip
def test_a_phone_is_taught_where_it_is_said_and_later(frames, peak, at, speed, delay):
    peak = min(frames - 1, int(peak * frames))
    taught = of(frames, peak, delay)
    said = int(frames * FRAME / speed)
    row = taught.silence(300)
    taught.lay(row, 0, at, frames * FRAME, said)
    (found,) = np.nonzero(row[:, 1] > np.log(0.5))
    wanted = (at + (peak + 0.5) * FRAME / speed) / FRAME - 0.5 + delay
    assert len(found) == 1 and abs(found[0] - wanted) <= 1


@given(at=st.integers(0, 10_000), speed=st.floats(0.4, 1.25))
def test_a_phone_of_two_frames_stays_one_phone_however_slowly_it_is_said(at, speed):
    taught = of(20, 9, 2)
    taught.log_posteriors[LEAD + 10] = taught.log_posteriors[LEAD + 9]
    row = taught.silence(150)
    taught.lay(row, 0, at, 20 * FRAME, int(20 * FRAME / speed))
    (found,) = np.nonzero(row[:, 1] > np.log(0.5))
    assert len(found) >= 1 and np.all(np.diff(found) == 1)


def test_neighbours_keep_each_others_last_and_first_phones():
    taught = of(10, 9, 3)
    row = taught.silence(60)
    for at in (0, 10 * FRAME, 20 * FRAME):
        taught.lay(row, 0, at, 10 * FRAME, 10 * FRAME)
    assert np.nonzero(row[:, 1] > np.log(0.5))[0].tolist() == [12, 22, 32]


def test_a_row_of_silence_is_blank():
    row = of(3, 1, 0).silence(9).astype(np.float64)
    assert row.shape == (9, 3) and np.allclose(np.exp(row).sum(1), 1, atol=1e-3) and np.all(row[:, 0] > -0.001)


def test_a_clip_at_the_end_of_a_row_is_cut():
    taught = of(10, 9, 3)
    row = taught.silence(12)
    taught.lay(row, 0, 5 * FRAME, 10 * FRAME, 10 * FRAME)
    assert not np.any(row[:, 1] > np.log(0.5)), "its last phone is behind the end of the row"
    taught.lay(row, 0, -2 * FRAME, 10 * FRAME, 10 * FRAME)
    assert np.nonzero(row[:, 1] > np.log(0.5))[0].tolist() == [10]
    taught.lay(row, 0, -20 * FRAME, 10 * FRAME, 10 * FRAME)
    assert np.nonzero(row[:, 1] > np.log(0.5))[0].tolist() == [10]
