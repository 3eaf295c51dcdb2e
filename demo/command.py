"""`kws listen --exec`: a command of the user's for each event."""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kws.errors import KwsError

_MOST = 8  # commands that may run at once: one that hangs must not fill the machine


class Command:
    """Starts a command and never waits for it: no shell, its words split as a shell
    would, a line on its stdin.

    output: takes the command's own output (a file, or subprocess.DEVNULL). tell: gets a
    sentence once when the command fails. Raises KwsError when the command does not
    exist.
    """

    def __init__(self, line: str, output: Any, tell: Callable[[str], object]) -> None:
        try:
            self._words = shlex.split(line)
        except ValueError as error:
            raise KwsError(f"--exec {line}: the command cannot be split into words ({error})") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise KwsError(f"--exec: there is no command '{self._words[0] if self._words else line}'")
        self._output = output
        self._tell = tell
        self._told = False
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, line: str) -> None:
        """Run the command with a line (shorter than a pipe holds) as its input."""
        self.check()
        if len(self._running) == _MOST:
            self._fail(f"still runs {_MOST} times and is not started again until one ends")
            return
        try:
            process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=self._output, stderr=self._output, bufsize=0
            )
        except OSError as error:
            self._fail(f"cannot be started: {error.strerror}")
            return
        self._running.append(process)
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as pipe:  # it need not read
            pipe.write(line.encode() + b"\n")

    def check(self) -> None:
        """Look which commands have ended, and whether they failed."""
        for process in self._running:
            if process.poll():
                self._fail(f"ended with exit code {process.returncode}")
        self._running = [process for process in self._running if process.returncode is None]

    def _fail(self, what: str) -> None:
        if not self._told:
            self._tell(f"--exec: {shlex.join(self._words)} {what} (said once)")
        self._told = True
