"""Manifests, decoded clips, augmentation and scenes."""

from dataclasses import replace

import numpy as np
import pytest

from corpora import write_corpus, write_wav

torch = pytest.importorskip("torch")
pytest.importorskip("soxr")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from kws.data import augment  # noqa: E402
from kws.data.clips import load_clips  # noqa: E402
from kws.data.corpora import folder  # noqa: E402
from kws.data.manifest import Utterance, read_manifest, rows_of, shared_speakers, write_manifest  # noqa: E402
from kws.data.scenes.dataset import SceneConfig, SceneDataset, SceneSource  # noqa: E402
from kws.errors import KwsError  # noqa: E402


def silent(line: str) -> None:
    """A report that nobody reads."""


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "words", ["yes", "no", "maybe"])


def test_manifest_rows_by_split(corpus):
    assert len(read_manifest(corpus)) == 9
    dev = read_manifest(corpus / "manifest.csv", ["dev"])
    assert [row.text for row in dev] == ["yes", "no", "maybe"] and dev[0].audio.is_file()
    assert not shared_speakers(read_manifest(corpus))


def test_spans_are_written_where_there_are_any_and_read_again(corpus, tmp_path):
    rows = read_manifest(corpus)
    write_manifest(tmp_path / "plain.csv", rows)
    assert "start" not in (tmp_path / "plain.csv").read_text() and read_manifest(tmp_path / "plain.csv") == rows
    rows = [replace(rows[0], span=(0.125, 0.5)), *rows[1:]]
    write_manifest(tmp_path / "spans.csv", rows)
    assert read_manifest(tmp_path / "spans.csv") == rows


