"""Every container and codec, from a file, a pipe or a killed writer, cut anywhere: the number of samples that FFmpeg
gives, or a sentence."""

import io
import os
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

import waves
from encoded import encoded, frames_by_ffmpeg
from kws import audio
from kws.audio import media

SECONDS = 3
CASES = {
    "flac": ("flac", "flac", 16_000),
    "flac-96k": ("flac", "flac", 96_000),
    "ogg-flac": ("ogg", "flac", 16_000),
    "ogg-opus": ("ogg", "libopus", 48_000),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "mp3-8k": ("mp3", "libmp3lame", 8_000),
    "m4a": ("ipod", "aac", 44_100),
    "alac": ("ipod", "alac", 48_000),
    "mp4-16k": ("mp4", "aac", 16_000),
    "aac": ("adts", "aac", 44_100),
    "webm": ("webm", "libopus", 48_000),
    "mkv": ("matroska", "aac", 44_100),
    "mkv-8k": ("matroska", "aac", 8_000),
    "mkv-mp3": ("matroska", "libmp3lame", 44_100),
    "mkv-mp3-8k": ("matroska", "libmp3lame", 8_000),
    "wma": ("asf", "wmav2", 44_100),
    "amr": ("amr", "any bits", 8_000),
    "gsm": ("gsm", "any bits", 8_000),
    "caf": ("caf", "pcm_s16be", 44_100),
    "aiff": ("aiff", "pcm_s24be", 44_100),
    "au": ("au", "pcm_mulaw", 8_000),
    "w64": ("w64", "pcm_s16le", 16_000),
    "adpcm": ("wav", "adpcm_ima_wav", 16_000),
    "yamaha": ("wav", "adpcm_yamaha", 16_000),
    "g722": ("wav", "g722", 16_000),
    "w64-64-bit": ("w64", "pcm_s64le", 16_000),
}
INTO_PIPES = [
    *("flac", "ogg-flac", "ogg-opus", "mp3", "mp3-8k", "aac", "webm", "mkv", "mkv-8k", "mkv-mp3", "mkv-mp3-8k"),
    *("wma", "amr", "gsm", "caf", "au", "adpcm", "yamaha", "g722"),
]
STATE_THEIR_LENGTH = [  # a cut is noticed
    *("flac", "mp3", "aiff", "w64", "caf", "webm", "mkv", "mkv-8k", "mkv-mp3", "adpcm", "yamaha", "g722")
]
LOSSLESS = ["flac", "ogg-flac", "caf", "aiff", "w64", "w64-64-bit"]
MADE = {}


def noise(rate, channels=1, seed=0):
    """Unlike a tone, it shows where samples are missing; (n, channels), and its envelope is that of no silence."""
    return np.random.default_rng(seed).normal(0, 0.05, (SECONDS * rate, channels)).clip(-0.9, 0.9)


def made(name, pipe=False, channels=1):
    key = name, pipe, channels
    if key not in MADE:
        container, codec, rate = CASES[name]
        MADE[key] = encoded(noise(rate, channels), container, codec, rate, pipe)
    return MADE[key]


def heard(path):
    """`waves.heard` at the file's own rate."""
    rate = next((rate for stem, (_, _, rate) in CASES.items() if path.stem == stem), 16_000)
    return waves.heard(path, 4_096, rate)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("sounds")


def write(place, name, content, suffix=".bin"):
    path = place / f"{name}{suffix}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("name", "pipe"), [*((name, False) for name in CASES), *((name, True) for name in INTO_PIPES)])
def test_a_whole_file_gives_what_ffmpeg_gives(place, name, pipe, channels):
    if channels == 2 and name in ("amr", "gsm", "g722"):
        pytest.skip("it has one channel")
    content = made(name, pipe, channels)
    path = write(place, name, content)
    samples, error = heard(path)
    written = SECONDS * CASES[name][2]
    assert error is None
    if CASES[name][0] in ("ipod", "mp4"):  # whose padding is cut off as FFmpeg's program does
        assert abs(len(samples) - written) <= 2
    else:
        assert len(samples) == frames_by_ffmpeg(content)
        assert written - 0.15 * CASES[name][2] <= len(samples) <= written + 0.3 * CASES[name][2]
    assert abs(audio.length_s(path) - SECONDS) < 0.35
    if name in LOSSLESS:
        np.testing.assert_allclose(samples, noise(CASES[name][2], channels).mean(axis=1), atol=1e-4)


