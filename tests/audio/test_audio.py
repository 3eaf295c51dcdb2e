"""Reading sound: every format gives the same samples, and every bad file one sentence."""

import struct
import sys
import tracemalloc
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kws import audio
from kws.errors import InputError
from waves import heard

RATE = 16000


def sine(seconds=1.0, rate=RATE, hertz=440, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_wave(path, samples, width=2, rate=RATE):
    """A PCM .wav of `width` bytes; samples (n,) or (n, channels) in [-1, 1)."""
    samples = samples if samples.ndim == 2 else samples[:, None]
    whole = np.round(samples * 2.0 ** (8 * width - 1)).astype(np.int64)
    raw = (whole + 128 if width == 1 else whole).astype("<i8").reshape(-1, 1).view(np.uint8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw.tobytes())
    return path


@pytest.fixture
def only_numpy(monkeypatch):
    """An installation without the optional packages."""
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "soxr", None)


@pytest.mark.parametrize(("width", "tolerance"), [(1, 1 / 128), (2, 1 / 32768), (3, 1e-6), (4, 1e-7)])
def test_pcm_needs_nothing_but_numpy(tmp_path, only_numpy, width, tolerance):
    samples = audio.read(write_wave(tmp_path / "a.wav", sine(), width))
    assert samples.dtype == np.float32
    assert samples.shape == (RATE,)
    np.testing.assert_allclose(samples, sine(), atol=tolerance)


def test_the_extremes_of_sixteen_bits_are_exact(tmp_path):
    extremes = np.array([-32768, -1, 0, 1, 32767]) / 32768
    np.testing.assert_array_equal(audio.read(write_wave(tmp_path / "a.wav", extremes)), extremes)


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.flac", "PCM_16", 1e-4),
        ("a.wav", "FLOAT", 1e-7),
        ("a.wav", "PCM_24", 1e-6),
        ("a.aiff", "PCM_16", 1e-4),
        ("a.ogg", "VORBIS", 0.05),
        ("a.ogg", "OPUS", 0.05),
        ("a.mp3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_other_formats_are_read(tmp_path, name, subtype, tolerance):
    soundfile.write(tmp_path / name, sine(), RATE, subtype=subtype)
    samples = audio.read(tmp_path / name)
    assert samples.dtype == np.float32
    assert abs(len(samples) - RATE) <= 1200  # mp3 adds a packet
    middle = slice(4000, 12000)
    assert np.abs(np.abs(samples[middle]).max() - 0.5) < tolerance


def test_the_extensible_wave_header_is_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(), RATE, format="WAVEX", subtype="PCM_16")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav"), sine(), atol=1e-4)


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_channels_are_averaged(tmp_path, channels, name):
    tracks = np.stack([sine(level=0.2 * number) for number in range(channels)], axis=1)
    soundfile.write(tmp_path / name, tracks, RATE)
    np.testing.assert_allclose(audio.read(tmp_path / name), tracks.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
def test_other_rates_are_resampled(tmp_path, rate):
    path = write_wave(tmp_path / "a.wav", sine(1.5, rate), rate=rate)
    samples = audio.read(path)
    wanted = sine(1.5)
    assert abs(len(samples) - len(wanted)) <= 1
    middle = slice(800, 22000)
    np.testing.assert_allclose(samples[middle], wanted[middle], atol=0.01)
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(path, 777))), samples)


def test_what_a_lower_rate_cannot_hold_is_filtered_out(tmp_path):
    path = write_wave(tmp_path / "a.wav", sine(1.0, 48000, hertz=13000), rate=48000)
    assert np.abs(audio.read(path)[800:15000]).max() < 0.001


def test_a_rate_below_that_of_a_telephone_is_refused(tmp_path):
    _, error = heard(write_wave(tmp_path / "a.wav", sine(rate=6000), rate=6000))
    assert "6000 Hz" in error
    assert "8000 Hz or more" in error


@pytest.mark.parametrize("rate", [0, 7999, 44100.5, "16000", True])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(InputError, match="sample rate"):
        audio.check_rate(rate)


def test_blocks_are_full_but_the_last(tmp_path):
    path = write_wave(tmp_path / "a.wav", sine(1.0))
    sizes = [len(block) for block in audio.blocks(path, 4800)]
    assert sizes == [4800, 4800, 4800, 1600]
    assert [len(block) for block in audio.blocks(path, 8000)] == [8000, 8000]
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(path, 3))), audio.read(path))


@pytest.mark.parametrize("rate", [16000, 48000])
def test_blocks_may_be_left_in_the_middle(tmp_path, rate):
    path = write_wave(tmp_path / "a.wav", sine(1.0, rate), rate=rate)
    blocks = audio.blocks(path, 100)
    next(blocks)
    blocks.close()


