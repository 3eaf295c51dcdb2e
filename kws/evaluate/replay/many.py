"""Replays many test items: on the cores of this machine or on a Dask cluster, each item
in one process.

Results are cached as they come (see `cache`). The numbers do not depend on which
process replayed which item, or in which order.
"""

import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kws import audio
from kws.errors import KwsError, require
from kws.evaluate.replay.cache import Store, key, system_digest
from kws.evaluate.replay.conditions import Rules
from kws.evaluate.replay.files import FileIdentity, file_identity
from kws.evaluate.replay.one import SourceError, replay
from kws.evaluate.replay.recording import Replayed, TestItem
from kws.evaluate.replay.systems import System, SystemSpec, open_system
from kws.parallel import on_cores, on_dask
from kws.runtime.shipped import shipped

_BATCH_S = 60.0  # of sound: about 0.4 s of work, so that workers end together and messages cost nothing

OnProgress = Callable[[int, float], None]  # is told the number of a job, and seconds of sound that were heard of it


class Job(NamedTuple):
    """A test item to be replayed. number: its place among all items. rules: the rules
    of this item alone. key: in the store. files: the audio, then the file that it is
    mixed with.
    """

    number: int
    item: TestItem
    rules: Rules
    key: str
    files: tuple[FileIdentity, ...]


class Batch(NamedTuple):
    """The jobs that a worker gets at a time. system: the digest of the system that
    `spec` opens on the machine where the run was started.
    """

    spec: SystemSpec
    system: str
    jobs: tuple[Job, ...]

    def __str__(self) -> str:
        more = f" and {len(self.jobs) - 1} more" if len(self.jobs) > 1 else ""
        return f"{self.jobs[0].item.audio}{more}"


class Outcome(NamedTuple):
    """The result of a job: a recording, or a sentence that says why there is none."""

    number: int
    recording: Replayed | None
    problem: str


def replay_all(
    spec: SystemSpec,
    sources: Sequence[TestItem],
    rules: Rules,
    *,
    store: Path | None,
    jobs: int | None = None,
    dask: str | None = None,
    skipped: list[str],
) -> list[Replayed]:
    """Replays every test item through a system; the result is in their order.

    store: a cache file, which is asked first. jobs: processes; None for one per core
    that this process may use, 1 for this process alone. dask: the address of a
    scheduler, whose workers then do the work. skipped: gets a line for each item that
    cannot be used and is left out.
    """
    spec = _anywhere(spec)
    system = system_digest(spec, open_system(spec))
    problems: dict[int, str] = {}
    planned = {job.number: job for job in _plan(system, sources, rules, problems)}
    with Store(store) if store else nullcontext() as kept:
        found = _recall(planned.values(), sources, kept) if kept else {}
        missing = _lengths(job for job in planned.values() if job.number not in found)
        with (
            closing(_Progress(missing)) as progress,
            closing(_run(_batches(spec, system, missing), jobs, dask, progress.heard)) as results,
        ):
            for outcomes in results:
                heard = {number: recording for number, recording, _ in outcomes if recording is not None}
                if kept:
                    kept.write([(planned[number].key, recording) for number, recording in heard.items()])
                found |= {number: replace(heard[number], item=sources[number]) for number in heard}
                problems |= {number: problem for number, _, problem in outcomes if problem}
                progress.done(outcome.number for outcome in outcomes)
    skipped += [problems[number] for number in sorted(problems)]
    return [found[number] for number in sorted(found)]


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work(batch: Batch, report: OnProgress) -> list[Outcome]:
    """Does a batch in this process.

    Raises KwsError where this machine has another model or other files than the one
    that the batch came from.
    """
    system = open_system(batch.spec)
    if system_digest(batch.spec, system) != batch.system:
        raise KwsError(
            f"{batch.spec.model} is another model here than where the run was started: give both the same one"
        )
    for path, size, _ in {file for job in batch.jobs for file in job.files}:
        if not Path(path).exists():
            raise KwsError(f"{path} cannot be seen here: audio must lie under the same path on every machine")
        if Path(path).stat().st_size != size:
            raise KwsError(f"{path} is another file here, or was changed during the run")
    return [_attempt(system, job, report) for job in batch.jobs]