@given(name=st.sampled_from([*CASES]), pipe=st.booleans(), share=st.floats(0.0, 1.0))
@example(name="w64", pipe=False, share=0.555211404101296)  # the last packet is as long as AMR's comfort noise
@settings(max_examples=150, deadline=None)
def test_a_file_cut_anywhere_gives_what_is_there(place, name, pipe, share):
    content = made(name, pipe and name in INTO_PIPES)
    cut = content[: int(share * len(content))]
    path = write(place, name, cut)
    samples, error = heard(path)
    whole, _ = heard(write(place, name, content, ".whole"))
    assert len(samples) <= len(whole)
    if name in LOSSLESS:
        np.testing.assert_array_equal(samples, whole[: len(samples)])
    if error is None:
        assert len(samples) == frames_by_ffmpeg(cut) or CASES[name][0] in ("ipod", "mp4")
        if name.startswith("ogg"):  # of whole pages nobody can tell whether more were to come
            assert len(cut) == len(content) or content[len(cut) :].startswith(b"OggS")
        if name in STATE_THEIR_LENGTH and not pipe:
            assert len(whole) - len(samples) <= (0.26 if name.endswith("-8k") else 0.15) * CASES[name][2]


@pytest.mark.parametrize("seconds", [0.61, 1.07, 2.6])
@pytest.mark.parametrize("rate", [8_000, 11_025, 24_000])
@pytest.mark.parametrize("codec", ["aac", "libmp3lame"])
def test_the_padding_of_long_frames_is_no_loss(place, codec, rate, seconds):
    content = encoded(noise(rate)[: round(seconds * rate)], "matroska", codec, rate)
    assert heard(write(place, "padded", content))[1] is None


@given(data=st.data(), name=st.sampled_from([*CASES]))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_gives_samples_or_a_sentence(place, data, name):
    content = bytearray(made(name, name in INTO_PIPES and data.draw(st.booleans())))
    places = st.integers(0, len(content) - 1) | st.integers(0, 200)
    for where, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)):
        content[where] = value
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(content)))
        del content[start : start + data.draw(st.integers(0, 3_000))]
    path = write(place, name, bytes(content))
    samples, _ = heard(path)
    assert np.isfinite(samples).all()
    assert audio.length_s(path) >= 0
    assert np.isfinite(through_a_pipe(place, name, bytes(content))[0]).all()


@given(name=st.sampled_from([*CASES]), start=st.integers(0, SECONDS * 16_000))
@settings(max_examples=60, deadline=None)
def test_from_a_place_on_it_is_the_rest_of_the_same(place, name, start):
    rate = CASES[name][2]
    path = write(place, name, made(name))
    start_s = start / 16_000
    rest = [np.empty(0, np.float32), *audio.blocks(path, 1_000, rate, start_s=start_s)]
    np.testing.assert_array_equal(np.concatenate(rest), heard(path)[0][round(start_s * rate) :])


def fill(fifo, content):
    with suppress(BrokenPipeError):  # the reader has heard enough
        fifo.write_bytes(content)


def through_a_pipe(place, name, content):
    fifo = place / f"{name}.fifo"
    os.mkfifo(fifo)
    try:
        assert audio.length_s(fifo) == 0.0  # nothing is drained
        writer = threading.Thread(target=fill, args=(fifo, content))
        writer.start()
        try:
            return heard(fifo)
        finally:
            writer.join()
    finally:
        fifo.unlink()


@pytest.mark.parametrize("name", ["flac", "ogg-opus", "mp3", "aac", "webm", "wma", "amr", "gsm", "caf", "au", "aiff"])
def test_a_pipe_is_heard_as_a_file_is(place, name):
    path = write(place, name, made(name))
    samples, error = through_a_pipe(place, name, made(name))
    from_file, _ = heard(path)
    assert error is None
    np.testing.assert_array_equal(samples[: len(from_file)], from_file)
    assert len(samples) - len(from_file) <= (1_152 if name == "mp3" else 0)  # its padding is known from its end alone


def test_an_mp4_whose_index_lies_at_its_end_is_refused_from_a_pipe(place):
    content = encoded(np.tile(noise(44_100), (20, 1)), "ipod", "aac", 44_100)
    samples, error = through_a_pipe(place, "m4a", content)
    assert "write it into a file first" in error
    assert not len(samples)
    in_front = encoded(noise(44_100), "mp4", "aac", 44_100, True, {"movflags": "frag_keyframe+empty_moov"})
    samples, error = through_a_pipe(place, "m4a", in_front)
    assert error is None
    assert abs(len(samples) - SECONDS * 44_100) <= 2_048


def test_an_mp3_without_its_length_is_heard_to_its_end_and_called_whole(place):
    rng = np.random.default_rng(1)
    quiet_then_loud = rng.normal(0, 0.1, 3 * 44_100) * np.repeat([1e-4, 1e-4, 1.0], 44_100)
    content = encoded(
        quiet_then_loud, "mp3", "libmp3lame", 44_100, options={"write_xing": "0", "compression_level": "2"}
    )
    samples, error = heard(write(place, "mp3", content))
    assert error is None
    assert 3 * 44_100 <= len(samples) <= 3.1 * 44_100


