"""One channel and a gain: what is heard of a file is what a file holds that was made so beforehand."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kws import audio
from kws.audio import pipes
from kws.audio.pickup import QUIET_DBFS, QUIET_UNFOLLOWED_DBFS, Loudest, Mixdown, Pickup
from kws.errors import InputError, KwsError

RATE = 16_000


def kept(sound: np.ndarray, rate: int = RATE) -> io.BytesIO:
    """The samples as a .wav file of floats, bit for bit."""
    file = io.BytesIO()
    soundfile.write(file, sound, rate, subtype="FLOAT", format="WAV")
    return file


def noise(seed: int, channels: int, level: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, (3_000, channels)).astype(np.float32)


def heard(path, pickup: Pickup, block: int = 700) -> np.ndarray:
    return np.concatenate(list(audio.blocks(path, block, pickup=pickup)))


@settings(max_examples=40, deadline=None)
@given(
    gain_db=st.floats(-60, 60, width=32),
    channels=st.integers(1, 4),
    data=st.data(),
    rate=st.sampled_from([RATE, 44_100]),
    seed=st.integers(0, 99),
)
def test_a_gain_and_a_channel_are_those_of_a_file_that_was_made_so(
    tmp_path_factory, gain_db, channels, data, rate, seed
):
    folder = tmp_path_factory.mktemp("sound")
    channel = data.draw(st.integers(1, channels), label="channel")
    sound = noise(seed, channels)
    scaled = (
        np.clip(sound[:, channel - 1] * np.float32(10 ** (gain_db / 20)), -1, 1) if gain_db else sound[:, channel - 1]
    )
    for name, samples in (("all", sound), ("one", scaled)):
        (folder / f"{name}.wav").write_bytes(kept(samples, rate).getvalue())
    np.testing.assert_array_equal(
        heard(folder / "all.wav", Pickup(channel, gain_db)), heard(folder / "one.wav", Pickup())
    )


@pytest.mark.parametrize("gain_db", [-6.5, 0.0, 30.0])
def test_a_gain_makes_the_mean_of_channels_louder_and_clips_it(tmp_path, gain_db):
    sound = noise(1, 2)
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    wanted = np.clip(sound.mean(axis=1) * 10 ** (gain_db / 20), -1, 1)
    np.testing.assert_allclose(heard(tmp_path / "a.wav", Pickup(None, gain_db)), wanted, rtol=1e-5, atol=1e-7)
    assert (np.abs(wanted).max() == 1) == (gain_db == 30)


def test_a_channel_is_heard_where_the_mean_would_cancel(tmp_path):
    word = noise(2, 1)
    soundfile.write(tmp_path / "a.wav", np.concatenate([word, -word], axis=1), RATE, subtype="FLOAT")
    for channel, sign in ((1, 1), (2, -1)):
        np.testing.assert_array_equal(heard(tmp_path / "a.wav", Pickup(channel)), sign * word[:, 0])


@pytest.mark.parametrize(("channels", "says"), [(1, "has 1 channel, and no channel 5"), (3, "has 3 channels, and no")])
def test_a_channel_that_is_not_there_is_one_sentence(tmp_path, channels, says):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(0, channels), RATE)
    with pytest.raises(KwsError, match=f"^{path} {says}"):
        heard(path, Pickup(5))
    with pytest.raises(InputError, match=says):
        Mixdown(Pickup(5)).push(noise(0, channels))


def test_raw_samples_are_made_louder_too_and_have_one_channel(tmp_path):
    pcm = np.array([100, -200, 30_000], "<i2")
    (tmp_path / "a.raw").write_bytes(pcm.tobytes())
    name = str(tmp_path / "a.raw")
    (louder,) = pipes.blocks(name, 100, RATE, Pickup(1, 20.0))
    np.testing.assert_allclose(louder, [1000 / 32768, -2000 / 32768, 1.0], rtol=1e-6)
    with pytest.raises(KwsError, match=r"a\.raw has 1 channel, and no channel 2"):
        list(pipes.blocks(name, 100, RATE, Pickup(2)))


@pytest.mark.parametrize("gain_db", [-20.0, 20.0])
def test_integers_that_nobody_has_scaled_are_not_hidden_by_a_gain(gain_db):
    assert Mixdown(Pickup(None, gain_db)).push(np.full((4, 1), 9000, np.float32)).max() > 64


@pytest.mark.parametrize(
    ("peak_dbfs", "gain_db", "says"),
    [
        (QUIET_DBFS + 0.1, 0, None),
        (QUIET_DBFS - 0.1, 0, "-67 dBFS: most words so quiet are missed; try --gain 37"),
        (-72, 0, "-72 dBFS: most words so quiet are missed; try --gain 42"),
        (-72, 10, "try --gain 52"),
        (-70, -20, "try --gain 20"),
        (-95, 0, "try --gain 60"),
        (-72, 60, "raise the gain of the microphone"),
    ],
)
def test_what_is_said_where_nothing_but_very_quiet_sound_came(peak_dbfs, gain_db, says):
    loudest = Loudest(gain_db)
    loudest.add(np.zeros(10, np.float32))
    loudest.add(-np.array([0, 10 ** (peak_dbfs / 20)], np.float32))
    note = loudest.note(True)
    assert (note is None) if says is None else note.endswith(says)


@pytest.mark.parametrize(("above_db", "says"), [(0.1, None), (-0.1, "-47 dBFS: most words so quiet are missed; try")])
def test_a_model_that_does_not_follow_the_level_has_a_higher_one(above_db, says):
    loudest = Loudest()
    loudest.add(np.full(10, 10 ** ((QUIET_UNFOLLOWED_DBFS + above_db) / 20), np.float32))
    assert loudest.note(True) is None
    note = loudest.note(False)
    assert note == says or f"{says} --gain 17" in note


def test_digital_silence_says_so_and_no_sound_says_nothing():
    loudest = Loudest()
    assert loudest.note(True) is None
    loudest.add(np.zeros(10, np.float32))
    assert "digital silence" in loudest.note(True)
