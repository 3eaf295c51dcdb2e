"""RIFF WAVE files with numpy alone: the samples that FFmpeg gives, whatever a recorder left in the header."""

import io
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import waves
from encoded import samples_by_ffmpeg
from kws import audio

RATE = 16_000
FRAMES = 5_000  # more than one piece
PCM, FLOAT, A_LAW, MU_LAW = 1, 3, 6, 7
ENCODINGS = [(PCM, 1), (PCM, 2), (PCM, 3), (PCM, 4), (PCM, 8), (FLOAT, 4), (FLOAT, 8), (A_LAW, 1), (MU_LAW, 1)]
GUID = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name, body, size=None, pad=b"\0"):
    return name + struct.pack("<I", len(body) if size is None else size) + body + pad * (len(body) % 2)


def layout(tag, width, channels=1, rate=RATE, extensible=False):
    bits = 8 * width
    head = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * channels * width, channels * width, bits
    )
    return chunk(b"fmt ", head + (struct.pack("<HHIH", 22, bits, 0, tag) + GUID if extensible else b""))


def wave(data, fmt, riff_size=None, data_size=None, before=b"", after=b""):
    body = b"WAVE" + fmt + before + chunk(b"data", data, data_size) + after
    return chunk(b"RIFF", body, riff_size, b"")


def codes(width, frames=FRAMES, channels=1, tag=PCM, seed=0):
    rng = np.random.default_rng(seed)
    if tag == FLOAT:
        return rng.uniform(-1, 1, frames * channels).astype(f"<f{width}").tobytes()
    return rng.integers(0, 256, frames * channels * width, dtype=np.uint8).tobytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("waves")


@pytest.fixture
def only_numpy(monkeypatch):
    """An installation without the optional packages, and a Python whose `wave` refuses everything."""
    for name in ("av", "soundfile", "soxr", "wave"):
        monkeypatch.setitem(sys.modules, name, None)


def heard(place, content, rate=RATE):
    path = place / "a.wav"
    path.write_bytes(content)
    return waves.heard(path, 1_000, rate)


LENGTHS = st.sampled_from(["right", 0, 0x7FFF_F000, 0xFFFF_FFFF])


@given(encoding=st.sampled_from(ENCODINGS), channels=st.integers(1, 3), extensible=st.booleans(), lengths=LENGTHS)
@settings(max_examples=120, deadline=None)
def test_every_header_gives_the_samples_that_ffmpeg_gives(place, encoding, channels, extensible, lengths):
    tag, width = encoding
    data = codes(width, channels=channels, tag=tag)
    size = None if lengths == "right" else lengths
    fmt = layout(tag, width, channels, extensible=extensible)
    samples, error = heard(place, wave(data, fmt, size, size))
    assert error is None
    wanted = samples_by_ffmpeg(wave(data, fmt))
    assert wanted.shape == (FRAMES, channels)
    np.testing.assert_allclose(samples, wanted.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("tag", "width"), ENCODINGS)
@pytest.mark.parametrize("extensible", [False, True])
def test_numpy_is_enough(place, only_numpy, tag, width, extensible):
    samples, error = heard(place, wave(codes(width, tag=tag), layout(tag, width, extensible=extensible)))
    assert error is None
    assert samples.shape == (FRAMES,)
    assert audio.length_s(place / "a.wav") == FRAMES / RATE


@pytest.mark.parametrize("width", [2, 3, 4, 5, 6, 7, 8])
def test_every_width_of_pcm_is_the_same_sound(place, width):
    tone = np.round(np.sin(np.arange(FRAMES) / 7) * 2**14).astype("<i2")
    wide = np.zeros((FRAMES, width), np.uint8)
    wide[:, width - 2 :] = tone.view(np.uint8).reshape(-1, 2)
    samples, error = heard(place, wave(wide.tobytes(), layout(PCM, width)))
    assert error is None
    np.testing.assert_allclose(samples, tone / 2**15, atol=1e-6)


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF])
def test_the_length_of_a_killed_recorder_is_what_it_wrote(place, size):
    samples, error = heard(place, wave(codes(2), layout(PCM, 2), size, size)[:-1])
    assert error is None
    assert len(samples) == FRAMES - 1
    assert audio.length_s(place / "a.wav") == (FRAMES - 1) / RATE


def test_an_empty_recording_with_a_note_behind_it_has_no_samples(place):
    note = chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 14) + b"some recorder\0")
    _, error = heard(place, wave(b"", layout(PCM, 2), after=note))
    assert "has no samples" in error


@given(size=st.integers(0, 50), padded=st.booleans(), name=st.sampled_from([b"LIST", b"bext", b"JUNK", b"fact"]))
@settings(deadline=None)
def test_chunks_before_the_samples_are_passed_over(place, size, padded, name):
    before = chunk(name, b"x" * size, pad=b"\0" if padded else b"")
    samples, error = heard(place, wave(codes(2), layout(PCM, 2), before=before))
    assert error is None
    assert len(samples) == FRAMES


