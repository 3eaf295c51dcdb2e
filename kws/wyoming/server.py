"""Sockets, standard input and output, and signals of the Wyoming server.

Each client has its own task; the streams of all clients run together.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from signal import SIGINT, SIGTERM

from wyoming.audio import AudioChunk
from wyoming.error import Error
from wyoming.event import Event, async_get_stdin, async_get_stdout, async_write_event

from kws.audio.pickup import AS_IT_IS, Pickup
from kws.errors import KwsError
from kws.log import Log, silent
from kws.wyoming.announce import announced, is_of_this_machine
from kws.wyoming.catalog import Catalog
from kws.wyoming.doors import open_door
from kws.wyoming.protocol import EventReader
from kws.wyoming.session import ClientSession
from kws.wyoming.streams import ClientStreams

STDIO = "stdio://"

_LONGEST = 200  # characters of what a stranger sent, or was sent, in a line of the log


@dataclass(frozen=True)
class Settings:
    """The settings of a server.

    uri: "tcp://HOST:PORT" (port 0: any that is free), "unix:///PATH" or STDIO. name:
    under which a TCP port is announced in the local network; None: it is not announced.
    refractory_s: as of `ClientSession`. log: takes one line for a person. debug: takes
    further lines for a person who looks for a fault. pickup: the channel and the gain
    of every client.
    """

    uri: str
    name: str | None = None
    refractory_s: float = 0.0
    log: Log = silent
    debug: Log = silent
    pickup: Pickup = AS_IT_IS


async def serve(settings: Settings, catalog: Catalog) -> bool:
    """Serve clients until SIGTERM or SIGINT, and with stdio:// also to the end of the
    input. Returns whether it was SIGINT.

    Raises KwsError where listening fails, and where the server cannot be announced.
    """
    log = settings.log
    loop = asyncio.get_running_loop()
    interrupted: asyncio.Future[bool] = loop.create_future()
    loop.set_exception_handler(lambda _, context: log(f"{context.get('exception') or context['message']}"))
    for number in (SIGINT, SIGTERM):
        with suppress(NotImplementedError):  # on Windows Ctrl-C is a KeyboardInterrupt
            loop.add_signal_handler(number, _settle, interrupted, number == SIGINT)
    clients = _Clients(catalog, settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(clients.dismiss)
        if settings.uri == STDIO:
            reader, writer = await _pipes()
            log(f"listening at {STDIO}")
            clients.welcome(reader, writer, "stdio").add_done_callback(lambda _: _settle(interrupted, False))
        else:
            door = await open_door(settings.uri, clients.welcome)
            stack.callback(door.close)
            log(f"listening at {door.uri}")
            if settings.name is not None and door.addresses:
                name = await stack.enter_async_context(announced(settings.name, door.addresses))
                log(f"the local network is told of it as {name}")
                if is_of_this_machine(door.addresses):
                    log(
                        f"only this machine reaches {door.uri}, and nobody else is told: give --uri tcp://0.0.0.0:10400"
                    )
        return await interrupted


def _settle(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


async def _pipes() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for file in (sys.stdin, sys.stdout):
        if file is None or not _is_line(file.fileno()):
            raise KwsError("stdio:// needs pipes as standard input and output, not files")
    reader, writer = await async_get_stdin(), await async_get_stdout()
    writer.transport.set_write_buffer_limits(0)  # what is said has been written when the input ends
    return reader, writer


def _is_line(number: int) -> bool:
    """Whether a client may be at the other end of a file descriptor."""
    mode = os.fstat(number).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)


class _Clients:
    """The tasks of the connected clients."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._streams = ClientStreams(catalog.detectors)
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> asyncio.Task[None]:
        def log(line: str) -> None:
            self._settings.log(f"{name}: {line}")

        def debug(line: str) -> None:
            self._settings.debug(f"{name}: {line}")

        session = ClientSession(self._catalog, self._streams, log, self._settings.refractory_s, self._settings.pickup)
        client = _Client(EventReader(reader), writer, session, log, debug)
        task = asyncio.get_running_loop().create_task(client.attend())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def dismiss(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which their sockets are closed


class _Client:
    """One connection. Its next event is read when the one before is answered, so a
    flood waits in the client.
    """

    def __init__(
        self, event_reader: EventReader, writer: asyncio.StreamWriter, session: ClientSession, log: Log, debug: Log
    ) -> None:
        self._event_reader = event_reader
        self._writer = writer
        self._session = session
        self._log = log
        self._debug = debug
        self._chunks = 0  # in a row, that nothing was said of
        self._complained = False

    async def attend(self) -> None:
        """Answer until the client has left or cannot be understood any more. Nothing
        that it does affects other clients.
        """
        self._debug("is here")
        try:
            while (event := await self._event_reader.read()) is not None:
                self._note(event)
                await self._answer(event)
                await asyncio.sleep(0)  # the others' turn
        except KwsError as error:
            with suppress(OSError):
                await self._refuse(error)
        except OSError as error:  # reset, or nobody has been there for long
            self._log(f"the connection broke: {error.strerror or error}")
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise
        except Exception as error:
            self._log(f"cut off after a fault of kws, {type(error).__name__}: {error}")
        finally:
            self._session.leave()
            self._writer.close()
            self._note(None)
            self._debug("has left")

    def _note(self, event: Event | None) -> None:
        """Log the events of the client. Chunks of sound are counted, and logged once
        another event or the end comes.
        """
        if event is not None and AudioChunk.is_type(event.type):
            self._chunks += 1
            return
        if self._chunks:
            self._debug(f"sent {self._chunks} audio-chunk")
        self._chunks = 0
        if event is not None:
            self._debug(f"sent {_in_words(event)}")

    async def _answer(self, event: Event) -> None:
        try:
            for answer in self._session.answers(event):
                if answer is None:
                    await asyncio.sleep(0)  # the others' turn
                    continue
                said = answer.event()
                await async_write_event(said, self._writer)
                self._debug(f"said {_in_words(said)}")
        except KwsError as error:
            await self._refuse(error)

    async def _refuse(self, error: KwsError) -> None:
        """Tell the client the reason, and write it into the log the first time."""
        if not self._complained:
            self._log(str(error))
        self._complained = True
        await async_write_event(Error(str(error)).event(), self._writer)


def _in_words(event: Event) -> str:
    """An event for the log, however long or odd it is."""
    data = repr(event.data)
    return f"{event.type[:_LONGEST]!r} {data if len(data) <= _LONGEST else data[:_LONGEST] + ' ...'}"
