"""Sockets, standard input and output, and signals of the Wyoming server.

Each client has its own task; the streams of all clients run together.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from signal import SIGINT, SIGTERM
from typing import Any
from urllib.parse import urlsplit

from wyoming.error import Error
from wyoming.event import Event, async_get_stdin, async_get_stdout, async_write_event
from wyoming.wake import Detection

from kws.errors import KwsError
from kws.wyoming.catalog import Catalog
from kws.wyoming.protocol import EventReader
from kws.wyoming.session import ClientSession
from kws.wyoming.streams import ClientStreams

Log = Callable[[str], object]


async def serve(uri: str, catalog: Catalog, log: Log) -> bool:
    """Serve clients until SIGTERM or SIGINT, at stdio:// also to the end of the input;
    True: it was SIGINT.

    uri: "tcp://HOST:PORT" (port 0: any that is free) or "stdio://". log: takes one line
    for a person. Raises KwsError where there is nothing to listen at.
    """
    loop = asyncio.get_running_loop()
    interrupted: asyncio.Future[bool] = loop.create_future()
    loop.set_exception_handler(lambda _, context: log(f"{context.get('exception') or context['message']}"))
    for number in (SIGINT, SIGTERM):
        with suppress(NotImplementedError):  # on Windows Ctrl-C is a KeyboardInterrupt
            loop.add_signal_handler(number, _settle, interrupted, number == SIGINT)
    clients = _Clients(catalog, log)
    doors = None
    try:
        if uri == "stdio://":
            reader, writer = await _pipes()
            log("listening at stdio://")
            clients.welcome(reader, writer, "stdio").add_done_callback(lambda _: _settle(interrupted, False))
        else:
            doors = await _open(uri, clients)
            log(f"listening at tcp://{_spelled(doors.sockets[0].getsockname())}")
        return await interrupted
    finally:
        if doors is not None:
            doors.close()
        await clients.dismiss()


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
    """Whether somebody may be at the other end of a file descriptor."""
    mode = os.fstat(number).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)


async def _open(uri: str, clients: _Clients) -> asyncio.Server:
    """A listening socket whose clients are welcomed."""

    def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a satellite without power says no goodbye
        clients.welcome(reader, writer, _spelled(writer.get_extra_info("peername") or ("somebody", 0)))

    host, port = _host_and_port(uri)
    try:
        return await asyncio.start_server(enter, host, port)
    except OSError as error:
        raise KwsError(f"nobody can listen at {uri}: {error.strerror or error}") from error


def _host_and_port(uri: str) -> tuple[str, int]:
    with suppress(ValueError):  # a port that is no number
        parts = urlsplit(uri)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    raise KwsError(f"'{uri}' is no place to listen at: give tcp://127.0.0.1:10400 or stdio://")


def _spelled(address: tuple[Any, ...]) -> str:
    host, port, *_ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Clients:
    """The tasks of the clients that are here."""

    def __init__(self, catalog: Catalog, log: Log) -> None:
        self._catalog = catalog
        self._streams = ClientStreams(catalog.detectors)
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> asyncio.Task[None]:
        session = ClientSession(self._catalog, self._streams)
        client = _Client(EventReader(reader), writer, session, lambda line: self._log(f"{name}: {line}"))
        task = asyncio.get_running_loop().create_task(client.attend())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def dismiss(self) -> None:
        """Cut everybody off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which their sockets are closed


class _Client:
    """One connection. Its next event is read when the one before is answered, so a
    flood waits in the client.
    """

    def __init__(
        self, event_reader: EventReader, writer: asyncio.StreamWriter, session: ClientSession, log: Log
    ) -> None:
        self._event_reader = event_reader
        self._writer = writer
        self._session = session
        self._log = log
        self._complained = False

    async def attend(self) -> None:
        """Answer until the client has left or cannot be understood any more; nothing
        that it does reaches others.
        """
        try:
            while (event := await self._event_reader.read()) is not None:
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

    async def _answer(self, event: Event) -> None:
        try:
            for answer in self._session.answers(event):
                if answer is None:
                    await asyncio.sleep(0)  # the others' turn
                    continue
                await async_write_event(answer.event(), self._writer)
                if isinstance(answer, Detection):
                    self._log(f"{answer.name} at {answer.timestamp} ms")
        except KwsError as error:
            await self._refuse(error)

    async def _refuse(self, error: KwsError) -> None:
        """Say why to the client, and the first time to whoever reads the log."""
        if not self._complained:
            self._log(str(error))
        self._complained = True
        await async_write_event(Error(str(error)).event(), self._writer)
