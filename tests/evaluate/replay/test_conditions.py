"""What a system hears of a source: silence, noise at an SNR, rooms; mixed the same way wherever it is done."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora import write_wav
from kws import audio
from kws.audio.pickup import Pickup
from kws.data import augment
from kws.errors import KwsError
from kws.evaluate.replay import conditions, files, mixing
from kws.evaluate.replay.conditions import Rules, blocks, excerpt, parse_condition
from kws.evaluate.replay.recording import Label, TestItem

pytest.importorskip("scipy")

SNRS = (20, 10, 5, 0)


def hear(source: TestItem, rules: Rules, frame_samples: int = 1) -> np.ndarray:
    return np.concatenate(list(blocks(source, rules, frame_samples)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """speech.wav, 3 s soft and bursting; long.wav, 11 s; four noises of 1 to 4 s; three room responses."""
    folder = tmp_path_factory.mktemp("conditions")
    rng = np.random.default_rng(0)
    for name, seconds in (("speech", 3), ("long", 11)):
        sound = 0.02 * rng.standard_normal(seconds * 16_000 + 123)
        sound[: len(sound) // 3] *= 0.01
        write_wav(folder / f"{name}.wav", sound)
    for i in range(4):
        write_wav(folder / f"noise/{i}.wav", 0.05 * np.cumsum(rng.standard_normal((i + 1) * 16_000)) / 100)
    for i in range(3):
        write_wav(folder / f"rooms/{i}.wav", np.pad(augment.simulated_rir(rng), (40, 0)) * 0.9)
    return folder


@pytest.fixture(scope="module")
def rules(folder) -> Rules:
    return Rules(0.5, 3, conditions.sound_files(str(folder / "noise")), conditions.sound_files(str(folder / "rooms")))


def source_of(folder: Path, name: str = "speech", condition: str = "clean") -> TestItem:
    return TestItem(folder / f"{name}.wav", f"some/{name}", "positive", (), condition)


@pytest.mark.parametrize(("silence_s", "frame_samples", "lead"), [(1.0, 640, 16_000), (0.0, 640, 0), (0.5, 512, 8192)])
def test_clean_is_the_file_between_silences_that_begin_with_a_frame(folder, silence_s, frame_samples, lead):
    heard = hear(source_of(folder), Rules(silence_s), frame_samples)
    sound = audio.read(folder / "speech.wav")
    assert np.array_equal(heard, np.pad(sound, (lead, int(silence_s * 16_000))))
    assert Rules(silence_s).lead_samples(frame_samples) == lead


@pytest.mark.parametrize("name", ["speech", "long"])
def test_the_snr_is_that_of_the_speech_over_the_noise_under_it(folder, rules, name):
    sound = audio.read(folder / f"{name}.wav")
    for snr in SNRS:
        heard = hear(source_of(folder, name, f"{snr} dB"), rules)
        noise = heard[8000:-8000] - sound
        assert len(noise) == len(sound)
        measured = 20 * np.log10(augment.speech_level(sound) / augment.rms(noise))
        assert measured == pytest.approx(snr, abs=0.01)


def test_the_noise_is_one_piece_at_every_snr_and_runs_through_the_silences(folder, rules):
    clean = hear(source_of(folder), rules)
    first, *others = [hear(source_of(folder, condition=f"{snr} dB"), rules) - clean for snr in SNRS]
    for snr, noise in zip(SNRS[1:], others, strict=True):
        assert np.allclose(noise, first * 10 ** ((20 - snr) / 20), atol=1e-6)
    for silence in (first[:8000], first[-8000:]):
        assert augment.rms(silence) > 0.1 * augment.rms(first)


def test_what_is_drawn_depends_on_seed_and_name_alone(folder, rules):
    source = source_of(folder, condition="10 dB")
    heard = hear(source, rules)
    for name in "abc":  # others, heard before, change nothing
        hear(replace(source, name=name), rules)
    assert np.array_equal(hear(source, rules), heard)
    assert np.array_equal(hear(source, rules.of(source)), heard)
    assert len({str(rules.mixed_with(replace(source, name=f"{i}"))) for i in range(40)}) == 4
    assert len({str(replace(rules, seed=seed).mixed_with(source)) for seed in range(40)}) == 4
    places = {hear(replace(source, name=f"{i}"), rules).tobytes() for i in range(12)}
    assert len(places) == 12


def test_a_file_that_was_changed_is_read_again(folder, rules, tmp_path):
    paths = tmp_path / "speech.wav", tmp_path / "noise.wav"
    source = TestItem(paths[0], "speech", "positive", (), "0 dB")
    heard = []
    for seconds in (1, 2):
        for path in paths:
            write_wav(path, 0.1 * np.random.default_rng(seconds).standard_normal(seconds * 9000))
            heard.append(hear(source, Rules(0.0, 0, paths[1:])) if paths[1].exists() else np.empty(0))
    assert [len(sound) for sound in heard] == [0, 9000, 18_000, 18_000]
    assert not np.array_equal(heard[2], heard[3])


def test_the_noise_stays_with_the_source_whatever_the_frames_are(folder, rules):
    source = source_of(folder, condition="0 dB")
    assert np.array_equal(hear(source, rules, 512)[8192:], hear(source, rules, 640)[8320:])


def test_a_noise_goes_round_without_a_click(tmp_path):
    time = np.arange(24_000) / 16_000
    write_wav(tmp_path / "hum.wav", 0.3 * np.sin(2 * np.pi * 50.3 * time))
    write_wav(tmp_path / "quiet.wav", np.full(16_000 * 6, 0.25) * (-1) ** np.arange(16_000 * 6))
    source = TestItem(tmp_path / "quiet.wav", "quiet", "negative", (), "0 dB")
    noise = hear(source, Rules(0, 0, (tmp_path / "hum.wav",))) - hear(replace(source, condition="clean"), Rules(0))
    assert augment.rms(noise) == pytest.approx(0.25, rel=0.05)
    step = 2 * np.pi * 50.3 / 16_000 * 0.25 * np.sqrt(2)
    assert np.abs(np.diff(noise)).max() < 2 * step


def test_a_nearly_silent_piece_of_a_noise_is_not_taken(folder, tmp_path):
    barks = np.zeros(16_000 * 20)
    barks[::50] = 1e-4
    barks[100_000:164_000] = 0.3 * np.random.default_rng(1).standard_normal(64_000)
    write_wav(tmp_path / "barks.wav", barks)
    for name in "abcdefgh":
        source = replace(source_of(folder, condition="10 dB"), name=name)
        heard = hear(source, Rules(17.0, 0, (tmp_path / "barks.wav",)))
        assert np.abs(heard).max() < 0.5  # else its gain blows up what comes before and after the source


@settings(deadline=None)
@given(st.integers(1, 3 * 400 * 7), st.integers(1, 5))
def test_the_level_of_a_file_in_blocks_is_that_of_the_whole(tmp_path_factory, length, frames):
    path = tmp_path_factory.getbasetemp() / "level.wav"
    write_wav(path, 0.1 * np.random.default_rng(length).standard_normal(length))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "STEP", 400 * frames)
        patch.setattr(files, "_SHORT_S", 0.0)
        level, counted = mixing.speech_level(path)
    assert counted == length
    assert level == pytest.approx(augment.speech_level(audio.read(path)), rel=1e-6)


@settings(deadline=None)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=6), st.integers(1, 3000), st.integers(0, 2500))
def test_a_room_in_blocks_is_a_convolution_of_the_whole(tmp_path_factory, sizes, taps, peak):
    rng = np.random.default_rng(taps)
    response = 0.01 * rng.standard_normal(taps)
    response[min(peak, taps - 1)] = 0.9
    path = tmp_path_factory.getbasetemp() / "response.wav"
    write_wav(path, response)
    pieces = [0.1 * rng.standard_normal(size).astype(np.float32) for size in sizes]
    heard = np.concatenate(list(mixing.in_room(iter(pieces), path)))
    sound = np.concatenate(pieces)
    if len(sound):
        assert np.allclose(heard, augment.convolve(sound, *augment.recorded_rir(audio.read(path))), atol=1e-6)
    assert len(heard) == len(sound)


def test_a_room_leaves_speech_where_its_labels_are(folder, tmp_path):
    response = np.zeros(4000)
    response[777] = 0.5  # a delay, which recorded responses have
    write_wav(tmp_path / "room.wav", response)
    heard = hear(source_of(folder, condition="room"), Rules(0.25, 0, (), (tmp_path / "room.wav",)))
    assert np.allclose(heard, hear(source_of(folder), Rules(0.25)), atol=1e-6)


def test_memory_stays_flat(folder, rules, tmp_path):
    def peak(seconds: int, condition: str) -> int:
        path = tmp_path / f"{seconds}.wav"
        write_wav(path, np.tile(audio.read(folder / "long.wav"), seconds // 10))
        tracemalloc.start()
        for _ in blocks(TestItem(path, "long", "negative", (), condition), rules):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        path.unlink()
        return found

    for condition in ("clean", "10 dB", "room", "-40 dBFS", "8 kHz"):
        peak(70, condition)
        assert peak(320, condition) < peak(80, condition) + 500_000


def test_users_may_name_conditions_briefly():
    brief = ("clean", "Room", "10", "10 dB", "5dB", "-5", "Cold", "-45dBFS", "-45 dbfs", "8khz")
    named = ["clean", "room", "10 dB", "10 dB", "5 dB", "-5 dB", "cold", "-45 dBFS", "-45 dBFS", "8 kHz"]
    assert [parse_condition(text) for text in brief] == named


@pytest.mark.parametrize("peak", [-20, -60])
def test_a_level_is_that_of_the_peak_in_16_bits(folder, peak):
    heard = hear(source_of(folder, condition=f"{peak} dBFS"), Rules(0.5))
    assert np.array_equal(heard * 32768, np.round(heard * 32768))
    assert 20 * np.log10(np.abs(heard).max()) == pytest.approx(peak, abs=0.1)
    clean = hear(source_of(folder), Rules(0.5))
    assert np.corrcoef(heard, clean)[0, 1] > 0.99


def test_a_telephone_carries_what_lies_below_4_khz_and_shifts_nothing(tmp_path):
    t = np.arange(16_000) / 16_000
    for hz, kept in ((1000, 0.5), (6000, 0.0)):
        write_wav(tmp_path / "speech.wav", 0.5 * np.sin(2 * np.pi * hz * t))
        heard = hear(source_of(tmp_path, condition="8 kHz"), Rules(0.5))[8000:-8000]
        assert np.abs(heard - kept * np.sin(2 * np.pi * hz * t))[500:-500].max() < 0.01


@pytest.mark.parametrize("labelled", [True, False])
def test_a_cold_stream_begins_with_the_word(tmp_path, labelled):
    sound = np.concatenate([1e-4 * np.ones(5000), 0.3 * np.sin(np.arange(9000))])
    write_wav(tmp_path / "speech.wav", sound)
    labels = (Label("word", start=5000, end=14_000),) if labelled else ()
    source = replace(source_of(tmp_path, condition="cold"), labels=labels)
    heard = hear(source, Rules(0.5), 640)
    begin = (5000 if labelled else 4800) // 640 * 640
    assert Rules(0.5).lead_samples(640, source) == -begin
    assert np.array_equal(heard, np.pad(audio.read(tmp_path / "speech.wav")[begin:], (0, 8000)))


@pytest.mark.parametrize(
    ("condition", "noise", "sentence"),
    [
        ("10 dB", (), "the condition 10 dB needs noise"),
        ("room", (), "the condition room needs rooms"),
        ("loud", (), "there is no condition 'loud'"),
        ("-x dBFS", (), "there is no condition '-x dBFS'"),
        ("10 dB", ("silent.wav",), "silent.wav is silent"),
        ("10 dB", ("gone.wav",), "gone.wav does not exist"),
    ],
)
def test_mistakes_are_one_sentence(folder, tmp_path, condition, noise, sentence):
    write_wav(tmp_path / "silent.wav", np.zeros(16_000))
    with pytest.raises(KwsError, match=sentence):
        hear(source_of(folder, condition=condition), Rules(0.5, 0, tuple(tmp_path / name for name in noise)))


def test_only_what_can_be_heard_is_mixed_with(tmp_path):
    quiet_first = np.concatenate([np.zeros(20 * 16_000), 0.1 * np.ones(100)])
    for name, sound in (("a", np.zeros(800)), ("b", quiet_first), ("c", np.zeros(800))):
        write_wav(tmp_path / f"{name}.wav", sound)
    files, skipped = conditions.sound_files(str(tmp_path)), []
    assert conditions.with_sound(files, skipped) == (tmp_path / "b.wav",)
    assert [Path(line.partition(" ")[0]).name for line in skipped] == ["a.wav", "c.wav"]
    with pytest.raises(KwsError, match=r"none of 1 files .*a\.wav is silent"):
        conditions.with_sound(files[:1], [])


def test_a_place_without_noise_is_refused(tmp_path):
    with pytest.raises(KwsError, match="there is no sound file in"):
        conditions.sound_files(str(tmp_path))


@pytest.mark.parametrize("condition", ["clean", "10 dB", "room", "cold", "-45 dBFS", "8 kHz"])
@pytest.mark.parametrize("gain_db", [-12.5, 40.0])
def test_a_gain_makes_all_that_is_heard_louder_whatever_the_condition(folder, rules, condition, gain_db):
    source = source_of(folder, condition=condition)
    plain, louder = (hear(source, replace(rules, pickup=Pickup(None, gain))) for gain in (0.0, gain_db))
    np.testing.assert_array_equal(louder, np.clip(plain * np.float32(10 ** (gain_db / 20)), -1, 1))


@pytest.mark.parametrize("condition", ["clean", "10 dB", "cold", "-45 dBFS"])
def test_a_channel_is_heard_as_the_file_that_it_would_make(tmp_path, rules, condition):
    rng = np.random.default_rng(0)
    sound = np.stack([rng.uniform(-0.5, 0.5, 32_000), np.pad(rng.uniform(-0.1, 0.1, 16_000), (16_000, 0))], axis=1)
    soundfile.write(tmp_path / "speech.wav", sound, 16_000, subtype="FLOAT")
    one = hear(source_of(tmp_path, condition=condition), replace(rules, pickup=Pickup(2)))
    soundfile.write(tmp_path / "speech.wav", sound[:, 1], 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(one, hear(source_of(tmp_path, condition=condition), rules))


def test_the_excerpt_that_a_page_plays_has_the_gain(folder, rules):
    quiet = excerpt(source_of(folder), rules, 1.0, 2.0)
    louder = excerpt(source_of(folder), replace(rules, pickup=Pickup(None, 12.0)), 1.0, 2.0)
    np.testing.assert_array_equal(louder, np.clip(quiet * np.float32(10 ** (12 / 20)), -1, 1))
