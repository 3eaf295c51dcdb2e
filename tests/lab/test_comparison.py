"""The lab: who is heard where, the same numbers from the same seed, tables that can be traced to runs."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from corpora import write_corpus  # noqa: E402
from kws.cli.main import main  # noqa: E402
from kws.data.manifest import read_manifest  # noqa: E402
from kws.evaluate.count.intervals import crossed_bootstrap  # noqa: E402
from kws.lab import run_one as runs  # noqa: E402
from kws.lab.sounds import Sounds  # noqa: E402
from kws.lab.splits import deal  # noqa: E402
from kws.lab.study import Places, Study, load_study  # noqa: E402
from kws.lab.tasks import folder, run_tasks, search_seed  # noqa: E402
from kws.log import silent  # noqa: E402
from kws.model.acoustic import AcousticConfig, AcousticModel  # noqa: E402
from kws.train.datamodule import SceneModule  # noqa: E402
from kws.train.override import override  # noqa: E402
from kws.train.vocabulary import lexicon_of  # noqa: E402

STUDY = '''
"""A study small enough for a test."""
import dataclasses
from kws.data.scenes import SceneConfig
from kws.lab.smoothness.measure import Sizes
from kws.lab.study import Cell, Group, Study
from kws.model.acoustic import AcousticConfig
from kws.recipes import training_corpora as corpora
from kws.recipes.wake_words.recipe import RECIPE

CELLS = tuple(Cell(name, (f"model.mixer={name}",)) for name in ("sa", "bilstm"))
STUDY = Study(
    name="small",
    recipe=RECIPE.changed(
        speech=(corpora.WAKE_WORDS.sharing(1.0),), steps=4, warmup_steps=2, threads=1, precision="32-true",
        validate_every=1000, keywords=("alexa", "computer"),
        model=AcousticConfig(width=16, blocks=1, heads=2, window_frames=8, channels=8, dropout=0.0),
        scenes=SceneConfig(rows=2, row_seconds=3.0),
    ),
    groups=(Group("all", "All", "sa", (*CELLS, Cell("slower", ("model.mixer=sa",), rate_of="sa")), seeds=1, most=2,
                  more=("sa",)),),
    learning_rates=(1e-3, 3e-3), search_steps=2, dealt=("wake_words",), positives=("wake_words",),
    negatives=("many",), noise="noise", conditions=("clean", "10 dB"), observed=("sa",),
    smoothed=(("SA windowed", "sa"),), sizes=Sizes(frames=(8, 16), iterations=2, restarts=1), excerpts=1,
)
'''


INSIDE = {"diagnosis.json", "smoothness-initial.json", "smoothness-trained.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpora")
    write_corpus(root / "wake_words", ["alexa", "computer", "go on"], clips_each=11)
    write_corpus(root / "many", ["", ""], seed=1)
    write_corpus(root / "noise", [""], seed=2)
    (root / "study.py").write_text(STUDY)
    return root


@pytest.fixture(scope="module")
def compared(data, tmp_path_factory) -> Path:
    """The output of a whole comparison, as a user runs it."""
    output = tmp_path_factory.mktemp("out") / "small"
    done = compare(data, "-o", output, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return output


def compare(data: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws", "compare", data / "study.py", f"data={data}", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def compare_here(data: Path, *arguments: object) -> int:
    """The same command in this process, which has loaded torch already."""
    return main(["compare", str(data / "study.py"), f"data={data}", *map(str, arguments)])


def study_at(data: Path, output: Path) -> tuple[Study, Places]:
    study, places = load_study(str(data / "study.py")), Places.below(output)
    recipe = study.recipe.changed(data=str(places.data), features=str(places.cache))
    return dataclasses.replace(study, recipe=recipe), places


def test_every_cell_is_a_run_with_recipe_log_checkpoint_and_outcome(data, compared):
    study, places = study_at(data, compared)
    tasks = run_tasks(study, json.loads((places.cells / "rates.json").read_text())["rate"], places)
    assert [(t.cell.name, t.recipe.optim.seed) for t in tasks] == [
        ("sa", 0), ("bilstm", 0), ("slower", 0), ("sa", 1)
    ]  # fmt: skip
    for task in tasks:
        run = Path(task.recipe.run.output)
        assert {p.name for p in run.iterdir()} - INSIDE == {
            "recipe.json", "log.txt", "logs", "model.ckpt", "result.json", "recordings.npz", "outcome.json"
        }  # fmt: skip
        assert json.loads((run / "recipe.json").read_text())["model"]["mixer"] == task.recipe.task.model.mixer
        assert task.done
    rates = json.loads((places.cells / "rates.json").read_text())
    best = float(min(rates["ctc_loss"]["sa"], key=rates["ctc_loss"]["sa"].get))
    assert rates["rate"]["slower"] == rates["rate"]["sa"] == best
    text = (compared / "tables.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| bilstm"))
    missed, said = map(int, re.search(r"(\d+)/(\d+)", row).groups())
    outcome = json.loads((folder(places, study.cells["bilstm"]) / "seed-0" / "outcome.json").read_text())
    assert missed == len(outcome[0]["missed"]["clean"]) and said == sum(
        row.split == "test" and row.text in study.recipe.task.keywords
        for row in read_manifest(places.data / "wake_words")
    )


def test_what_lies_inside_is_told_in_tables_and_figures(data, compared):
    study, places = study_at(data, compared)
    run = folder(places, study.cells["sa"]) / "seed-0"
    assert {p.name for p in run.iterdir()} >= INSIDE
    assert {"attention.png", "map-sa.png", "smoothness.png"} <= {p.name for p in compared.iterdir()}
    for table in (compared / "tables.md").read_text().split("### ")[1:]:
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len(rows) > 2 and len({line.count("|") for line in rows}) == 1, table


def test_a_run_that_is_lost_comes_back_the_same_and_nothing_else_is_done_again(data, compared, capsys):
    study, places = study_at(data, compared)
    run, tables = folder(places, study.cells["bilstm"]) / "seed-0", (compared / "tables.md").read_text()
    outcome, before = (run / "outcome.json").read_bytes(), heard(run)
    for name in ("outcome.json", "recordings.npz", "result.json", "model.ckpt"):
        (run / name).unlink()
    assert compare_here(data, "-o", compared) == 0
    done_again = re.findall(r"\d+/\d+ ((?:search|test): .*?), rate", capsys.readouterr().err)
    assert done_again == ["test: bilstm"]
    assert (run / "outcome.json").read_bytes() == outcome and (compared / "tables.md").read_text() == tables
    assert all(np.array_equal(a, b) for a, b in zip(before, heard(run), strict=True))


def heard(run: Path) -> list[np.ndarray]:
    with np.load(run / "recordings.npz") as kept:
        return [kept[name] for name in kept.files]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--groups", "some", "-o", "x"], 1, "has no group some: it has all"),
        (["--jobs", "0", "-o", "x"], 2, "--jobs: 0 is less than 1"),
        (["model.widht=3", "-o", "x"], 1, "the nearest is 'width'"),
        (["data=nowhere", "-o", "x"], 1, "data folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_compared_gets_one_sentence(data, arguments, code, said, tmp_path, capsys):
    assert compare_here(data, *[tmp_path / a if a == "x" else a for a in arguments]) == code
    assert said in capsys.readouterr().err


def test_a_mixer_that_does_not_exist_is_refused_before_anything_is_trained(data, tmp_path, capsys):
    (tmp_path / "study.py").write_text(STUDY.replace('"bilstm"', '"bilstm+xsa"'))
    assert main(["compare", str(tmp_path / "study.py"), f"data={data}", "-o", str(tmp_path / "out")]) == 1
    assert "has no switch 'xsa'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_study_names_the_known():
    done = subprocess.run(
        [sys.executable, "-m", "kws", "compare", "mixer", "-o", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "mixers" in done.stderr and "Traceback" not in done.stderr


def test_no_speaker_is_dealt_to_two_parts(data, tmp_path):
    study, places = study_at(data, tmp_path)
    study = dataclasses.replace(study, recipe=study.recipe.changed(data=str(data)))
    lines = deal(study, places.data)
    assert any(line.startswith("wake_words@test") for line in lines)
    parts = {}
    for corpus in ("wake_words", "many"):
        for row in read_manifest(places.data / corpus):
            assert row.audio.is_file()
            assert parts.setdefault(row.speaker, row.split) == row.split
    assert {row.split for row in read_manifest(places.data / "many")} == {"test"}
    assert {row.split for row in read_manifest(places.data / "wake_words")} == {"train", "dev", "test"}


def test_kept_features_are_those_of_the_sound(data, tmp_path):
    study, _places = study_at(data, tmp_path)
    recipe = study.recipe.changed(data=str(data), output=str(tmp_path / "run"))
    kept = SceneModule(recipe.changed(features=str(tmp_path / "cache")), lexicon_of(recipe), silent).batches()
    plain = SceneModule(recipe.changed(features=""), lexicon_of(recipe), silent).batches()
    model = AcousticModel(recipe.task.model)
    first, again, sound = kept[1], kept[1], plain[1]
    mel, _ = model.frontend(sound["pcm"], model.frontend.init_state(2))
    assert torch.equal(first["mel"], again["mel"]) and torch.equal(first["mel"], mel.half().float())
    for name in ("targets", "target_lengths", "words"):
        assert torch.equal(first[name], sound[name]) and first[name].dtype == sound[name].dtype
    other = SceneModule(recipe.changed(features=str(tmp_path / "cache"), seed=1), lexicon_of(recipe), silent).batches()
    assert not torch.equal(other[1]["mel"], first["mel"]), "another seed has other features"


def sounds_of(lengths: list[int]) -> Sounds:
    rng = np.random.default_rng(0)
    starts = np.cumsum([0, *(4 * n for n in lengths)])
    return Sounds(
        (None,) * len(lengths), (0,) * len(lengths), rng.normal(size=(starts[-1], 10)).astype("f2"), starts, ()
    )


@given(lengths=st.lists(st.integers(1, 120), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_segments_cover_every_frame_and_are_no_longer_than_asked(lengths):
    torch.manual_seed(0)
    model = AcousticModel(AcousticConfig(mixer="bilstm", width=8, blocks=1, heads=2, channels=4, mels=10)).eval()
    covered = [np.zeros(n, int) for n in lengths]
    for index, start, found in runs.posteriors(model.whole, model, sounds_of(lengths), segment_s=2.0):
        assert len(found) <= 50 and np.isfinite(found).all()
        covered[index][start : start + len(found)] += 1
    assert all((c >= 1).all() for c in covered)
    assert all((c <= 2).all() for c in covered)


def test_batched_posteriors_are_those_of_each_recording_alone():
    torch.manual_seed(0)
    for mixer in ("sa", "bilstm"):
        config = AcousticConfig(mixer=mixer, width=8, blocks=2, heads=2, channels=4, mels=10, window_frames=6)
        model, sounds = AcousticModel(config).eval(), sounds_of([30, 7, 19])
        for index, start, found in runs.posteriors(model.whole, model, sounds, segment_s=4.0):
            mel = model.normalised(sounds.features(index))[None]
            with torch.no_grad():
                alone = model.whole(mel, torch.tensor([mel.shape[1] // 4]))[0].numpy()
            assert start == 0 and np.abs(found - alone).max() < 1e-5


def test_interval_of_a_constant_is_that_constant_and_covers_a_known_mean():
    rng = np.random.default_rng(1)
    speakers = [f"s{i // 4}" for i in range(80)]
    assert crossed_bootstrap(np.full((3, 80), 0.25), speakers, rng) == (0.25, 0.25)
    covered = 0
    for _ in range(60):
        by_speaker = rng.normal(0.3, 0.2, 20).repeat(4)
        values = by_speaker + rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.1, (5, 80))
        low, high = crossed_bootstrap(values, speakers, rng)
        covered += low <= 0.3 <= high
    assert covered >= 50


def test_shipped_study_names_cells_once_and_matches_parameters():
    study = load_study("mixers")
    assert search_seed(study) == 5 and len({folder(Places.below(Path("x")), c) for c in study.cells.values()}) == len(
        study.cells
    )
    sizes = {}
    for name, cell in study.cells.items():
        config = override(study.recipe, cell.changes).task.model
        assert config.width == study.recipe.task.model.width
        if config.window_frames == study.recipe.task.model.window_frames:
            sizes[name] = sum(p.numel() for p in AcousticModel(config).parameters())
    assert max(sizes.values()) / min(sizes.values()) < 1.02, sizes
