"""Ctrl-C and SIGTERM arrive, whatever a command is doing, and let it tidy up."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

from kws.cli import main as entry
from kws.cli import stopping
from kws.cli.stopping import stoppable
from kws.errors import Terminated, going_on

NUMBERS = [signal.SIGINT, signal.SIGTERM]
KINDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@pytest.fixture(autouse=True)
def usual_handlers():
    """As a process has them that no shell's & has started."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (*NUMBERS, signal.SIGALRM)]


class Swallows:
    """As a destructor, or a library's `except:`, does."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_was_swallowed_is_raised_again(number, monkeypatch):
    monkeypatch.setattr(stopping, "_AGAIN_S", 0.01)
    before = handlers()

    @stoppable()
    def work():
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        time.sleep(60)

    with pytest.raises(KINDS[number]):
        work()
    assert handlers() == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_signal_that_meets_a_destructor_is_heard(monkeypatch):
    monkeypatch.setattr(stopping, "_AGAIN_S", 0.1)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # pytest's own is long enough to meet the next one

    @stoppable()
    def work():
        Swallows()
        time.sleep(60)

    with pytest.raises(Terminated):
        work()


@pytest.mark.parametrize("number", NUMBERS)
def test_tidying_up_is_not_disturbed(number, monkeypatch):
    monkeypatch.setattr(stopping, "_AGAIN_S", 0.01)
    tidied = []

    def processes():
        try:
            yield
        finally:
            time.sleep(0.1)
            tidied.append("generator")

    @stoppable()
    def work():
        running = processes()
        next(running)
        try:
            signal.raise_signal(number)
        finally:
            running.close()
            time.sleep(0.1)
            tidied.append("finally")

    with pytest.raises(KINDS[number]):
        work()
    assert tidied == ["generator", "finally"]


def test_signals_that_are_handled_or_ignored_are_left_alone():
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stoppable():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert heard == [signal.SIGTERM]


def test_another_thread_may_run_a_command():
    said = []

    def work():
        with stoppable():
            said.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == ["done"]


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_command_says_how_it_goes_on(number, code, word, monkeypatch, capsys):
    def run(args):
        with going_on("the same command goes on"):
            os.kill(os.getpid(), number)
            time.sleep(60)

    verb = SimpleNamespace(configure=lambda parser: None, run=run)
    monkeypatch.setitem(entry.VERBS, "pretend", entry.Verb("", ""))
    monkeypatch.setitem(sys.modules, "kws.cli.pretend", verb)
    assert entry.main(["pretend"]) == code
    assert capsys.readouterr().err == f"\nkws: {word}: the same command goes on\n"


def test_what_already_says_how_it_goes_on_is_kept():
    with pytest.raises(Terminated, match="from there"), going_on("somewhere"), going_on("from there"):
        raise Terminated
