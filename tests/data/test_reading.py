"""What data, training and scoring make of the sound files that people have: read, or named, counted and skipped."""

import json

import numpy as np
import pytest

pytest.importorskip("tqdm")

from encoded import encoded
from kws.audio import READING
from kws.data.clips import load_clips
from kws.data.corpora import folder
from kws.data.manifest import Utterance, rows_of

SAMPLES = np.random.default_rng(0).normal(0, 0.05, 32_000)


@pytest.fixture
def recordings(tmp_path):
    """Two that are whole, of a telephone and a browser, one that is cut, and what else lies in a folder."""
    place = tmp_path / "in" / "hey_you" / "ann"
    place.mkdir(parents=True)
    (place / "phone.m4a").write_bytes(encoded(SAMPLES, "ipod", "aac", 16_000))
    (place / "browser.webm").write_bytes(encoded(SAMPLES, "webm", "libopus", 48_000, pipe=True))
    cut = encoded(SAMPLES, "flac", "flac", 16_000)
    (place / "cut.flac").write_bytes(cut[: len(cut) // 2])
    (place / "said.docx").write_bytes(b"PK\3\4" + bytes(100))
    (place / "notes.txt").write_text("said twice")
    (place / ".hidden").touch()
    return tmp_path / "in"


def test_a_folder_gives_every_file_that_may_be_sound(recordings):
    names = {row.audio.name for row in rows_of([str(recordings)])}
    assert names == {"phone.m4a", "browser.webm", "cut.flac", "said.docx"}


def test_a_corpus_names_what_it_cannot_read(recordings, tmp_path):
    prepared = folder.CORPUS.prepare(tmp_path / "corpus", recordings)
    assert {row.audio.name for row in prepared.rows} == {"phone.m4a", "browser.webm"}
    why = {audio.rpartition("/")[2]: why for audio, _, why in prepared.skipped}
    assert why.keys() == {"cut.flac", "said.docx"}
    assert "truncated or damaged" in why["cut.flac"]
    assert why["said.docx"] == "is not a sound file"


def content(name):
    container, codec = {"phone.opus": ("ogg", "libopus"), "radio.mp3": ("mp3", "libmp3lame")}.get(
        name, ("flac", "flac")
    )
    whole = encoded(SAMPLES, container, codec, 16_000)
    return whole[: len(whole) // 2] if name == "cut.flac" else whole


def decoded(files, cache):
    said = []
    rows = [Utterance(file, 0.0, "", "", "") for file in files]
    return load_clips(rows, cache, said.append), said


def test_training_names_what_it_cannot_read(recordings, tmp_path):
    clips, said = decoded(sorted((recordings / "hey_you" / "ann").glob("*.*a*")), tmp_path / "cache")
    assert len(clips) == 1
    assert "skipped 1 of 2 clips" in said[0]
    assert "truncated or damaged" in said[0]


def age(cache):
    """As a version left them that read some files otherwise."""
    for path in cache.glob("*.json"):
        index = json.loads(path.read_text())
        assert index.pop("reading") == READING
        path.write_text(json.dumps(index))


@pytest.mark.parametrize("names", [["whole.flac", "phone.opus"], ["whole.flac", "cut.flac"], ["radio.mp3"]])
def test_what_an_older_version_read_otherwise_is_decoded_anew(recordings, tmp_path, names):
    place, cache = recordings / "hey_you" / "ann", tmp_path / "cache"
    for name in {*names} - {"cut.flac"}:
        (place / name).write_bytes(content(name))
    files = [place / name for name in names]
    before, _ = decoded(files, cache)
    age(cache)
    after, _ = decoded(files, cache)
    assert (after.key == before.key) == ("phone.opus" in names)
    again, _ = decoded(files, cache)
    assert again.key == after.key
    np.testing.assert_array_equal(after.pcm, before.pcm)


@pytest.mark.parametrize("names", [["whole.flac", "phone.opus"], ["whole.flac", "cut.flac"], ["radio.mp3"]])
def test_a_corpus_that_an_older_version_read_otherwise_is_prepared_anew(tmp_path, names):
    place = tmp_path / "in" / "hey_you"
    place.mkdir(parents=True)
    for name in names:
        (place / name).write_bytes(content(name))
    root = tmp_path / "corpus"
    folder.CORPUS.prepare(root, tmp_path / "in")
    marker = root / "prepared.json"
    done = json.loads(marker.read_text())
    del done["reading"]
    marker.write_text(json.dumps(done))
    assert folder.CORPUS.prepare(root, tmp_path / "in").fresh == ("phone.opus" not in names)
    assert not folder.CORPUS.prepare(root, tmp_path / "in").fresh