def test_what_stands_behind_the_samples_is_not_heard(place):
    samples, error = heard(place, wave(codes(2), layout(PCM, 2), after=chunk(b"LIST", b"y" * 999)))
    assert error is None
    assert len(samples) == FRAMES


@pytest.mark.parametrize("known", [True, False])
def test_rf64_has_its_length_elsewhere(place, known):
    data = codes(2)
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(data) if known else 0, FRAMES if known else 0, 0))
    body = b"WAVE" + sizes + layout(PCM, 2) + chunk(b"data", data, 0xFFFF_FFFF) + (b"LIST\0\0\0\0" if known else b"")
    samples, error = heard(place, chunk(b"RF64", body, 0xFFFF_FFFF))
    assert error is None
    assert len(samples) == FRAMES


def test_a_length_that_overflowed_is_not_believed(tmp_path):
    path = tmp_path / "long.wav"
    path.write_bytes(wave(codes(2), layout(PCM, 2)))
    with path.open("r+b") as file:
        file.truncate(2**32 + 4_000_000)  # a file with a hole: it takes no room
    assert audio.length_s(path) > 2**31 / RATE


BAD = {
    "0 channels": (layout(PCM, 2, channels=0), "0 channels"),
    "0 bits": (layout(PCM, 0), "have 0 bits"),
    "16 bits of float": (layout(FLOAT, 2), "float samples have 16 bits"),
    "0 Hz": (layout(PCM, 2, rate=0), "0 Hz"),
    "no format": (b"", "does not come before"),
    "a short format": (chunk(b"fmt ", bytes(8)), "takes 8 bytes"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_header_that_makes_no_sense_is_one_sentence(place, only_numpy, kind):
    fmt, words = BAD[kind]
    samples, error = heard(place, wave(codes(2), fmt))
    assert words in error
    assert not len(samples)


@given(data=st.data(), encoding=st.sampled_from(ENCODINGS))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_gives_samples_or_a_sentence(place, data, encoding):
    tag, width = encoding
    content = bytearray(wave(codes(width, tag=tag), layout(tag, width, extensible=data.draw(st.booleans()))))
    for where, value in data.draw(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=6)):
        content[where] = value
    samples, _ = heard(place, bytes(content[: data.draw(st.integers(0, len(content)))]))
    assert np.isfinite(samples).all()
    assert audio.length_s(place / "a.wav") >= 0


@given(kept=st.integers(0, 3 * FRAMES * 2 + 44))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_gives_what_is_there_and_says_so(place, kept):
    content = wave(codes(2, channels=3), layout(PCM, 2, channels=3))
    whole, _ = heard(place, content)
    samples, error = heard(place, content[:kept])
    frames = max(0, kept - 44) // 6
    assert (error is None) == (frames == FRAMES)
    np.testing.assert_array_equal(samples, whole[:frames])


def stereo(left, right):
    pcm = np.round(np.stack([left, right], axis=1) * 2**14).astype("<i2")
    return wave(pcm.tobytes(), layout(PCM, 2, channels=2)), pcm / np.float32(2**15)


VOICE = np.random.default_rng(3).normal(0, 0.2, 3 * RATE).clip(-1, 1) * np.sin(np.arange(3 * RATE) / 4_000)


@pytest.mark.parametrize("gain", [-1.0, -0.9])
def test_channels_that_cancel_are_heard_as_the_louder_one(place, gain):
    content, pcm = stereo(VOICE, gain * VOICE)
    samples, error = heard(place, content)
    assert error is None
    np.testing.assert_allclose(samples, pcm[:, 0], atol=2e-4)


@pytest.mark.parametrize(
    "right", [VOICE, 0 * VOICE, -0.5 * VOICE, np.roll(VOICE, 9)], ids=["same", "silent", "less", "late"]
)
def test_other_channels_are_averaged(place, right):
    content, pcm = stereo(VOICE, right)
    samples, _ = heard(place, content)
    np.testing.assert_allclose(samples, pcm.mean(axis=1), atol=1e-6)


def test_the_noise_of_sixteen_bits_cancels_nothing(place):
    least = np.tile([1, -1], 4_096) / 2**14
    content, pcm = stereo(np.concatenate([least, VOICE]), np.concatenate([-least, VOICE]))
    samples, _ = heard(place, content)
    np.testing.assert_allclose(samples, pcm.mean(axis=1), atol=1e-6)


def test_a_pipe_is_read_as_a_file_is():
    content = wave(codes(2), layout(PCM, 2), before=chunk(b"LIST", b"z" * 70_001))

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError("a pipe")

    from kws.audio import riff

    file = io.BufferedReader(Pipe(content))
    header = riff.open_wave(file)
    pieces = list(riff.pieces(file, header, 100))
    assert sum(map(len, pieces)) == FRAMES - 100
