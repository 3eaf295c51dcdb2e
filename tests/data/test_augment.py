"""Augmentation and scenes: what each change of a sound leaves alone, and what numbers are drawn from."""

from dataclasses import fields, replace

import numpy as np
import pytest

from corpora import write_corpus

torch = pytest.importorskip("torch")
pytest.importorskip("soxr")
pytest.importorskip("python_stretch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.arrays import Samples  # noqa: E402
from kws.data import augment  # noqa: E402
from kws.data.clips import Clips, load_clips  # noqa: E402
from kws.data.manifest import read_manifest  # noqa: E402
from kws.data.scenes.dataset import SceneConfig, SceneDataset, SceneSource  # noqa: E402
from kws.train.specaugment import SpecAugment  # noqa: E402

RATE = 16_000
LENGTH_KEEPING = {
    "shift": lambda x, rng: augment.shift(x, 1600, rng),
    "overdrive": lambda x, rng: augment.overdrive(x, 15.0, rng),
    "telephone": lambda x, rng: augment.convolve_centred(x, augment.telephone_filter(rng)),
    "room": lambda x, rng: augment.convolve(x, augment.simulated_rir(rng)),
    "microphone": lambda x, rng: augment.convolve_centred(x, augment.microphone_filter(rng)),
    **{
        f"codec {codec.subtype}": lambda x, rng, codec=codec: augment.through_codec(x, codec)
        for codec in augment.CODECS
    },
}
OFF = ("stretch_probability", "shift_seconds", "overdrive_probability", "telephone_probability", "codec_probability")
quick = settings(max_examples=20, deadline=None)


def voice(samples: int, seed: int) -> Samples:
    """Something of speech's band and level: bursts of low noise."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.standard_normal(samples + 7), np.ones(8) / 8, "valid")
    return (0.2 * noise * (np.arange(samples) % 4000 < 2500)).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def peak_hz(x: Samples) -> float:
    return np.abs(np.fft.rfft(x * np.hanning(len(x)))).argmax() * RATE / len(x)


def lag(x: Samples, y: Samples) -> int:
    """By how many samples y comes after x."""
    product = np.fft.irfft(np.conj(np.fft.rfft(x, 2 * len(x))) * np.fft.rfft(y, 2 * len(x)))
    return int((product.argmax() + len(x)) % (2 * len(x)) - len(x))


@pytest.mark.parametrize("name", LENGTH_KEEPING)
@given(samples=st.integers(1, 9000), seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_a_change_keeps_the_length_and_is_drawn_from_its_generator_alone(name, samples, seed):
    x = voice(samples, seed)
    before = x.copy()
    once, again = (LENGTH_KEEPING[name](x, np.random.default_rng(seed)) for _ in range(2))
    assert once.dtype == np.float32 and once.shape == x.shape and np.isfinite(once).all()
    assert np.array_equal(once, again) and np.array_equal(x, before)


@pytest.mark.parametrize("codec", augment.CODECS, ids=lambda codec: codec.subtype)
def test_a_codec_changes_the_sound_but_does_not_shift_it(codec):
    x = voice(20_000, 1)
    y = augment.through_codec(x, codec)
    assert lag(x, y) == 0
    distance_db = 10 * np.log10(np.mean(np.square(x)) / np.mean(np.square(x - y)))
    assert 3 < distance_db < 50, "audibly coded, and still the same sound"


def test_a_codec_takes_what_is_too_loud_and_what_is_silent():
    for codec in augment.CODECS:
        loud = 5 * voice(4000, 2)
        assert np.array_equal(augment.through_codec(loud, codec), augment.through_codec(np.clip(loud, -1, 1), codec))
        assert np.abs(augment.through_codec(np.zeros(4000, np.float32), codec)).max() < 0.01


@given(tempo=st.floats(0.8, 1.25), semitones=st.floats(-4, 4), samples=st.integers(1, 20_000))
@quick
def test_stretching_gives_the_length_that_the_tempo_says(tempo, semitones, samples):
    rng = np.random.default_rng(0)
    y = augment.stretch(voice(samples, 3), (tempo, tempo), (semitones, semitones), rng)
    assert abs(len(y) - samples / tempo) <= 1 and y.dtype == np.float32 and np.isfinite(y).all()


@given(tempo=st.floats(0.85, 1.15), semitones=st.floats(-3, 3))
@quick
def test_tempo_and_pitch_are_changed_each_by_its_own(tempo, semitones):
    y = augment.stretch(tone(300.0), (tempo, tempo), (semitones, semitones), np.random.default_rng(0))
    assert peak_hz(y) == pytest.approx(300 * 2 ** (semitones / 12), rel=0.02)
    assert augment.rms(y) == pytest.approx(augment.rms(tone(300.0)), rel=0.15)


@given(low=st.floats(0.7, 1.0), seed=st.integers(0, 99))
@quick
def test_no_clip_is_slower_than_the_slowest_speed(low, seed):
    assert len(augment.speed(voice(4000, 0), low, low + 0.01, np.random.default_rng(seed))) <= 4000 / low + 1


@given(most=st.integers(0, 3000), seed=st.integers(0, 99))
@quick
def test_shifting_moves_and_brings_in_silence(most, seed):
    x = 1.0 + np.arange(2000, dtype=np.float32)
    y = augment.shift(x, most, np.random.default_rng(seed))
    kept = np.flatnonzero(y)
    assert len(y) == len(x) and len(kept) >= len(x) - most
    if len(kept):
        by = kept[0] - int(y[kept[0]] - 1)
        assert abs(by) <= most and np.array_equal(y[kept], x[kept - by]), "one piece, moved as a whole"


@given(most_db=st.floats(0, 30), seed=st.integers(0, 99))
@quick
def test_overdrive_cuts_peaks_and_nothing_else(most_db, seed):
    x = voice(4000, seed)
    y = augment.overdrive(x, most_db, np.random.default_rng(seed))
    assert (np.abs(y) <= np.abs(x) + 1e-6).all() and (x * y >= 0).all()
    assert np.abs(y).max() >= 0.76 * np.abs(x).max() * augment.decibels(-most_db)  # 0.76: tanh(1)


@pytest.mark.parametrize("seed", range(5))
def test_a_telephone_line_passes_speech_and_neither_hum_nor_hiss(seed):
    response = augment.telephone_filter(np.random.default_rng(seed))
    passed = {hz: augment.rms(augment.convolve_centred(tone(hz), response)[1000:-1000]) for hz in (50, 1000, 6000)}
    assert passed[1000] == pytest.approx(augment.rms(tone(1000)), rel=0.1)
    assert passed[50] < 0.25 * passed[1000] and passed[6000] < 0.01 * passed[1000]
    assert lag(voice(8000, 4), augment.convolve_centred(voice(8000, 4), response)) == 0


@given(before=st.integers(0, 4000), gain=st.floats(0.01, 1.0), seed=st.integers(0, 99))
@quick
def test_a_recorded_room_neither_shifts_nor_scales_the_direct_sound(before, gain, seed):
    rng = np.random.default_rng(seed)
    tail = 0.2 * rng.standard_normal(6000) * np.exp(-np.arange(6000) / 1000)
    tail[:50] = 0
    tail[0] = 1.0
    recording = (gain * np.concatenate([np.zeros(before), tail])).astype(np.float32)
    click = np.zeros(8000, np.float32)
    click[3000] = 1.0
    y = augment.convolve(click, *augment.recorded_rir(recording))
    assert np.abs(y).argmax() == 3000 and y[3000] == pytest.approx(1.0, rel=0.01)
    assert np.abs(y[:3000]).max() < 1e-4 and np.abs(y[3060:]).max() > 0.01


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Clips:
    root = tmp_path_factory.mktemp("words")
    write_corpus(root / "words", ["yes", "no", "maybe"])
    return load_clips(read_manifest(root / "words", ["train"]), root / "cache", lambda line: None)


def scenes(clips: Clips, rooms: bool = False, seed: int = 11, **changes) -> SceneDataset:
    source = SceneSource(clips, [np.array([i + 1]) for i in range(len(clips))], 1.0)
    config = SceneConfig(**{"rows": 3, "row_seconds": 3.0, **changes})
    return SceneDataset({"words": source}, clips, config, seed, rirs=clips if rooms else None)


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@given(index=st.integers(0, 5), start=st.integers(0, 9000), samples=st.none() | st.integers(0, 9000))
@settings(deadline=None)
def test_a_part_of_a_clip_is_what_the_whole_has_there(clips, index, start, samples):
    end = None if samples is None else start + samples
    assert np.array_equal(clips.read(index, start, samples), clips.read(index)[start:end])


def test_what_is_off_leaves_the_numbers_of_older_recipes_alone(clips):
    """Batches as they were before there was stretching, shifting, overdrive, telephone, codec and recorded rooms."""
    batch = scenes(clips, rows=6)[3]
    levels = batch["pcm"].square().mean(1).sqrt()
    expected = [0.017218364, 0.028146919, 0.0098379357, 0.058189414, 0.093348265, 0.067891888]
    assert levels.tolist() == pytest.approx(expected, rel=1e-4)
    assert batch["targets"].tolist() == [1, 1, 4, 3, 3, 3, 4, 5, 2, 2, 1, 3, 1, 5, 4, 6]


@pytest.mark.parametrize("name", OFF)
def test_each_change_is_heard_when_it_is_on(clips, name):
    changed = scenes(clips, **{name: 1.0})[3]
    assert not torch.equal(changed["pcm"], scenes(clips)[3]["pcm"])


def test_recorded_rooms_are_heard_as_often_as_asked_for(clips):
    simulated = scenes(clips, room_probability=1.0)[3]
    assert same(scenes(clips, rooms=True, room_probability=1.0, recorded_rooms=0.0)[3], simulated)
    assert not same(scenes(clips, rooms=True, room_probability=1.0, recorded_rooms=1.0)[3], simulated)


EVERYTHING = {name: 0.5 for name in (f.name for f in fields(SceneConfig)) if name.endswith("_probability")}
EVERYTHING |= {"shift_seconds": 0.05, "empty_probability": 0.1}


def test_a_row_depends_on_seed_step_and_row_alone(clips):
    few, many = scenes(clips, rooms=True, **EVERYTHING), scenes(clips, rooms=True, **EVERYTHING, rows=5)
    before = few[4]
    assert torch.equal(many[4]["pcm"][:3], before["pcm"])
    assert few[5] is not None and same(few[4], before), "what was made before changes nothing"
    assert not torch.equal(scenes(clips, rooms=True, seed=12, **EVERYTHING)[4]["pcm"], before["pcm"])


def test_a_worker_process_makes_the_same_batches(clips):
    data = scenes(clips, rooms=True, **EVERYTHING)
    loader = torch.utils.data.DataLoader(data, batch_size=None, sampler=[2, 0], num_workers=1)
    assert all(same(made, data[step]) for made, step in zip(loader, [2, 0], strict=True))


@given(
    probabilities=st.fixed_dictionaries({name: st.sampled_from([0.0, 0.5, 1.0]) for name in EVERYTHING}),
    seconds=st.floats(0.6, 3.0),
    slow=st.floats(0.7, 1.0),
    slow_tempo=st.floats(0.7, 1.0),
    step=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_any_scene_is_finite_bounded_and_holds_whole_clips(clips, probabilities, seconds, slow, slow_tempo, step):
    probabilities["shift_seconds"] *= 0.2
    ranges = {"speed": (slow, 1.2), "tempo": (slow_tempo, slow_tempo + 0.05), "gap_seconds": (0.0, 0.05)}
    batch = scenes(clips, rooms=True, rows=2, row_seconds=seconds, **probabilities, **ranges)[step]
    assert batch["pcm"].shape == (2, int(seconds * RATE)) and batch["pcm"].dtype == torch.float32
    assert torch.isfinite(batch["pcm"]).all() and batch["pcm"].abs().max() <= 1
    assert len(batch["targets"]) == batch["target_lengths"].sum()


@given(stretch=st.sampled_from([0.0, 1.0]), gain_db=st.floats(-12, 6), row_db=st.floats(-20, 6), step=st.integers(0, 9))
@quick
def test_a_clean_clip_comes_at_the_level_asked_for(clips, stretch, gain_db, row_db, step):
    clean = dict.fromkeys(EVERYTHING, 0.0) | {"stretch_probability": stretch, "most_clips": 1}
    levels = {"clip_gain_db": (gain_db, gain_db), "row_gain_db": (row_db, row_db), "gap_seconds": (0.0, 0.0)}
    row = scenes(clips, **clean, **levels)[step]["pcm"][0].numpy()
    said = row[: np.flatnonzero(row)[-1] + 1]
    assert 20 * np.log10(augment.speech_level(said)) == pytest.approx(-26 + gain_db + row_db, abs=0.3)


@given(bands=st.integers(0, 10), frames=st.integers(0, 40), seconds=st.integers(1, 6), seed=st.integers(0, 99))
@quick
def test_masks_hide_no_more_than_they_say(bands, frames, seconds, seed):
    torch.manual_seed(seed)
    mel = torch.ones(3, 100 * seconds, 40)
    masked = SpecAugment(bands, frames)(mel)
    assert masked.shape == mel.shape and set(masked.unique().tolist()) <= {0.0, 1.0}
    hidden_bands = (masked == 0).all(dim=1).sum(dim=1)
    hidden_times = (masked == 0).all(dim=2).sum(dim=1)
    assert hidden_bands.max() <= bands and hidden_times.max() <= frames * max(1, seconds // 2)
    rest = masked[masked.any(dim=2)[:, :, None] & masked.any(dim=1)[:, None, :]]
    assert (rest == 1).all(), "whole bands and whole times"


def test_time_masks_that_are_off_draw_nothing():
    mel = torch.randn(2, 300, 40)
    torch.manual_seed(0)
    SpecAugment(8, 0)(mel)
    after = torch.rand(3)
    torch.manual_seed(0)
    from kws.data.torchaudio_import import load_torchaudio

    load_torchaudio().transforms.FrequencyMasking(8, iid_masks=True)(mel.transpose(1, 2)[:, None])
    assert torch.equal(torch.rand(3), after)
    torch.manual_seed(0)
    SpecAugment(8, 20)(mel)
    assert not torch.equal(torch.rand(3), after)


def test_the_config_says_how_much_longer_a_clip_may_get():
    config = SceneConfig(speed=(0.9, 1.1), tempo=(0.8, 1.2))
    assert config.slowest == 0.9 and replace(config, stretch_probability=0.1).slowest == 0.8
