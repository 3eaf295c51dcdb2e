"""Stops: kill -9, a limit on the size of files and a full disk while kws trains,
prepares, exports, calibrates and scores. The same command, given again, ends with what
it would have ended with.
"""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from row import Row, Setting, timed

from kws import audio
from kws.data.manifest import Utterance, write_manifest
from kws.metadata import METADATA_KEY

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "demo/hear.wav"
RATE = 16_000
_DISK_BYTES = 2**29
LONGEST_S = 600  # of one command; one that takes longer hangs
HUNG = 124  # as `timeout` reports it
TIMES = {"report.json": ("created", "seconds", "date", "command")}  # what two runs may differ in


@dataclass(frozen=True)
class Job:
    """A command, and the files that it leaves. before: the files that it needs, made by
    other commands.
    """

    name: str
    words: tuple[str, ...]
    results: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()


TRAIN = ("train", "tiny", "data=data", "output=run", "steps=30", "steps_per_epoch=10")
HEARD = ("--positives", "said", "--negatives", "radio", "--jobs", "1")
JOBS = (
    Job("scoring", ("score", *HEARD, "-o", "report"), ("report/report.json", "report/events.csv")),
    Job(
        "calibrating",
        ("calibrate", *HEARD, "--fa-per-hour", "100", "-o", "calibrated.onnx"),
        ("calibrated.onnx",),
    ),
    Job("preparing", ("data", "pack", "said", "-o", "shards"), ("shards/*.tar", "shards/*.json")),
    Job("training, and all that follows it", TRAIN, ("run/*.onnx",)),
    Job("exporting", ("export", "run/model.ckpt", "-o", "exported.onnx"), ("exported.onnx",), (TRAIN,)),
)


def stops(setting: Setting, jobs: tuple[Job, ...] = JOBS) -> Iterator[Row]:
    """For each job so many kills, file limits and full disks, at moments of chance."""
    for job in jobs:
        place = setting.folder / job.name.partition(",")[0]
        place.mkdir()
        wanted, took = _whole(job, place)
        for kind, stop in (("kill -9", _kill), ("a limit on the size of files", _limit)):
            yield _row(setting.cases, f"{kind} while {job.name}", job, place, wanted, took, stop)
        disk = place.with_name(f"{place.name}-disk")
        with _disk(disk) as is_disk:
            if is_disk:  # mounting takes root
                wanted, took = _whole(job, disk)
                yield _row(setting.cases, f"a full disk while {job.name}", job, disk, wanted, took, _fill)


def _row(
    cases: int, name: str, job: Job, place: Path, wanted: dict[str, str], took: float, stop: Callable[..., bool]
) -> Row:
    """Each case is stopped somewhere in the job, then done by the same command."""
    with timed(Row(name)) as row:
        for number in range(cases):
            _clear(job, place)
            part = (number + float(np.random.default_rng([7, number]).uniform())) / cases
            finished = stop(row, job, place, part, took)
            if not (finished or _digests(job, place) == wanted):  # killed on its way out
                again = _kws(place, job.words)
                row.check(again.returncode == 0, f"the same command ended with {again.returncode}: {again.stderr}")
            row.check(_digests(job, place) == wanted, "other results")
    return row


@contextmanager
def _disk(place: Path) -> Iterator[bool]:
    """A disk of its own, in memory, at `place`; whether it could be had."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", place], check=True)


def _whole(job: Job, place: Path) -> tuple[dict[str, str], float]:
    """What the job ends with when nothing stops it, and how long it takes."""
    _write_inputs(place)
    took = 0.0
    for words in (*job.before, job.words):
        begin = time.perf_counter()
        done = _kws(place, words)
        took = time.perf_counter() - begin
        if done.returncode:
            raise SystemExit(f"kws {' '.join(words)} does not work here: {done.stderr[-500:]}")
    for pattern in job.results:
        if not any(place.glob(pattern)):
            raise SystemExit(f"kws {' '.join(job.words)} leaves no {pattern}: nothing can be compared")
    return _digests(job, place), took


def _clear(job: Job, place: Path) -> None:
    """Remove the files that the job left, but none that it needs."""
    for pattern in job.results:
        top = place / pattern.partition("/")[0]
        shutil.rmtree(top, ignore_errors=True) if top.is_dir() else top.unlink(missing_ok=True)


def _kill(_: Row, job: Job, place: Path, part: float, took: float) -> bool:
    """Kill the command after a part of its time. Whether it was quicker."""
    process = subprocess.Popen(_command(job.words), cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return process.wait(took * part) == 0
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False


def _limit(row: Row, job: Job, place: Path, part: float, _: float) -> bool:
    """Let no file grow beyond 100 bytes to 1 MB, of which the command must say a
    sentence. Returns whether it had room enough.
    """
    room = int(100 * 10 ** (4 * part))
    return _told(row, _kws(place, job.words, room), f"files of {room} bytes at most")


def _fill(row: Row, job: Job, place: Path, part: float, _: float) -> bool:
    """Leave room for 4 kB to 4 MB on the disk, of which the command must say a
    sentence. Returns whether it had room enough.
    """
    room = 4096 * int(10 ** (3 * part))
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free - room)
    try:
        return _told(row, _kws(place, job.words), f"room for {room} bytes")
    finally:
        ballast.unlink()


def _told(row: Row, done: subprocess.CompletedProcess[str], how: str) -> bool:
    """Whether the command ended well; one that did not has said a sentence."""
    row.check("Traceback" not in done.stderr, f"a traceback with {how}: {done.stderr[-300:]}")
    row.check(done.returncode in (0, 1), f"ended with {done.returncode} with {how}")
    return done.returncode == 0


def _kws(place: Path, words: tuple[str, ...], room: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = _command(words)
    try:
        return subprocess.run(
            command, cwd=place, capture_output=True, text=True, check=False, preexec_fn=limit, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, HUNG, "", f"it hangs: not done after {LONGEST_S} s")


def _command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "kws", *words]


def _digests(job: Job, place: Path) -> dict[str, str]:
    """The digest of each result; of a report, without the time of day."""
    found = {}
    for path in sorted(path for pattern in job.results for path in place.glob(pattern)):
        content = path.read_bytes()
        if path.name in TIMES:
            report = json.loads(content)
            content = json.dumps({key: value for key, value in report.items() if key not in TIMES[path.name]}).encode()
        if path.suffix == ".onnx":
            content = _without_minutes(content)
        found[path.relative_to(place).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def _without_minutes(content: bytes) -> bytes:
    """A model file without how long its training took, and without the commit, which
    may change while this runs.
    """
    model = onnx.load_from_string(content)
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            info = json.loads(entry.value)
            info["training"]["config"].pop("spent", None)
            info.pop("commit", None)
            entry.value = json.dumps(info)
    return model.SerializeToString()


def _write_inputs(place: Path) -> None:
    """The wake words of the recording as clips, and what is said between two of them as
    other sound.
    """
    import soundfile

    sound, said = audio.read(RECORDING), []
    for name in ("said", "radio"):
        (place / name).mkdir()
    for number, word in enumerate(json.loads(RECORDING.with_suffix(".json").read_text())["wake_words"]):
        clip = sound[int((word["start_s"] - 0.3) * RATE) : int((word["end_s"] + 0.5) * RATE)]
        path = place / "said" / f"{number}.wav"
        soundfile.write(path, clip, RATE)
        said.append(Utterance(path, clip.size / RATE, word["keyword"], "", "dev"))
    write_manifest(place / "said/manifest.csv", said)
    soundfile.write(place / "radio/radio.wav", sound[int(1.5 * RATE) : 7 * RATE], RATE)