def test_a_long_file_is_never_in_memory(tmp_path):
    path = write_wave(tmp_path / "a.wav", np.zeros((RATE * 300, 1)))
    tracemalloc.start()
    total = sum(len(block) for block in audio.blocks(path, RATE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == RATE * 300
    assert peak < 1_000_000


def test_a_missing_file(tmp_path):
    assert "does not exist" in heard(tmp_path / "a.wav")[1]


def test_a_folder(tmp_path):
    assert "is a folder" in heard(tmp_path)[1]


def test_an_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    assert "is empty" in heard(tmp_path / "a.wav")[1]


@pytest.mark.parametrize("content", [b"hello, this is a text\n", b"RIFF", b"\x00" * 5000, b"RIFF\0\0\0\0WAVE"])
def test_what_is_not_sound(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    samples, error = heard(tmp_path / "a.wav")
    assert error
    assert not len(samples)


def test_text_is_not_sound_without_the_extra_either(tmp_path, only_numpy):
    (tmp_path / "a.wav").write_text("hello")
    assert "is not a sound file" in heard(tmp_path / "a.wav")[1]


def test_a_header_without_samples(tmp_path):
    assert "no samples" in heard(write_wave(tmp_path / "a.wav", np.zeros((0, 1))))[1]


@pytest.mark.parametrize("kept", [20, 43])
def test_a_wave_file_cut_inside_its_header(tmp_path, kept):
    path = write_wave(tmp_path / "a.wav", sine())
    path.write_bytes(path.read_bytes()[:kept])
    assert "damaged .wav" in heard(path)[1]


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_truncated_wave_file_gives_what_is_there_first(tmp_path, rate):
    path = write_wave(tmp_path / "a.wav", sine(1.0, rate), rate=rate)
    whole = audio.read(path)
    path.write_bytes(path.read_bytes()[: 44 + rate + 1])  # half of it, and half a sample
    samples, error = heard(path)
    assert "ends after 0.50 of 1.00 s" in error
    assert abs(len(samples) - 8000) <= 1
    np.testing.assert_allclose(samples[:7800], whole[:7800], atol=1e-3)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_a_damaged_compressed_file_gives_what_is_there_first(tmp_path, name):
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * RATE)
    soundfile.write(tmp_path / name, noise, RATE)
    content = bytearray((tmp_path / name).read_bytes())
    if name == "a.ogg":  # a shorter Ogg file is a valid one, so break a packet
        content[len(content) // 2] ^= 0xFF
    else:
        content = content[: len(content) // 2]
    (tmp_path / name).write_bytes(content)
    samples, error = heard(tmp_path / name)
    assert "damaged" in error
    assert 0.2 * RATE < len(samples) < 4.5 * RATE


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers(tmp_path, bad):
    samples = sine()
    samples[9000] = bad
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    before, error = heard(tmp_path / "a.wav")
    assert "not finite" in error
    assert 0 < len(before) <= 9000


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "subtype", "value"), [("a.wav", "DOUBLE", 1e300), ("a.aiff", "DOUBLE", -1e300), ("a.wav", "FLOAT", 3e38)]
)
def test_samples_beyond_all_numbers_are_one_sentence_and_no_warning(tmp_path, name, subtype, value):
    samples = np.zeros((RATE, 3))
    samples[9000] = value
    soundfile.write(tmp_path / name, samples, RATE, subtype=subtype)
    before, error = heard(tmp_path / name)
    assert "not finite" in error
    assert len(before) <= 9000


@pytest.mark.parametrize("claim", [0xFFFFFFFF, 0x7FFFF000])
def test_a_recorder_that_wrote_into_a_pipe_did_not_know_the_length(tmp_path, claim):
    path = write_wave(tmp_path / "a.wav", sine())
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", claim)
    path.write_bytes(content)
    assert len(audio.read(path)) == RATE


def test_a_missing_package_is_named_with_its_command(tmp_path, only_numpy):
    flac = tmp_path / "a.flac"
    flac.write_bytes(b"fLaC" + bytes(100))
    assert "av is needed here: pip install '.[audio]' in the folder of kws" in heard(flac)[1]
    path = write_wave(tmp_path / "a.wav", sine(rate=48000), rate=48000)
    assert "48000 Hz: soxr is needed here: pip install '.[audio]' in the folder of kws" in heard(path)[1]


@given(start=st.integers(0, 3 * RATE), kind=st.sampled_from(["wav", "flac"]))
@settings(max_examples=30, deadline=None)
def test_from_a_place_on_it_is_the_rest_of_the_same(start, kind, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"place.{kind}"
    if not path.exists():
        soundfile.write(path, np.sin(np.arange(2 * RATE, dtype=np.float32)) / 2, RATE, subtype="PCM_16")
    rest = list(audio.blocks(path, 1000, start_s=start / RATE))
    assert np.array_equal(np.concatenate([np.empty(0, np.float32), *rest]), audio.read(path)[start:])
