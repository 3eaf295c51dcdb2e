"""Makes Ctrl-C and SIGTERM exceptions that reach the command."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kws.errors import Terminated

_AGAIN_S = 1.0


@contextmanager
def stoppable() -> Iterator[None]:
    """Runs its block so that Ctrl-C raises KeyboardInterrupt and SIGTERM raises
    Terminated, a subclass of it; files and processes are then cleaned up after either.

    A signal that comes while a library is imported or an object dies may be swallowed
    there. It is raised again each second until it is heard. Signals that other code
    handles or ignores are left alone.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield
        return
    stop = _Stop()
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = {number: before for number, before in usual.items() if signal.getsignal(number) is before}
    for number in ours:
        signal.signal(number, stop.ask)
    try:
        yield
    finally:
        for number, before in ours.items():
            signal.signal(number, before)
        stop.forget()


class _Stop:
    """The signal that this process got, until it is done."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._asked: type[KeyboardInterrupt] | None = None
        self._alarm: object = signal.SIG_DFL

    def ask(self, number: int, frame: FrameType | None) -> None:
        asked = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if os.getpid() == self._process and hasattr(signal, "setitimer"):  # a forked process inherits the handler
            if self._asked is None:
                self._alarm = signal.signal(signal.SIGALRM, self._again)
                signal.setitimer(signal.ITIMER_REAL, _AGAIN_S, _AGAIN_S)
            self._asked = asked
        raise asked

    def _again(self, number: int, frame: FrameType | None) -> None:
        error = sys.exc_info()[1]
        while error is not None:  # whoever handles it tidies up
            if isinstance(error, KeyboardInterrupt):
                return
            error = error.__context__
        assert self._asked is not None
        raise self._asked

    def forget(self) -> None:
        if self._asked is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self._alarm)  # type: ignore[arg-type]
