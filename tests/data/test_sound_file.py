"""A sound file of kws's own making is whole, or the disk that was full is named."""

import numpy as np
import pytest

pytest.importorskip("soundfile")

from kws.audio import read
from kws.data.sound_file import write_sound
from room import room_for


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_it_is_written_and_read(name, tmp_path):
    samples = np.linspace(-0.5, 0.5, 1000, dtype=np.float32)
    write_sound(tmp_path / name, samples)
    assert np.abs(read(tmp_path / name) - samples).max() < 1e-4


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(OSError, match=r"File too large: '.*a\.wav'"), room_for(100):
        write_sound(tmp_path / "a.wav", np.zeros(1000, np.float32))
    assert list(tmp_path.iterdir()) == []
