"""Work on several cores of this machine: processes that take the next task when they
are done.

Made of `multiprocessing` itself: a pool of `concurrent.futures` is lost with any one of
its processes, and cannot be ended promptly before Python 3.14. Processes are spawned,
not forked, so they share no threads and no locks.
"""

import os
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, TypeVar

from kws.errors import KwsError

Task = TypeVar("Task")
Result = TypeVar("Result")

_DEATHS = 2  # of the processes that had the same task, after which it is not tried again
_DIED = "died"
_ENDING_S = 5.0  # for a process that was told to end


def on_cores(
    work: Callable[[Task, Callable[..., None]], Result],
    tasks: Sequence[Task],
    processes: int,
    report: Callable[..., None],
) -> Generator[Result, None, None]:
    """Yield `work(task, report)` of every task as it is ready, done by processes that
    end with the generator.

    work, tasks: see `kws.parallel`. processes: how many, at least 1. report: called
    here with what `work` reports there. A task whose process was killed is given to
    another process. Raises what `work` raises, and KwsError for a task that two
    processes died of.
    """
    with Cores(work, processes) as cores:
        yield from cores.do(tasks, report)


class Cores(Generic[Task, Result]):
    """Processes that stay for the next tasks when some are done, and end with the
    `with` block: each loads its libraries once.

    work, processes: as for `on_cores`. A process starts when there is a task for it.
    """

    def __init__(self, work: Callable[[Task, Callable[..., None]], Result], processes: int) -> None:
        self._work = work
        self._processes = processes
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Cores[Task, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    def do(self, tasks: Sequence[Task], report: Callable[..., None]) -> Generator[Result, None, None]:
        """Yield the result of every task as it is ready, and raise as `on_cores` does.
        Nothing can be done after a generator that did not come to its end.
        """
        waiting, deaths = deque(range(len(tasks))), Counter[int]()
        workers = self._workers
        workers += [_Worker(self._work) for _ in range(min(self._processes, len(tasks)) - len(workers))]
        while True:
            for worker in workers:
                if worker.task is None and waiting:
                    worker.give(waiting.popleft(), tasks)
            busy = {worker.pipe: worker for worker in workers if worker.task is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                answer = worker.answer()
                if isinstance(answer, _Note):
                    report(*answer.words)
                    continue
                task, worker.task = worker.task, None
                assert task is not None
                if answer is _DIED:
                    deaths[task] += 1
                    if deaths[task] == _DEATHS:
                        raise KwsError(_died(tasks[task]))
                    waiting.appendleft(task)
                    worker.end()
                    workers[workers.index(worker)] = _Worker(self._work)
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    yield answer


class _Note(NamedTuple):
    """A report of a task in work."""

    words: tuple[Any, ...]


class _Worker:
    """A process, and the index of the task that it has."""

    def __init__(self, work: Callable[..., Any]) -> None:
        context = get_context("spawn")
        self.task: int | None = None
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        with _deaf_to_ctrl_c():
            self._process.start()
        theirs.close()

    def give(self, task: int, tasks: Sequence[Any]) -> None:
        self.task = task
        with suppress(OSError):  # of a dead process, which reading from the pipe will tell
            self.pipe.send(tasks[task])

    def answer(self) -> Any:
        """The next message of the process: a result, an exception, a note, or that it
        died.
        """
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return _DIED

    def end(self) -> None:
        self.pipe.close()
        if self.task is None:
            self._process.join(_ENDING_S)  # it ends by itself, and cleans up what its libraries share
        self._process.terminate()
        self._process.join(_ENDING_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(pipe: Connection, work: Callable[..., Any]) -> None:
    """The life of a process: it ends when the other end of the pipe does, at the latest
    with the parent.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer = work(task, lambda *words: pipe.send(_Note(words)))
        except KwsError as error:
            answer = error
        except Exception:  # a fault of ours, told where it can be seen
            answer = RuntimeError(traceback.format_exc())
        try:
            pipe.send(answer)
        except OSError:
            return


def _end_with_parent() -> None:
    """Ends this process with its parent. A parent that was killed cannot end its
    processes, and a training would go on for an hour.
    """
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Lets processes that start inside ignore Ctrl-C, which a terminal sends to all
    processes: the parent ends them.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone may say so
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _died(task: object) -> str:
    return (
        f"two processes were killed while they heard {task}: is there enough memory? Give fewer --jobs; "
        "what was finished is kept"
    )