TAG = b"TAG" + bytes(125)  # ID3v1
APE = b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in (2000, 40, 1, 0, 0)) + b"x" * 40


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("tail", [TAG, APE, bytes(4_096), "again"], ids=["id3v1", "ape", "zeros", "again"])
def test_what_stands_behind_an_mp3_is_no_damage(place, pipe, tail):
    content = made("mp3", pipe)
    samples, error = heard(write(place, "mp3", content + (content if tail == "again" else tail)))
    whole, _ = heard(write(place, "mp3", content))
    assert error is None
    assert len(samples) >= (1.9 if tail == "again" else 1) * len(whole)


@pytest.mark.parametrize("name", ["mp3", "aac"])
def test_a_broadcast_begins_inside_a_frame(place, name):
    content = made(name, pipe=True)[10_001:]
    samples, _ = heard(write(place, name, content, f".{name}"))
    assert abs(len(samples) - frames_by_ffmpeg(content)) <= 2_048
    assert len(samples) > CASES[name][2]


def test_text_is_no_sound_whatever_its_name(place):
    for suffix in (".mp3", ".aac", ".m4a", ".raw"):
        samples, error = heard(write(place, "text", b"Dear diary,\ntoday nobody said a word.\n" * 200, suffix))
        assert error
        assert not len(samples)


TO_CONVERT = {"a.ts": "aac", "a.flv": "aac", "a.avi": "mp2", "a.wv": "wavpack", "a.tta": "tta", "a.ac3": "ac3"}
MUXERS = {"ts": "mpegts", **{name: name for name in ("flv", "avi", "wv", "tta", "ac3")}}


@pytest.mark.parametrize("name", TO_CONVERT)
def test_a_kind_that_is_not_read_is_named_with_the_command_that_converts_it(place, name):
    stem, suffix = name.split(".")
    content = encoded(noise(44_100), MUXERS[suffix], TO_CONVERT[name], 44_100)
    for path in (write(place, stem, content, f".{suffix}"), write(place, "nameless", content, "")):
        samples, error = heard(path)
        assert error == f"{path} is of a kind that is not read: convert it with `ffmpeg -i FILE FILE.wav`"
        assert not len(samples)


def test_samples_without_a_header_are_named(place):
    content = b"\xff\xff" + noise(16_000).astype("<f4").tobytes()
    samples, error = heard(write(place, "speech", content, ".raw"))
    assert "is no sound file that can be read" in error
    assert not len(samples)


def vorbis(samples, rate):
    into = io.BytesIO()
    soundfile.write(into, samples, rate, format="OGG", subtype="VORBIS")
    return into.getvalue()


@pytest.mark.parametrize("rates", [(44_100, 44_100), (48_000, 16_000), (16_000, 44_100)])
@pytest.mark.parametrize("channels", [(1, 1), (1, 2)])
def test_all_of_a_chained_ogg_file_is_heard(place, rates, channels):
    parts = [noise(rate, count) * level for rate, count, level in zip(rates, channels, (0.2, 2), strict=True)]
    path = write(place, "chained", b"".join(map(vorbis, parts, rates)))
    samples = audio.read(path)
    assert abs(len(samples) - 2 * SECONDS * 16_000) <= 100
    first, second = np.split(samples, [SECONDS * 16_000])
    assert first.std() < 0.3 * second.std()
    np.testing.assert_array_equal(np.concatenate(list(audio.blocks(path, 777))), samples)


@pytest.mark.parametrize("rates", [(16_000, 48_000), (48_000, 16_000)])
def test_a_chained_file_of_flac_is_heard_too(place, rates):
    path = write(place, "chained", b"".join(encoded(noise(rate), "ogg", "flac", rate) for rate in rates))
    samples = audio.read(path)
    assert abs(len(samples) - 2 * SECONDS * 16_000) <= 2
    assert abs(audio.length_s(path) - 2 * SECONDS) < 0.01


@pytest.mark.parametrize("kept", [1, 3, 4, 5, 6, 26, 27, 28, 100])
def test_a_page_of_which_a_few_bytes_are_there_is_said(place, kept):
    first = made_of_flac(16_000, 1)
    content = first + made_of_flac(48_000, 1)[:kept]
    for samples, error in (heard(write(place, "chained", content)), through_a_pipe(place, "chained", content)):
        assert len(samples) == SECONDS * 16_000
        assert error


