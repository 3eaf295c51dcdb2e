"""The lab: who is heard where, the same numbers from the same seed, tables that can be traced to runs."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("pocketsphinx")


from corpora import write_corpus  # noqa: E402
from kws.cli.main import main  # noqa: E402
from kws.data.manifest import read_manifest  # noqa: E402
from kws.errors import KwsError  # noqa: E402
from kws.lab import comparison, cost_columns  # noqa: E402
from kws.lab import run_one as runs  # noqa: E402
from kws.lab.splits import deal  # noqa: E402
from kws.lab.study import Places, Study, load_study  # noqa: E402
from kws.lab.tasks import folder, run_tasks  # noqa: E402
from kws.log import silent  # noqa: E402
from kws.model.acoustic import AcousticModel  # noqa: E402
from kws.parallel import Cores  # noqa: E402
from kws.train.datamodule import SceneModule  # noqa: E402
from kws.train.vocabulary import lexicon_of  # noqa: E402

STUDY = '''
"""A study small enough for a test."""
import dataclasses
from kws.data.scenes.dataset import SceneConfig
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
    groups=(Group("all", "All", "sa", (*CELLS, Cell("slower", ("model.mixer=bilstm",), rate_of="sa")), seeds=1, most=2,
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
    """The output of a whole comparison, trained by another process."""
    output = tmp_path_factory.mktemp("out") / "small"
    assert compare(data, "-o", output, "--jobs", 1) == 0
    return output


@pytest.fixture
def in_this_process(monkeypatch):
    """Tasks are done here: another process would need seconds to import torch."""

    class Here(Cores):
        def do(self, tasks, report):
            return (self._work(task, report) for task in tasks)

    monkeypatch.setattr("kws.lab.comparison.Cores", Here)


def compare(data: Path, *arguments: object) -> int:
    """The exit code of the command."""
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


def test_a_run_that_is_lost_comes_back_the_same_and_nothing_else_is_done_again(data, compared, in_this_process, capsys):
    study, places = study_at(data, compared)
    run, tables = folder(places, study.cells["bilstm"]) / "seed-0", (compared / "tables.md").read_text()
    outcome, before = (run / "outcome.json").read_bytes(), heard(run)
    for name in ("outcome.json", "recordings.npz", "result.json", "model.ckpt"):
        (run / name).unlink()
    assert compare(data, "-o", compared) == 0
    done_again = re.findall(r"\d+/\d+ ((?:search|test): .*?), rate", capsys.readouterr().err)
    assert done_again == ["test: bilstm"]
    assert (run / "outcome.json").read_bytes() == outcome and (compared / "tables.md").read_text() == tables
    assert all(np.array_equal(a, b) for a, b in zip(before, heard(run), strict=True))


def test_results_that_a_full_disk_has_emptied_are_made_again(data, compared, in_this_process, monkeypatch):
    study, places = study_at(data, compared)
    tables = (compared / "tables.md").read_text()
    runs_of_sa = folder(places, study.cells["sa"])
    emptied = [
        folder(places, study.cells["bilstm"]) / "seed-0/result.json",
        *(runs_of_sa / name for name in ("search-0.001/result.json", "seed-0/outcome.json", "seed-1/outcome.json")),
        *(runs_of_sa / "seed-0" / name for name in sorted(INSIDE)),
    ]
    before = [path.read_bytes() for path in emptied]
    for path in emptied:
        path.write_bytes(b"")
    assert compare(data, "-o", compared) == 0
    assert [path.read_bytes() for path in emptied] == before and (compared / "tables.md").read_text() == tables

    costs = (compared / "costs.json").read_bytes()
    (compared / "costs.json").write_bytes(b"")
    monkeypatch.setattr(cost_columns, "_measured", lambda *_: json.loads(costs))
    assert compare(data, "-o", compared) == 0
    assert json.loads((compared / "costs.json").read_bytes()) == json.loads(costs)


def heard(run: Path) -> list[np.ndarray]:
    with np.load(run / "recordings.npz") as kept:
        return [kept[name] for name in kept.files]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a group of processes")
def test_a_comparison_that_is_killed_goes_on_to_the_same_numbers(
    data, compared, in_this_process, tmp_path, monkeypatch
):
    """Its trainings and tests alone: what the models cost and what lies inside of them is not measured."""
    monkeypatch.setattr(comparison, "cost_columns", lambda *_: {})
    inside = 'observed=("sa",),\n    smoothed=(("SA windowed", "sa"),),'
    assert inside in STUDY
    (tmp_path / "study.py").write_text(STUDY.replace(inside, "observed=(), smoothed=(),"))
    words = ["compare", str(tmp_path / "study.py"), f"data={data}", "-o", str(tmp_path / "out"), "--jobs", "1"]
    outcomes = [path.relative_to(compared) for path in sorted(compared.rglob("outcome.json"))]
    running = subprocess.Popen([sys.executable, "-m", "kws", *words], start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not any((tmp_path / "out" / path).exists() for path in outcomes):
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert not all((tmp_path / "out" / path).exists() for path in outcomes)
    assert main(words) == 0
    assert len(outcomes) == 4
    for path in outcomes:
        assert (tmp_path / "out" / path).read_bytes() == (compared / path).read_bytes()
        assert all(map(np.array_equal, heard((tmp_path / "out" / path).parent), heard((compared / path).parent)))


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
    assert compare(data, *[tmp_path / a if a == "x" else a for a in arguments]) == code
    assert said in capsys.readouterr().err


def test_a_mixer_that_does_not_exist_is_refused_before_anything_is_trained(data, tmp_path, capsys):
    (tmp_path / "study.py").write_text(STUDY.replace('"bilstm"', '"bilstm+xsa"'))
    assert main(["compare", str(tmp_path / "study.py"), f"data={data}", "-o", str(tmp_path / "out")]) == 1
    assert "has no switch 'xsa'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_study_names_the_known(capsys):
    assert main(["compare", "mixer", "-o", "x"]) == 1
    assert "mixers" in capsys.readouterr().err


def test_only_the_first_process_of_a_trunks_training_goes_on(data, tmp_path, monkeypatch):
    """Others get no checkpoint of it, and come to an end without tables."""
    study, _ = study_at(data, tmp_path)
    recipe = study.recipe.changed(data=str(data), features="")
    study = dataclasses.replace(study, recipe=recipe, trunks=(("plain", ("model.mixer=none",)),))
    asked = []
    monkeypatch.setattr(comparison, "trained", lambda recipe: asked.append(recipe.task.model.mixer))
    assert comparison.compare(study, tmp_path / "out", 1, None, silent) is None
    assert asked == ["none"] and not (tmp_path / "out" / "tables.md").exists()
    monkeypatch.setattr(runs, "train", lambda recipe, log: None)
    with pytest.raises(KwsError, match="one process each"):
        runs.tested(recipe.changed(output=str(tmp_path / "run")), None, study, None)


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
