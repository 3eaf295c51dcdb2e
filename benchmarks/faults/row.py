"""One row of the table of faults, and how its cases are run where they cannot take the
program with them.
"""

import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LONGEST_S = 60  # of one case; one that takes longer hangs


@dataclass(frozen=True)
class Setting:
    """The setting of a row. count: its cases, or hours. folder: an empty one."""

    count: float
    folder: Path
    model: Path

    @property
    def cases(self) -> int:
        return int(self.count)


@dataclass
class Row:
    """A row of the table: the fault that was tried, how often, and how often something
    was lost. lost: a sentence for each loss. note: what else the row says.
    """

    fault: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0

    def check(self, held: bool, sentence: str) -> None:
        """Count one case; the sentence says what is lost where it did not hold."""
        self.tried += 1
        if not held:
            self.lost.append(sentence)

    def __str__(self) -> str:
        note = f"; {self.note}" if self.note else ""
        return f"| {self.fault} | {self.tried:,} | {len(self.lost)} | {self.seconds:.0f} s{note} |"


HEAD = "| tried | cases | lost | took |\n|---|---|---|---|"


@contextmanager
def timed(row: Row) -> Iterator[Row]:
    begin = time.perf_counter()
    yield row
    row.seconds = time.perf_counter() - begin


def sheltered(row: Row, count: int, case: Callable[[int], str]) -> dict[str, int]:
    """Run cases 0 to count - 1 in a process that a crash or a hang ends alone; the next
    begins after the case that did it.

    case: gives a word for what came of it, which is counted, or raises: then something
    is lost.
    """
    outcomes: Counter[str] = Counter()
    context = multiprocessing.get_context("fork")
    first = 0
    while first < count:
        mine, others = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(others, first, count, case))
        worker.start()
        others.close()
        for number in range(first, count):
            try:
                word, loss = mine.recv()
            except EOFError:
                word, loss = "crashed", f"case {number} ended its process"
            row.check(not loss, loss)
            outcomes[word] += 1
            first = number + 1
            if word == "crashed":
                break
        worker.join()
    return outcomes


def _work(pipe: Connection, first: int, count: int, case: Callable[[int], str]) -> None:
    """The worker: tells of each case the word and the loss, which is empty where there
    is none.
    """
    signal.signal(signal.SIGALRM, _hang)
    for number in range(first, count):
        signal.alarm(LONGEST_S)
        try:
            told = case(number), ""
        except Exception as error:
            told = "lost", f"case {number}: {type(error).__name__}: {error!s:.200}"
        finally:
            signal.alarm(0)
        pipe.send(told)
    pipe.close()


def _hang(*_: Any) -> None:
    raise TimeoutError(f"more than {LONGEST_S} s")


def counts(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {word}" for word, number in sorted(outcomes.items()))