@given(parts=st.lists(st.sampled_from([(16_000, 1), (48_000, 1), (16_000, 2)]), min_size=1, max_size=3), data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_chained_stream_through_a_pipe_is_heard_as_from_a_file(place, parts, data):
    content = b"".join(made_of_flac(rate, channels) for rate, channels in parts)
    kept = data.draw(st.just(len(content)) | st.integers(1, len(content)))
    samples, error = through_a_pipe(place, "chained", content[:kept])
    from_file, its_error = heard(write(place, "chained", content[:kept]))
    np.testing.assert_array_equal(samples, from_file)
    assert (error is None) == (its_error is None)
    if kept == len(content):
        assert error is None
        assert abs(len(samples) - len(parts) * SECONDS * 16_000) <= 2 * len(parts)


def made_of_flac(rate, channels):
    key = rate, channels
    if key not in MADE:
        MADE[key] = encoded(noise(rate, channels), "ogg", "flac", rate)
    return MADE[key]


def test_damage_in_one_link_of_a_chain_leaves_the_others(place):
    links = [encoded(noise(48_000), "ogg", "libopus", 48_000) for _ in range(3)]
    middle = bytearray(links[1])
    middle[len(middle) // 2] ^= 0xFF
    samples, error = heard(write(place, "ogg-opus", links[0] + bytes(middle) + links[2]))
    assert "truncated or damaged" in error
    assert 2.2 * SECONDS * 48_000 <= len(samples) < 2.9 * SECONDS * 48_000


def test_what_no_page_begins_is_no_link(place):
    content = made("ogg-opus")
    samples, error = heard(write(place, "ogg-opus", content + bytes(5_000) + content))
    assert error is None
    assert len(samples) == 2 * frames_by_ffmpeg(content)


def test_an_mp4_that_was_not_finished_is_said_to_be(place):
    content = made("m4a")
    samples, error = heard(write(place, "m4a", content[: len(content) * 9 // 10]))
    assert "unfinished" in error
    assert not len(samples)


AMR = {"narrow": (b"#!AMR\n", b"\x3c", 31, b"\x44", 160), "wide": (b"#!AMR-WB\n", b"\x44", 60, b"\x4c", 320)}


@pytest.mark.parametrize("band", [*AMR])
def test_the_pauses_that_a_telephone_left_out_keep_their_time(place, band):
    """Frames of comfort noise and of nothing, of which FFmpeg's program loses most: the 140 ms before are heard."""
    begin, kind, size, noise_kind, frame = AMR[band]
    rng = np.random.default_rng(0)
    speech = b"".join(kind + rng.bytes(size) for _ in range(10))
    pause = noise_kind + bytes(5) + 4 * b"\x7c"
    content = begin + pause + speech + 20 * pause + speech
    samples, error = waves.heard(write(place, "amr", content), 4_096, 50 * frame)
    assert error is None and len(samples) == 125 * frame
    frames = samples.reshape(125, frame)
    assert not frames[:5].any() and frames[5:].any(axis=1).all()
    before = frames[8:15].ravel()
    np.testing.assert_array_equal(
        frames[15:115].ravel(), np.resize(np.concatenate([before[::-1], before]), 100 * frame)
    )
    assert frames_by_ffmpeg(content) < len(samples)


@pytest.mark.parametrize("foreign", [b"\x64", b"\x44\0"], ids=["a kind that no codec has", "comfort noise cut off"])
def test_what_is_no_pause_in_amr_is_damage(place, foreign):
    _, error = waves.heard(write(place, "amr", made("amr") + foreign), 4_096, 8_000)
    assert "is damaged after 3.00 s" in error


def test_bytes_that_begin_once_as_gsm_does_are_no_sound(place):
    for content in (b"\xd0" + bytes(500), made("gsm")[:90], b"\xd0" * 33 + bytes(500)):
        samples, error = heard(write(place, "gsm", content))
        assert "is not a sound file" in error and not len(samples)


@pytest.mark.parametrize("name", ["flac", "mp3", "m4a", "webm", "amr", "wma"])
def test_without_the_extra_its_command_is_named(place, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    _, error = heard(write(place, name, made(name)))
    assert "is not a .wav file of PCM: av is needed here: pip install '.[audio]' in the folder of kws" in error


def test_samples_that_pyav_cannot_unpack_are_one_sentence(place, monkeypatch):
    def unpacked(frame):
        raise ValueError("Conversion from `s128` format to numpy array is not supported.")

    monkeypatch.setattr(media, "_array", unpacked)
    samples, error = heard(write(place, "w64", made("w64")))
    assert error.endswith("has samples of the kind s16, which cannot be read")
    assert not len(samples)


def test_the_name_of_a_file_decides_nothing(place):
    for suffix in (".raw", ".wav", ".txt", ".mp3"):
        samples, error = heard(write(place, "flac", made("flac"), suffix))
        assert error is None
        assert len(samples) == SECONDS * 16_000
