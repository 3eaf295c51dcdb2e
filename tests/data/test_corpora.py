"""Corpora: each in a small made folder of its true layout, and what a corpus must survive."""

import csv
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layouts
from corpora import write_wav
from kws.audio import read
from kws.cli.main import main
from kws.data.manifest import Utterance, read_manifest, shared_speakers, write_manifest
from kws.errors import KwsError
from kws.lexicon.text import normalise

pytest.importorskip("soundfile", reason="recordings are read by soundfile, of the extra `audio`")
pytest.importorskip("tqdm", reason="of the extra `train`")

from kws.data.corpora import registry, speech_commands
from kws.data.manifest import SPLITS
from kws.data.prepare import build
from kws.data.prepare.clip import Clip
from kws.data.prepare.splits import hash_split, keep_held_out

MADE = sorted(set(registry.CORPORA) - {"rooms"})  # the rooms are simulated: test_rooms.py
PARTS = {"mswc": ("eu",)}  # of a corpus without a usual part
SPEAKERLESS = {"picovoice", "musan", "esc50", "demand", "noise", "responses"}  # nobody knows who speaks


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """prepare() may not fetch."""

    def refuse(*_, **__):
        raise AssertionError("prepare() reached for the network")

    monkeypatch.setattr("kws.data.download.urlopen", refuse)


def make(name, root):
    """The folder of a made corpus, by the function of layouts.py that has its name."""
    return getattr(layouts, name)(root)


def prepare(name, root, source=None, parts=()):
    return registry.load(name).prepare(root, source, parts)


def rows(prepared):
    return {(row.audio.name, row.text, row.speaker, row.split) for row in prepared.rows}


def splits(prepared):
    return Counter(row.split for row in prepared.rows)