def test_shared_speakers_are_found(corpus):
    rows = [*read_manifest(corpus), Utterance(corpus, 1.0, "", "train-0-0", "dev")]
    assert shared_speakers(rows) == {"train-0-0": {"train", "dev"}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("audio,text\na,b\n", "lacks the columns seconds"),
        ("audio,seconds\na.wav,long\n", "line 2: seconds is 'long'"),
        ("audio,seconds,start,end\na.wav,1,0.5,\n", "line 2: start stands alone"),
        ("audio,seconds,start,end\na.wav,1,0.5,x\n", "line 2: end is 'x'"),
        ("audio,seconds,start,end\na.wav,1,0.5,0.25\n", "line 2: from 0.5 to 0.25 s is no span"),
        ("seconds,text,audio\n1,yes,\n", "line 2: the column audio names no file"),
    ],
)
def test_a_broken_manifest_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(KwsError, match=sentence):
        read_manifest(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_a_manifest_in_another_encoding_is_one_sentence(tmp_path, encoding):
    (tmp_path / "manifest.csv").write_text("audio,seconds,text\na.wav,1,caf\u00e9\n", encoding)
    with pytest.raises(KwsError, match=r"manifest\.csv is not a CSV file in UTF-8: save it"):
        read_manifest(tmp_path)
    with pytest.raises(KwsError, match=r"manifest\.csv is not a CSV file in UTF-8: save it"):
        folder.CORPUS.prepare(tmp_path / "root", tmp_path)


def test_a_manifest_as_excel_writes_it(tmp_path):
    (tmp_path / "manifest.csv").write_text("audio,seconds,text\r\na.wav,1,ALEXA!\r\n", "utf-8-sig")
    assert [(row.audio.name, row.text) for row in read_manifest(tmp_path)] == [("a.wav", "alexa")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("told", [False, True])
def test_a_manifest_as_excel_leaves_it(tmp_path, delimiter, told):
    """Capitals and spaces in the header, empty rows, backslashes, decimal commas, empty cells."""
    rows = [
        ["Audio ", "SECONDS", "Text", "speaker", "Split"],
        ["", "", "", "", ""],
        ["clips\\a.wav", '"1,5"', "ALEXA!", "Ann", "dev"],
        [" ", "", "", "", ""],
        ["clips/b.wav", "2.5", "", "", ""],
        ["missing\\c.wav", "1", "", "", "dev"],
    ]
    first = f"sep={delimiter}\r\n" if told else "\r\n"
    text = first + "\r\n".join(delimiter.join(cells) for cells in rows) + "\r\n\r\n"
    (tmp_path / "manifest.csv").write_text(text, "utf-8-sig", newline="")
    (tmp_path / "clips").mkdir()
    for name in "ab":
        (tmp_path / f"clips/{name}.wav").touch()
    first, second, third = read_manifest(tmp_path)
    assert (first.audio, first.seconds) == (tmp_path / "clips/a.wav", 1.5)
    assert (first.text, first.speaker, first.split) == ("alexa", "Ann", "dev")
    assert (second.audio, second.seconds, second.text, second.split) == (tmp_path / "clips/b.wav", 2.5, "", "")
    assert third.audio.name == "missing\\c.wav"  # named as it was written
    assert len(read_manifest(tmp_path, ["dev"])) == 2


def test_a_bad_row_is_told_and_the_others_are_read(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "audio,seconds\na.wav,1\n,1\nb.wav,long\nc.wav,3\nd.wav,nan\ne.wav,inf\nf.wav,-1\n"
    )
    faults = []
    assert [row.audio.name for row in read_manifest(tmp_path, faults=faults)] == ["a.wav", "c.wav"]
    assert [fault.partition("manifest.csv ")[2] for fault in faults] == [
        "line 3: the column audio names no file",
        "line 4: seconds is 'long', not a number of seconds",
        "line 6: seconds is 'nan', not a number of seconds",
        "line 7: seconds is 'inf', not a number of seconds",
        "line 8: seconds is '-1', not a number of seconds",
    ]


def test_a_split_that_no_row_has_is_an_error(corpus, tmp_path):
    assert len(rows_of([f"{corpus}@dev", str(corpus)])) == 12
    with pytest.raises(KwsError, match=r"words@dve: no rows are of that split; there are train, dev"):
        rows_of([f"{corpus}@dve"])
    (corpus / "plain.csv").write_text("audio,seconds\n0/0.wav,1\n")
    with pytest.raises(KwsError, match=r"plain\.csv@dev: no rows are of that split; there are none"):
        rows_of([f"{corpus / 'plain.csv'}@dev"])
    with pytest.raises(KwsError, match="no manifest at"):
        rows_of([f"{corpus / '0'}@dev"])


def test_missing_manifest(tmp_path):
    with pytest.raises(KwsError, match="no manifest at"):
        read_manifest(tmp_path / "nowhere.csv")


def test_corrupt_clips_are_named_counted_and_skipped(corpus, tmp_path):
    rows = read_manifest(corpus)
    (corpus / "0" / "0.wav").write_text("no audio")
    (corpus / "1" / "1.wav").unlink()
    lines: list[str] = []
    clips = load_clips(rows, tmp_path / "cache", lines.append)
    assert len(clips) == 7 and len(clips.skipped) == 2
    assert "skipped 2 of 9" in lines[0] and "0.wav" in clips.skipped[0]
    assert [row.audio for row in clips.utterances] == [rows[i].audio for i in (1, 2, 3, 5, 6, 7, 8)]


def test_decoded_clips_are_the_recordings_and_are_decoded_once(corpus, tmp_path, monkeypatch):
    rows = read_manifest(corpus)
    first = load_clips(rows, tmp_path / "cache", silent)
    monkeypatch.setattr("kws.data.clips.read", None)  # a second decoding would fail
    again = load_clips(rows, tmp_path / "cache", silent)
    from kws.audio import read

    for i, row in enumerate(rows):
        assert np.array_equal(again.read(i), first.read(i))
        assert np.abs(again.read(i) - read(row.audio)).max() < 1e-4


def test_a_changed_clip_is_decoded_anew(corpus, tmp_path):
    rows = read_manifest(corpus)
    before = load_clips(rows, tmp_path / "cache", silent).read(0)
    write_wav(rows[0].audio, np.full(1000, 0.25))
    after = load_clips(rows, tmp_path / "cache", silent).read(0)
    assert len(before) == 8000 and len(after) == 1000


def scenes(corpus, tmp_path, **changes) -> SceneDataset:
    clips = load_clips(read_manifest(corpus, ["train"]), tmp_path / "cache", silent)
    targets = [np.array([1 + i, 9], np.int64) for i in range(len(clips))]
    config = SceneConfig(rows=3, row_seconds=3.0, **changes)
    return SceneDataset({"words": SceneSource(clips, targets, 1.0)}, None, config, seed=5)


def test_a_batch_depends_on_seed_and_step_alone(corpus, tmp_path):
    data = scenes(corpus, tmp_path)
    later = data[7]
    for name, value in scenes(corpus, tmp_path)[7].items():
        assert torch.equal(value, later[name])
    assert not torch.equal(data[8]["pcm"], later["pcm"])


def test_scenes_are_full_finite_and_say_what_they_hold(corpus, tmp_path):
    data = scenes(corpus, tmp_path)
    for step in range(10):
        batch = data[step]
        assert batch["pcm"].shape == (3, 48_000) and batch["pcm"].dtype == torch.float32
        assert torch.isfinite(batch["pcm"]).all() and batch["pcm"].abs().max() <= 1
        assert len(batch["targets"]) == batch["target_lengths"].sum()
        assert (batch["target_lengths"] >= 2).all(), "a row holds at least one clip of half a second"
        assert (batch["targets"][1::2] == 9).all(), "targets of clips stay whole and in order"


@given(snr_db=st.floats(-10, 40), seed=st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_noise_is_added_at_the_ratio_asked_for(snr_db, seed):
    rng = np.random.default_rng(seed)
    speech, noise = (rng.standard_normal(8000).astype(np.float32) * rng.uniform(0.01, 1) for _ in range(2))
    added = augment.add_noise(speech, noise, snr_db, augment.speech_level(speech)) - speech
    assert 20 * np.log10(augment.speech_level(speech) / augment.rms(added)) == pytest.approx(snr_db, abs=0.1)


def test_speed_changes_length_and_pitch_together():
    x = np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000).astype(np.float32)
    y = augment.speed(x, 1.1, 1.1, np.random.default_rng(0))
    assert len(y) == pytest.approx(16_000 / 1.1, abs=2)
    peak_hz = np.abs(np.fft.rfft(y)).argmax() * 16_000 / len(y)
    assert peak_hz == pytest.approx(440, abs=2)


def test_a_room_keeps_the_onset_and_adds_a_tail():
    click = np.zeros(16_000, np.float32)
    click[4000] = 1.0
    y = augment.convolve(click, augment.simulated_rir(np.random.default_rng(1)))
    assert len(y) == len(click) and not np.abs(y[:4000]).max() > 1e-6
    assert y[4000] == pytest.approx(1.0, abs=1e-3) and np.abs(y[4100:]).max() > 1e-3


def test_a_microphone_filter_does_not_shift_the_signal():
    click = np.zeros(4000, np.float32)
    click[2000] = 1.0
    response = augment.microphone_filter(np.random.default_rng(2))
    assert np.abs(augment.convolve(click, response, len(response) // 2)).argmax() == 2000


def test_of_a_closed_vocabulary_each_word_comes_as_often_as_any_other(corpus, tmp_path):
    clips = load_clips(read_manifest(corpus, ["train"]), tmp_path / "cache", silent)
    targets = [np.array([1], np.int64)] * len(clips)
    words = [0] * (len(clips) - 1) + [1]
    config = SceneConfig(rows=40, row_seconds=0.8, most_clips=1, empty_probability=0.1)
    data = SceneDataset({"words": SceneSource(clips, targets, 1.0, words)}, None, config, seed=5, silence=2)
    batches = [data[step] for step in range(10)]
    drawn = np.bincount(torch.cat([batch["words"] for batch in batches]).numpy(), minlength=3)
    assert drawn.sum() == 400 and 20 < drawn[2] < 70, "a tenth of the rows is silence"
    assert 120 < drawn[0] < 240 and 120 < drawn[1] < 240
    lengths = torch.cat([batch["target_lengths"] for batch in batches])
    assert ((lengths == 0) == (torch.cat([batch["words"] for batch in batches]) == 2)).all()