def _attempt(system: System, job: Job, report: OnProgress) -> Outcome:
    try:
        heard = replay(system, job.item, job.rules, report=lambda seconds: report(job.number, seconds))
    except SourceError as error:
        return Outcome(job.number, None, str(error))
    return Outcome(job.number, heard, "")


def _anywhere(spec: SystemSpec) -> SystemSpec:
    """The same system, for a process that runs in another folder: paths become
    absolute, and a shipped model keeps its name, because it may lie elsewhere on
    another machine.
    """
    file = spec.file
    if file is None or spec.model in shipped():
        return spec
    adapter = f":{spec.model.rpartition(':')[2]}" if spec.is_engine else ""
    return replace(spec, model=f"{file.absolute()}{adapter}")


def _plan(system: str, sources: Sequence[TestItem], rules: Rules, problems: dict[int, str]) -> Iterator[Job]:
    """A job for every test item whose files exist."""
    for number, source in enumerate(sources):
        own = rules.of(source)
        mixed = own.mixed_with(source)
        source = replace(source, audio=source.audio.absolute())
        try:
            files = tuple(file_identity(path) for path in (source.audio, mixed) if path is not None)
        except KwsError as error:
            problems[number] = str(error)
        else:
            yield Job(number, source, own, key(system, source, own, files), files)


def _recall(planned: Collection[Job], sources: Sequence[TestItem], kept: Store) -> dict[int, Replayed]:
    """The recordings that the store has for the jobs, by their numbers."""
    found = {}
    for job in planned:
        if (recording := kept.read(job.key, sources[job.number])) is not None:
            found[job.number] = recording
    kept.touch(job.key for job in planned if job.number in found)
    return found


def _lengths(jobs: Iterable[Job]) -> dict[Job, float]:
    """The seconds of sound of each job, from the headers of its files."""
    length_s = lru_cache(maxsize=None)(audio.length_s)  # a file is there under every condition
    return {job: length_s(job.files[0][0]) + 2 * job.rules.silence_s for job in jobs}


def _batches(spec: SystemSpec, system: str, lengths: Mapping[Job, float]) -> list[Batch]:
    """Batches of `_BATCH_S` or of one recording, the longest first, so that no long one
    is left for the end.
    """
    batches: list[Batch] = []
    jobs: list[Job] = []
    seconds = 0.0
    for job in sorted(lengths, key=lambda job: (-lengths[job], job.files[0], job.number)):
        jobs.append(job)
        seconds += lengths[job]
        if seconds >= _BATCH_S:
            batches.append(Batch(spec, system, tuple(jobs)))
            jobs, seconds = [], 0.0
    return [*batches, Batch(spec, system, tuple(jobs))] if jobs else batches


def _run(
    batches: Sequence[Batch], jobs: int | None, dask: str | None, report: OnProgress
) -> Generator[list[Outcome], None, None]:
    processes = min(jobs or cores(), len(batches))
    if dask is not None and batches:
        yield from on_dask(work, batches, dask)
    elif processes > 1:
        yield from on_cores(work, batches, processes, report)
    else:
        for batch in batches:
            yield work(batch, report)


class _Progress:
    """A bar over seconds of sound, so that its rate is the speed in times of real
    time.
    """

    def __init__(self, lengths: Mapping[Job, float]) -> None:
        self._left = {job.number: seconds for job, seconds in lengths.items()}
        self._bar = require("tqdm", extra="score").tqdm(
            desc="listening",
            total=sum(self._left.values()),
            bar_format="{l_bar}{bar}| {elapsed} < {remaining}, {rate_noinv_fmt}",
            unit=" s of sound",
            leave=False,
            disable=None,
        )

    def heard(self, number: int, seconds: float) -> None:
        """Counts a part of a job as done. A job that another process begins again is
        not counted twice.
        """
        seconds = min(seconds, self._left[number])
        self._left[number] -= seconds
        self._bar.update(seconds)

    def done(self, numbers: Iterable[int]) -> None:
        """Counts the rest of these jobs as done."""
        self._bar.update(sum(self._left.pop(number) for number in numbers))

    def close(self) -> None:
        self._bar.close()