def skipped(root: Path) -> dict[str, str]:
    with (root / "skipped.csv").open(newline="", encoding="utf-8") as file:
        return {row["audio"]: row["kind"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", MADE)
def test_a_corpus_is_prepared_once_and_no_speaker_stands_on_two_sides(name, tmp_path):
    parts = PARTS.get(name, ())
    make(name, tmp_path)
    first = prepare(name, tmp_path, parts=parts)
    assert first.fresh and not first.skipped
    assert read_manifest(tmp_path) == list(first.rows)
    assert all(row.audio.is_file() and row.seconds > 0.09 and row.split in SPLITS for row in first.rows)
    assert shared_speakers(first.rows) == {}
    assert (name not in SPEAKERLESS) == any(row.speaker for row in first.rows)
    before = (tmp_path / "manifest.csv").stat().st_mtime_ns
    again = prepare(name, tmp_path, parts=parts)
    assert not again.fresh and (again.rows, again.skipped, again.notes) == (first.rows, first.skipped, first.notes)
    assert (tmp_path / "manifest.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", MADE)
def test_a_corpus_that_lies_elsewhere_is_left_as_it_is(name, tmp_path):
    source = make(name, tmp_path / "given")
    before = sorted(source.rglob("*"))
    prepared = prepare(name, tmp_path / "root", source, PARTS.get(name, ()))
    assert sorted(source.rglob("*")) == before
    assert [row.audio for row in read_manifest(tmp_path / "root")] == [row.audio for row in prepared.rows]


@pytest.mark.parametrize("name", MADE)
def test_without_files_one_sentence_says_what_to_do(name, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    parts = ["--part", *PARTS[name]] if name in PARTS else []
    assert main(["data", name, "--root", str(tmp_path / "empty"), *parts]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and ("--download" in message or "--from" in message)
    assert list((tmp_path / "empty").iterdir()) == []


def test_speech_commands_splits_as_published(tmp_path):
    made = prepare("speech_commands", layouts.speech_commands(tmp_path))
    assert (
        splits(made) == {split: 2 * count for split, count in Counter(map(hash_split, layouts.SPEAKERS)).items()}
        and len(splits(made)) == 3
    )
    assert {row.text for row in made.rows} == {"yes", "marvin"}
    pieces = read_manifest(tmp_path / "silence")
    assert [row.split for row in pieces] == ["train"] * 8 + ["dev", "test"]
    assert {(row.text, row.seconds) for row in pieces} == {("", 1.0)}


PUBLISHED = {
    "dev": ("a69b9b3e", "439c84f4", "409c962a", "dbaf8fc6", "a6d586b7", "0e17f595", "ff2b842e", "7fd25f7c"),
    "test": ("bb05582b", "97f4c236", "f2e59fea", "fdb5155e", "dc75148d", "3f170018", "2aa787cf", "24ad3ebe"),
}


@pytest.mark.parametrize("split", PUBLISHED)
def test_the_hash_agrees_with_the_published_lists(split):
    """Speakers from the heads of validation_list.txt and testing_list.txt."""
    assert {hash_split(speaker) for speaker in PUBLISHED[split]} == {split}


def test_lists_that_contradict_the_hash_are_refused(tmp_path):
    layouts.speech_commands(tmp_path)
    train = next(name for name in layouts.SPEAKERS if hash_split(name) == "train")
    with (tmp_path / "speech_commands_v0.02" / "testing_list.txt").open("a") as file:
        file.write(f"yes/{train}_nohash_0.wav\n")
    with pytest.raises(KwsError, match=f"1 files.*yes/{train}_nohash_0.wav"):
        prepare("speech_commands", tmp_path)


def test_the_canonical_test_set(tmp_path):
    made = prepare("speech_commands", layouts.speech_commands_test(tmp_path), parts=["test"])
    assert sorted(row.text for row in made.rows) == ["", "_unknown_", "stop", "yes"]
    assert splits(made) == {"test": 4}
    assert {speech_commands.label(row.text, 12) for row in made.rows} == {"yes", "stop", "_unknown_", "_silence_"}


@given(word=st.sampled_from(["", *speech_commands.WORDS, "_silence_", "_unknown_"]))
def test_twelve_classes(word):
    got = speech_commands.label(word, 12)
    assert got in {*speech_commands.TEN, "_silence_", "_unknown_"} and speech_commands.label(got, 12) == got
    assert (got == word) == (word in {*speech_commands.TEN, "_silence_", "_unknown_"})


def test_thirty_five_classes():
    assert [speech_commands.label(word, 35) for word in speech_commands.WORDS] == list(speech_commands.WORDS)
    assert len(set(speech_commands.WORDS)) == 35 and set(speech_commands.TEN) < set(speech_commands.WORDS)
    with pytest.raises(KwsError, match="'alexa' is none of the 35"):
        speech_commands.label("alexa", 35)


def test_librispeech_reads_transcripts_and_names_what_has_none(tmp_path):
    layouts.librispeech(tmp_path)
    chapter = tmp_path / "LibriSpeech" / "train-clean-5" / "19" / "198"
    layouts.sound(chapter / "19-198-0007.flac")  # no line
    (chapter / "19-198-0001.flac").unlink()  # a line without its file
    made = prepare("librispeech", tmp_path)
    assert ("19-198-0000.flac", "it's a word number 0", "19", "train") in rows(made)
    assert splits(made) == {"train": 3, "dev": 2}
    kinds = {Path(name).name: kind for name, kind in skipped(tmp_path).items()}
    assert kinds == {"19-198-0007.flac": "unlabelled", "19-198-0001.flac": "unreadable"}
    assert splits(prepare("librispeech", tmp_path, parts=["dev-clean-2"])) == {"dev": 2}


def test_hey_snips_on_request(tmp_path, capsys):
    assert main(["data", "hey_snips", "--root", str(tmp_path), "--download"]) == 1
    message = capsys.readouterr().err
    assert "github.com/sonos/keyword-spotting-research-datasets" in message and message.count("\n") == 1
    made = prepare("hey_snips", tmp_path / "root", layouts.hey_snips(tmp_path / "given"))
    assert rows(made) >= {("train-1.wav", "hey snips", "1", "train"), ("dev-0.wav", "", "100", "dev")}
    (tmp_path / "given").rename(tmp_path / "moved")
    broken = tmp_path / "moved" / "hey_snips_research_6k_en_train_eval_clean_ter" / "dev.json"
    broken.write_text("[{")
    with pytest.raises(KwsError, match=r"dev\.json cannot be read"):
        prepare("hey_snips", tmp_path / "root", tmp_path / "moved")


def test_a_published_split_that_shares_speakers_keeps_its_held_out_side(tmp_path):
    made = prepare("hey_snips", layouts.hey_snips(tmp_path, shared=True))
    assert splits(made) == {"test": 3}
    assert Counter(skipped(tmp_path).values()) == {"shared speaker": 6}
    assert any("6 clips set aside" in note for note in made.notes)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from(SPLITS)), max_size=12))
def test_held_out_speakers_are_kept_and_nothing_is_lost(drawn):
    clips = [Clip(Path(f"{i}.wav"), "", speaker, split) for i, (speaker, split) in enumerate(drawn)]
    kept, _ = keep_held_out(clips)
    assert [clip.audio for clip in kept] == [clip.audio for clip in clips]
    used = [Utterance(clip.audio, 1.0, "", clip.speaker, clip.split) for clip in kept if clip.fault is None]
    assert shared_speakers(used) == {}
    assert all(clip.fault is None for clip in kept if clip.split == "test" or not clip.speaker)


def test_mobvoi_texts(tmp_path):
    made = prepare("mobvoi_hotwords", layouts.mobvoi_hotwords(tmp_path))
    assert Counter((row.text, row.split) for row in made.rows) == Counter(
        (text, split) for text in ("hi xiaowen", "nihao wenwen", "") for split in SPLITS
    )


def test_mswc_counts_words_that_are_not_here(tmp_path):
    layouts.mswc(tmp_path)
    layouts.sound(tmp_path / "eu" / "clips" / "bai" / "common_voice_eu_77.opus")
    made = prepare("mswc", tmp_path, parts=["eu"])
    assert ("common_voice_eu_1.opus", "bai", "voice1", "dev") in rows(made)
    assert any("1 rows of eu_splits.csv have no file here" in note for note in made.notes)
    assert list(skipped(tmp_path).values()) == ["unlabelled"]


def test_an4_reads_its_lists_and_sphere_files(tmp_path):
    layouts.an4(tmp_path)
    layouts.sound(tmp_path / "an4" / "wav" / "an4_clstk" / "fash" / "an9-fash-b.sph")  # no line
    made = prepare("an4", tmp_path)
    assert rows(made) == {
        ("an0-fash-b.sph", "yes", "fash", "train"),
        ("an1-fash-b.sph", "h i n i c h", "fash", "train"),
        ("an0-mewl-b.sph", "enter six two four", "mewl", "train"),
        ("an0-fcaw-b.sph", "go", "fcaw", "test"),
        ("an0-fjlp-b.sph", "no", "fjlp", "test"),
        ("an1-fjlp-b.sph", "one fifty", "fjlp", "test"),
    }
    assert list(skipped(tmp_path).values()) == ["unlabelled"]


def test_an_old_command_still_means_get(tmp_path, capsys):
    layouts.noise(tmp_path)
    assert main(["data", "get", "noise", "--root", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["data", "noise", "--root", str(tmp_path)]) == 0
    assert "nothing has changed" in capsys.readouterr().out


def test_picovoice_says_that_no_speaker_is_known(tmp_path):
    layouts.picovoice(tmp_path)
    audio = tmp_path / "wake-word-benchmark-master" / "audio" / "alexa"
    for number in range(10):
        shutil.copy(audio / f"{number}.flac", audio / f"copy{number}.flac")
    made = prepare("picovoice", tmp_path)
    assert {row.text for row in made.rows} == {"alexa", "smart mirror"}
    assert any("name no speaker" in note and "flatter" in note for note in made.notes)
    side = {row.audio.name: row.split for row in made.rows if row.text == "alexa"}
    assert all(side[f"{number}.flac"] == side[f"copy{number}.flac"] for number in range(10))


def test_folders_name_phrases_and_speakers(tmp_path):
    made = prepare("folder", layouts.folder(tmp_path))
    assert {row.text for row in made.rows} == {"hey computer", ""}
    assert all(row.split == hash_split(row.speaker) for row in made.rows) and len(splits(made)) == 3
    layouts.sound(tmp_path / "hey_computer" / layouts.SPEAKERS[0] / "2.WAV")
    assert prepare("folder", tmp_path).fresh  # a new recording is noticed


def test_one_speaker_is_all_training(tmp_path):
    for number in range(12):
        layouts.sound(tmp_path / "hey" / layouts.SPEAKERS[0] / f"{number}.wav")
    held_out = next(name for name in layouts.SPEAKERS if hash_split(name) != "train")
    (tmp_path / "hey" / layouts.SPEAKERS[0]).rename(tmp_path / "hey" / held_out)
    made = prepare("folder", tmp_path)
    assert splits(made) == {"train": 12} and any("too few speakers" in note for note in made.notes)


@pytest.mark.parametrize("columns", [(), ("text",), ("speaker",), ("split",), ("text", "speaker", "split")])
def test_a_manifest_may_have_any_of_the_columns(columns, tmp_path):
    given = tmp_path / "given"
    values = {"text": "Wake  Up", "speaker": "anna", "split": "dev"}
    files = [layouts.sound(given / "hey_you" / "bert" / f"{number}.wav") for number in range(3)]
    layouts.table(
        given / "manifest.csv",
        ["audio", *columns],
        [[path.relative_to(given), *(values[name] for name in columns)] for path in files],
    )
    made = prepare("folder", tmp_path / "root", given)
    (row,) = {(row.text, row.speaker, row.split) for row in made.rows}
    assert row == (
        "wake up" if "text" in columns else "hey you",
        "anna" if "speaker" in columns else "bert",
        "dev" if "split" in columns else "train",
    )


def test_a_manifest_with_a_speaker_on_two_sides_is_refused(tmp_path, capsys):
    given = tmp_path / "given"
    for name in ("1.wav", "2.wav", "3.wav"):
        layouts.sound(given / "hey" / name)
    made = [["hey/1.wav", "anna", "train"], ["hey/2.wav", "anna", "test"], ["hey/3.wav", "bert", "train"]]
    path = layouts.table(given / "list.csv", ["audio", "speaker", "split"], made)
    assert main(["data", "folder", "--root", str(tmp_path / "root"), "--from", str(path)]) == 1
    message = capsys.readouterr().err
    assert "1 speakers" in message and "anna in test and train" in message and "bert" not in message
    assert not (tmp_path / "root" / "manifest.csv").exists()


def test_a_manifest_of_the_users_own_is_never_overwritten(tmp_path):
    layouts.folder(tmp_path)
    path = layouts.table(tmp_path / "manifest.csv", ["audio"], [])
    before = path.read_bytes()
    with pytest.raises(KwsError, match="was not written by `kws data`"):
        prepare("folder", tmp_path)
    assert path.read_bytes() == before


def test_an_interrupted_preparation_is_done_again(tmp_path, monkeypatch):
    layouts.noise(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "_write_json", lambda path, content: stop() if content else path.write_text("{}"))
        with pytest.raises(KeyboardInterrupt):
            prepare("noise", tmp_path)
    assert (tmp_path / "manifest.csv").exists()
    assert prepare("noise", tmp_path).fresh and not prepare("noise", tmp_path).fresh


def test_noise_sets_take_the_parts_that_are_asked_for(tmp_path):
    layouts.musan(tmp_path)
    assert {row.audio.parts[-3] for row in prepare("musan", tmp_path).rows} == {"noise", "music"}
    assert {row.audio.parts[-3] for row in prepare("musan", tmp_path, parts=["speech"]).rows} == {"speech"}
    layouts.esc50(tmp_path / "esc")
    assert splits(prepare("esc50", tmp_path / "esc")) == {"train": 3, "dev": 1, "test": 1}
    everything = prepare("esc50", tmp_path / "esc", parts=["esc50"])
    assert splits(everything) == {"train": 6, "dev": 2, "test": 2}
    sides = defaultdict(set)
    for row in everything.rows:
        sides[row.audio.name.split("-")[1]].add(row.split)  # its source recording
    assert all(len(side) == 1 for side in sides.values())
    layouts.demand(tmp_path / "demand")
    assert sorted(row.audio.parent.name for row in prepare("demand", tmp_path / "demand").rows) == ["DKITCHEN", "TCAR"]


def test_a_room_stays_on_one_side(tmp_path):
    made = prepare("responses", layouts.responses(tmp_path))
    sides = defaultdict(set)
    for row in made.rows:
        sides[row.audio.parent].add(row.split)
    assert len(sides) == 30 and all(len(side) == 1 for side in sides.values()) and len(splits(made)) == 3


def spoil(folder: Path) -> dict[str, str]:
    """200 files of no use among the good ones: names and kinds."""
    bad = {}
    for number in range(40):
        (folder / "hey_computer" / f"empty{number}.wav").write_bytes(b"")
        layouts.sound(folder / "hey_computer" / f"silent{number}.wav", seconds=0)
        layouts.sound(folder / "hey_computer" / f"slow{number}.wav", rate=4_000)
        layouts.sound(folder / f"stray{number}.wav")
        kind = number % 4
        broken = folder / "hey_computer" / f"broken{number}.flac"
        if kind == 0:
            broken.write_bytes(bytes(range(256)) * 20)
        elif kind == 1:
            broken.symlink_to(folder / "nowhere.flac")
        else:
            data = bytearray(layouts.sound(broken, seconds=0.5).read_bytes())
            half = len(data) // 2
            broken.write_bytes(data[:half] if kind == 2 else data[:half] + bytes(64) + data[half + 64 :])
        for name, reason in (("empty", "empty"), ("silent", "empty"), ("slow", "wrong rate")):
            bad[f"hey_computer/{name}{number}.wav"] = reason
        bad[f"stray{number}.wav"] = "unlabelled"
        bad[f"hey_computer/broken{number}.flac"] = "unreadable"
    return bad


def test_two_hundred_files_of_no_use_are_named_counted_and_skipped(tmp_path, capsys):
    layouts.folder(tmp_path)
    good = set(tmp_path.rglob("*.wav"))
    bad = spoil(tmp_path)
    assert main(["data", "folder", "--root", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "skipped 200 of 280 files" in out
    assert all(f"{count} {kind}" in out for kind, count in Counter(bad.values()).items()) and len(bad) == 200
    assert skipped(tmp_path) == bad
    kept = read_manifest(tmp_path)
    assert {row.audio for row in kept} == good
    assert all(abs(len(read(row.audio)) / 16_000 - row.seconds) < 1e-3 for row in kept)


def test_own_recordings_are_looked_at(tmp_path):
    given = tmp_path / "given"
    layouts.folder(given)
    taken = next((given / "hey_computer").rglob("*.wav"))
    shutil.copy(taken, given / "again.wav")
    write_wav(given / "nothing.wav", np.zeros(8_000))
    write_wav(given / "quiet_room.wav", np.zeros(8_000))
    with (given / "list.csv").open("w") as file:
        file.write("audio,text,split\nagain.wav,hey computer,test\nnothing.wav,hey computer,test\n")
        file.write(f"{taken.relative_to(given)},hey computer,train\nquiet_room.wav,,test\n")
    made = prepare("folder", tmp_path / "root", given / "list.csv")
    found = {Path(audio).name: (kind, why) for audio, kind, why in made.skipped if kind != "unlabelled"}
    assert found["again.wav"] == ("copy", f"is a copy of {taken.relative_to(given)}")  # held out, and listed first
    assert found["nothing.wav"][0] == "silent" and len(found) == 2
    assert {(row.audio.name, row.split) for row in made.rows} == {(taken.name, "train"), ("quiet_room.wav", "test")}


def test_a_published_corpus_keeps_its_copies(tmp_path):
    root = layouts.picovoice(tmp_path)
    first = prepare("picovoice", root)
    again = first.rows[0].audio.with_name("again" + first.rows[0].audio.suffix)
    shutil.copy(first.rows[0].audio, again)
    assert len(prepare("picovoice", root).rows) == len(first.rows) + 1


def test_a_name_that_is_not_utf8_is_skipped_by_its_escapes(tmp_path):
    layouts.noise(tmp_path)
    try:
        shutil.copy(tmp_path / "rain" / "1.ogg", bytes(tmp_path / "rain") + b"/\xff.ogg")
    except OSError:
        pytest.skip("this file system takes no such name")
    made = prepare("noise", tmp_path)
    assert len(made.rows) == 30 and skipped(tmp_path) == {"rain/\\xff.ogg": "unreadable"}


def test_nothing_usable_is_an_error_and_leaves_no_manifest(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(KwsError, match="none of the 1 files"):
        prepare("noise", tmp_path)
    assert not (tmp_path / "manifest.csv").exists() and skipped(tmp_path) == {"a.wav": "unreadable"}


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="/\0\r"), min_size=1).filter(
                lambda s: s.strip(".")
            ),
            st.text(st.sampled_from("ab',\"é \n")),
        )
    )
)
def test_a_manifest_reads_back_as_it_was_written(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("m")
    written = [Utterance((folder / "x" / name), 1.25, normalise(text), name.strip(), "dev") for name, text in drawn]
    write_manifest(folder / "manifest.csv", written)
    assert read_manifest(folder) == written


def test_the_table_and_mistakes(capsys, tmp_path):
    assert main(["data"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed and entry.licence in listed for name, entry in registry.CORPORA.items())
    assert main(["data", "list"]) == 0 and capsys.readouterr().out == listed
    for words, sentence in (
        (["get", "libri", "--root", str(tmp_path)], "nearest is 'librispeech'"),
        (["librispeech"], "--root DIR"),
        (["librispeech", "--root", str(tmp_path), "--part", "dev-clean-3"], "no part 'dev-clean-3'"),
        (["noise", "--root", str(tmp_path), "--from", str(tmp_path / "nowhere")], "is not a folder"),
        (["noise", "--root", str(tmp_path), "--from", "x", "--download"], "give one of them"),
        (["noise", "--root", str(tmp_path), "--download"], "nothing is fetched"),
        (["speech_commands", "--root", str(tmp_path), "--part", "v1", "v2"], "one part"),
        (["mswc", "--root", str(tmp_path)], "name one language"),
    ):
        assert main(["data", *words]) == 1
        error = capsys.readouterr().err
        assert sentence in error and error.count("\n") == 1
