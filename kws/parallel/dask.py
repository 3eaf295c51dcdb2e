"""Work on several machines: tasks given to a Dask cluster that the user has.

A Dask cluster is a command on each machine (``dask scheduler``, ``dask worker``), or
what dask-jobqueue (SLURM, PBS), Dask Kubernetes or SSHCluster make of a site's own. A
worker needs kws, and the audio under the same path.

Why Dask and not Ray: both deal out independent tasks and give those of a lost worker to
another one; `dask` and `distributed` are 2.5 MB of Python, and ray's wheel is 79 MB for
one platform.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, TypeVar

from kws import __version__
from kws.errors import KwsError, install, require

Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 3  # tasks that each thread of a worker has or waits for: all of a large corpus would fill the scheduler
_CONNECT_S = 10.0
_NO_WORKER_S = 30.0  # after which a cluster without a worker is given up
_ONE_AT_A_TIME = threading.Lock()  # an engine has one stream; and threads of Python would not be faster


def on_dask(
    work: Callable[[Task, Callable[..., None]], Result], tasks: Sequence[Task], address: str
) -> Generator[Result, None, None]:
    """Yield `work(task, report)` of every task as it is ready, done by the workers of
    the scheduler at `address`.

    work, tasks: see `kws.parallel`; what `work` reports is dropped. Raises what `work`
    raises, and KwsError where the cluster fails.
    """
    distributed = require("distributed", extra="score")
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it says of lost schedulers is said below
    waiting = deque(tasks)
    running: set[Any] = set()
    with _connect(distributed, address) as client:
        _await_worker(client, address)
        _check_versions(client)
        try:
            while waiting or running:
                wanted = _AHEAD * sum(client.nthreads().values()) - len(running)
                for _ in range(min(len(waiting), max(wanted, not running))):
                    running.add(client.submit(_attempt, work, waiting.popleft(), pure=False))
                try:
                    done = distributed.wait(running, _NO_WORKER_S, "FIRST_COMPLETED").done
                except TimeoutError:  # long recordings, or nobody to hear them
                    _await_worker(client, address)
                    continue
                running -= done
                while done:
                    yield done.pop().result()
        except distributed.KilledWorker as error:
            raise KwsError(
                "several Dask workers were lost over the same recordings: have they enough memory? What was finished "
                "is kept"
            ) from error
        except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
            raise KwsError(
                f"the Dask scheduler at {address} is gone: what was finished is kept, the same command goes on"
            ) from error


def _connect(distributed: ModuleType, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:  # a time-out is an OSError
        raise KwsError(
            f"no Dask scheduler answers at {address}: start one with `dask scheduler` and give the address that it says"
        ) from error


def _await_worker(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_NO_WORKER_S)
    except TimeoutError as error:
        raise KwsError(
            f"the Dask scheduler at {address} has had no worker for {_NO_WORKER_S:.0f} s: start some with "
            f"`dask worker {address}`; what was finished is kept"
        ) from error


def _check_versions(client: Any) -> None:
    """Raises KwsError unless the workers, and the scheduler, which unpacks every task,
    have the kws that is here.
    """
    workers = client.run(version, "kws", on_error="return")
    found = {f"worker {address}": installed for address, installed in workers.items()}
    try:
        found["scheduler"] = client.run_on_scheduler(version, "kws")
    except PackageNotFoundError as error:
        found["scheduler"] = error
    for who, installed in found.items():
        if isinstance(installed, PackageNotFoundError):
            raise KwsError(f"the Dask {who} has no kws: {install('score')}, there")
        if installed != __version__:
            raise KwsError(f"the Dask {who} has kws {installed}, and here is {__version__}: give both the same")


def _attempt(work: Callable[[Task, Callable[..., None]], Result], task: Task) -> Result:
    """The function that a worker runs for a task."""
    from distributed import get_worker  # only a worker comes here

    with _ONE_AT_A_TIME:
        try:
            return work(task, lambda *words: None)
        except KwsError as error:
            raise KwsError(f"the Dask worker {get_worker().address}: {error}") from error
