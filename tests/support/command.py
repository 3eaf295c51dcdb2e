"""`kws VERB ...` run inside the test's own process, which has loaded its libraries already."""

import contextlib
import io
from subprocess import CompletedProcess
from unittest import mock

from kws.cli.main import main


def kws(*words: object) -> CompletedProcess[str]:
    """What the command prints and how it ends; a traceback is raised here instead of printed."""
    command = list(map(str, words))
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        mock.patch("sys.argv", ["kws", *command]),  # reports keep the command that made them
    ):
        code = main(command)
    return CompletedProcess(command, code, out.getvalue(), err.getvalue())
