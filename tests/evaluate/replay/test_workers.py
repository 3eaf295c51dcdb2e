"""Many sources at once: who does what changes nothing, and nothing that was finished is lost or done again."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import tones
from corpora import write_wav
from kws.errors import KwsError
from kws.evaluate.replay import cache, many
from kws.evaluate.replay.conditions import Rules
from kws.evaluate.replay.many import replay_all
from kws.evaluate.replay.recording import Label, Replayed, TestItem
from kws.evaluate.replay.systems import SystemSpec, open_system
from kws.parallel import dask
from trees import ROOT

pytest.importorskip("tqdm")

ENGINE = f"{ROOT / 'tests/support/loud_engine.py'}:Loud"
RULES = Rules(0.2)


@dataclass(frozen=True)
class Bench:
    """Five sources, the third of them full scale, and the engine of loud_engine.py with its folder of notes."""

    spec: SystemSpec
    notes: Path
    sources: tuple[TestItem, ...]
    store: Path

    def run(self, **changes: object) -> list[Replayed]:
        words = {"spec": self.spec, "sources": self.sources, "rules": RULES, "store": None, "jobs": 1, "skipped": []}
        return replay_all(**(words | changes))

    def streams(self) -> list[int]:
        """The processes of the streams that were opened since this was last asked."""
        path = self.notes / "streams"
        found = [int(line) for line in path.read_text().split()] if path.exists() else []
        path.unlink(missing_ok=True)
        return found

    def script(self, **words: object) -> str:
        """A program that replays, and ends with 130 when it is interrupted."""
        return f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever runs the tests behind a shell's & has not
from pathlib import Path, PosixPath
from kws.evaluate.replay import many
from kws.evaluate.replay.conditions import Rules
from kws.evaluate.replay.recording import Label, TestItem
from kws.evaluate.replay.systems import SystemSpec
from kws.audio.pickup import Pickup
many._BATCH_S = 0.0
try:
    many.replay_all({self.spec!r}, {self.sources!r}, {RULES!r}, skipped=[], **{words!r})
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    monkeypatch.setattr(many, "_BATCH_S", 0.0)  # every source a batch
    rng = np.random.default_rng(0)
    sources = []
    for i in range(5):
        path = tmp_path / "audio" / f"{i}.wav"
        sound = 0.2 * rng.uniform(-1, 1, 8000 - 1000 * i)
        if i == 2:
            sound[4000] = 1.0
        write_wav(path, sound)
        sources.append(TestItem(path, f"audio/{i}.wav", "positive", (Label("loud", "someone"),)))
    notes = tmp_path / "notes"
    notes.mkdir()
    return Bench(SystemSpec(ENGINE, (str(notes),)), notes, tuple(sources), tmp_path / "out/replay.db")


def same(one: list[Replayed], other: list[Replayed]) -> bool:
    def parts(recording: Replayed) -> tuple[object, ...]:
        arrays = (recording.frames, recording.scores, recording.ages)
        return recording.item, recording.samples, *((a.dtype, a.shape, a.tobytes()) for a in arrays)

    return list(map(parts, one)) == list(map(parts, other))


def test_neither_processes_nor_order_change_anything(bench):
    alone = bench.run()
    assert [recording.item for recording in alone] == list(bench.sources)
    assert sum(len(recording.frames) for recording in alone) > 10
    assert set(bench.streams()) == {os.getpid()}
    backwards = bench.run(sources=bench.sources[::-1], jobs=2)
    assert same(backwards[::-1], alone)
    assert os.getpid() not in (ran := bench.streams()) and len(ran) == 5


def test_a_model_of_kws_hears_the_same_in_other_processes(tone_model, tmp_path, monkeypatch):
    monkeypatch.setattr(many, "_BATCH_S", 0.0)
    noise = tmp_path / "noise.wav"
    write_wav(noise, 0.1 * np.random.default_rng(1).standard_normal(20_000))
    sources = []
    for tune in ("ABC", "FED EEB"):
        write_wav(tmp_path / f"{tune}.wav", tones.speak(tune))
        sources += [TestItem(tmp_path / f"{tune}.wav", tune, "positive", (), of) for of in ("clean", "5 dB")]
    monkeypatch.chdir(tone_model.parent)  # a model may be named from where one is
    spec, rules = SystemSpec(tone_model.name), Rules(0.4, 1, (noise,))
    found = [replay_all(spec, sources, rules, store=None, jobs=jobs, skipped=[]) for jobs in (1, 3)]
    assert same(*found) and all(len(recording.frames) for recording in found[0])


def test_a_killed_process_costs_nothing(bench):
    alone = bench.run()
    (bench.notes / "kill").write_text("1")
    assert same(bench.run(jobs=2), alone)
    assert not (bench.notes / "kill").exists()


def test_a_recording_that_kills_every_process_is_named_and_the_rest_is_kept(bench):
    (bench.notes / "kill").write_text("2")
    with pytest.raises(KwsError, match=r"two processes were killed while they heard .*2\.wav: .* memory"):
        bench.run(jobs=2, store=bench.store)
    bench.streams()
    assert len(bench.run(store=bench.store)) == 5
    assert len(bench.streams()) <= 3  # the two longer ones were finished


def test_a_run_that_was_killed_goes_on_to_the_same_numbers(bench):
    alone = bench.run()
    (bench.notes / "kill").write_text("1")
    ran = subprocess.run([sys.executable, "-c", bench.script(store=bench.store, jobs=1)])
    assert ran.returncode == -signal.SIGKILL
    bench.streams()
    assert same(bench.run(store=bench.store), alone)
    assert len(bench.streams()) == 3  # the longest come first: 0 and 1 were done
    assert same(bench.run(store=bench.store), alone)
    assert bench.streams() == []


def test_ctrl_c_ends_at_once_and_leaves_no_process(bench):
    (bench.notes / "slow").touch()
    sources = tuple(replace(bench.sources[0], name=f"{i}") for i in range(200))
    script = replace(bench, sources=sources).script(store=None, jobs=2)
    with subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as run:
        while len(set((bench.notes / "streams").read_text().split() if (bench.notes / "streams").exists() else [])) < 2:
            assert run.poll() is None
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to all of them
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130 and said == ""
    for worker in set(bench.streams()):
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_parent_that_is_killed_takes_its_processes_along(tmp_path):
    (tmp_path / "long_work.py").write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "def work(task, report):\n"
        "    Path(task).write_text(str(os.getpid()))\n"
        "    time.sleep(120)\n"
    )
    note = tmp_path / "worker"
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import long_work\n"
        "from kws.parallel.cores import on_cores\n"
        f"if __name__ == '__main__': list(on_cores(long_work.work, [{str(note)!r}], 1, print))\n"
    )
    (tmp_path / "script.py").write_text(script)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"], cwd=tmp_path)
    wait_for(lambda: note.exists() and note.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not alive(int(note.read_text())))


def wait_for(done) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "it did not come about in 30 s"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_cannot_be_read_is_named_and_left_out(bench):
    bench.sources[1].audio.write_text("not audio")
    bench.sources[3].audio.unlink()
    skipped: list[str] = []
    found = bench.run(jobs=2, skipped=skipped, store=bench.store)
    assert [recording.item.name[-5] for recording in found] == list("024")
    first, second = skipped
    assert "1.wav is not a sound file" in first and "3.wav does not exist" in second


def test_a_fault_in_an_engine_is_not_taken_for_a_bad_file(bench, tmp_path):
    adapter = tmp_path / "faulty.py"
    text = Path(ENGINE.rpartition(":")[0]).read_text()
    adapter.write_text(text.replace("return float(", "return 1 / 0 * float("))
    for jobs in (1, 2):
        with pytest.raises(KwsError, match="division by zero"):
            bench.run(spec=SystemSpec(f"{adapter}:Loud", bench.spec.keywords), jobs=jobs)


def test_nothing_is_replayed_twice_unless_something_changed(bench, tmp_path):
    noises = tuple(tmp_path / f"{name}.wav" for name in "ab")
    for seed, noise in enumerate(noises):
        write_wav(noise, 0.1 * np.random.default_rng(seed).standard_normal(9000))
    rules = Rules(0.2, 0, noises[:1])
    sources = (*bench.sources, replace(bench.sources[0], condition="10 dB"))

    def replayed(**changes: object) -> int:
        bench.streams()
        found = bench.run(**({"sources": sources, "rules": rules, "store": bench.store} | changes))
        assert same(found, bench.run(**({"sources": sources, "rules": rules} | changes)))
        return len(bench.streams()) - len(found)

    adapter = tmp_path / "changed.py"
    adapter.write_text(Path(ENGINE.rpartition(":")[0]).read_text() + "\n# changed\n")
    assert replayed() == 6
    assert replayed() == 0
    assert replayed(sources=[replace(source, role="negative", labels=()) for source in sources]) == 0
    assert replayed(rules=replace(rules, noise=noises[1:])) == 1  # only what is mixed with it
    assert replayed(rules=replace(rules, seed=1)) == 1
    assert replayed(rules=replace(rules, silence_s=0.3)) == 6
    assert replayed(spec=SystemSpec(f"{adapter}:Loud", bench.spec.keywords)) == 6
    write_wav(sources[0].audio, np.zeros(7000))
    assert replayed() == 2


def test_a_store_does_not_grow_forever(bench):
    bench.run(store=bench.store)
    kept = {replace(source, name="x") for source in bench.sources[:2]}
    for _ in range(10):
        bench.run(sources=list(kept), store=bench.store)
    with sqlite3.connect(bench.store) as file:
        assert file.execute("SELECT count(*) FROM recordings").fetchone() == (2,)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [("text", "replay.db is damaged"), ("row", "replay.db is damaged"), ("lock", "replay.db cannot be used")],
)
def test_a_store_that_cannot_be_used_is_one_sentence(bench, damage, sentence, monkeypatch):
    bench.run(store=bench.store)
    other = sqlite3.connect(bench.store)
    if damage == "text":
        bench.store.write_text("not a database " * 100)
    elif damage == "row":
        with other:
            other.execute("UPDATE recordings SET keywords = 7, scores = x'00'")
    else:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr("kws.evaluate.replay.cache._BUSY_S", 0.1)
    with pytest.raises(KwsError, match=sentence):
        bench.run(store=bench.store)
    other.close()


@pytest.mark.parametrize(
    ("system", "file", "sentence"),
    [
        ("another", "here", "is another model here than where the run was started"),
        ("same", "gone", "gone cannot be seen here: audio must lie under the same path"),
        ("same", "here", "here is another file here"),
    ],
)
def test_a_machine_that_has_something_else_says_so(bench, tmp_path, system, file, sentence):
    (tmp_path / "here").write_text("1234")
    digest = cache.system_digest(bench.spec, open_system(bench.spec)) if system == "same" else system
    job = many.Job(0, bench.sources[0], RULES, "key", ((str(tmp_path / file), 5, 0),))
    with pytest.raises(KwsError, match=sentence):
        many.work(many.Batch(bench.spec, digest, (job,)), lambda number, seconds: None)


def test_without_a_scheduler_it_is_one_sentence(bench, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask, "_CONNECT_S", 0.3)
    with pytest.raises(KwsError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        bench.run(dask="tcp://127.0.0.1:9")


def test_a_dask_cluster_gives_the_same_and_outlives_a_killed_worker(bench, monkeypatch):
    distributed = pytest.importorskip("distributed")
    alone = bench.run()
    bench.streams()
    (bench.notes / "kill").write_text("1")
    monkeypatch.setattr(dask, "_NO_WORKER_S", 5.0)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as machines:
        assert same(bench.run(dask=machines.scheduler_address, store=bench.store), alone)
        assert not (bench.notes / "kill").exists() and os.getpid() not in bench.streams()
        write_wav(bench.sources[0].audio, np.zeros(7000))
        assert len(bench.run(dask=machines.scheduler_address, store=bench.store)) == 5
        assert len(bench.streams()) == 1
