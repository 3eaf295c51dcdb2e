"""What recipes need, fetched from a server of the true layouts, selected and split as the shipped models were."""

import ast
import csv
import io
import tarfile
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import layouts
from file_server import file_server  # noqa: F401
from kws.cli.main import main
from kws.errors import KwsError

pytest.importorskip("soundfile", reason="recordings are read by soundfile, of the extra `audio`")
pytest.importorskip("tqdm", reason="of the extra `train`")

from kws.data.corpora import librispeech, speech_commands
from kws.data.manifest import read_manifest, shared_speakers
from kws.data.prepare.splits import hash_split
from kws.data.recipe_sets import bring as bring_module
from kws.data.recipe_sets import made as made_module
from kws.data.recipe_sets import public
from kws.data.recipe_sets.bring import bring_all, corpora_of, shipped, with_needs
from kws.data.recipe_sets.made import LACKING, MADE, SPOKEN, Making
from kws.data.recipe_sets.public import PUBLIC, read_list


def packed(folder: Path, zipped: bool = False) -> bytes:
    data = io.BytesIO()
    if zipped:
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder))
    else:
        with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1) as tar:
            tar.add(folder, ".")
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
    assert name == "tiny" or used & {*PUBLIC, *MADE}


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
    assert len(published.asked) == 7  # v0.02 serves two sets
    assert main([*words, "--download"]) == 0 and len(published.asked) == 7
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
    assert asked == [*models, ("synthetic_wake_words", 1924, 2)]


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
