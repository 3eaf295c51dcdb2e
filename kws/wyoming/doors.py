"""The sockets that the Wyoming server listens at: TCP, or a socket of this machine
(unix).

The protocol has no password. So whoever reaches a TCP port is let in, and a unix socket
takes those whom the permissions of its file let write: with the usual umask, the user
who started the server.
"""

from __future__ import annotations

import asyncio
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kws.errors import KwsError

Enter = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], object]

_UNIX = "unix://"


class Door:
    """A listening socket. uri: its address, with the port that it got. addresses:
    (host, port) of each TCP socket; none for a unix socket.
    """

    def __init__(self, server: asyncio.Server, path: Path | None) -> None:
        self._server = server
        self._path = path
        self._file = path and _identity(path)
        self.addresses = [] if path else [one.getsockname()[:2] for one in server.sockets]
        self.uri = f"{_UNIX}{path}" if path else f"tcp://{_spelled(self.addresses[0])}"

    def close(self) -> None:
        """Listen no more; the file of a unix socket goes, unless another server has
        taken its place.
        """
        self._server.close()
        if self._path is not None and _identity(self._path) == self._file:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


async def open_door(uri: str, enter: Enter) -> Door:
    """Listen at "tcp://HOST:PORT" (port 0: any that is free) or "unix:///PATH".

    enter: is called with each client, and with a name for it. Raises KwsError where
    listening fails.
    """
    try:
        if uri.startswith(_UNIX):
            return await _open_unix(uri, enter)
        host, port = _host_and_port(uri)
        return Door(await asyncio.start_server(lambda *line: _enter_tcp(enter, *line), host, port), None)
    except OSError as error:
        raise KwsError(f"nobody can listen at {uri}: {error.strerror or error}") from error


async def _open_unix(uri: str, enter: Enter) -> Door:
    path, count = Path(uri.removeprefix(_UNIX)), 0
    if not path.is_absolute():
        raise KwsError(f"'{uri}' names no file from the root on: give {_UNIX}/run/kws.sock")
    if sys.platform == "win32":
        raise KwsError(f"this system has no unix sockets: give tcp://127.0.0.1:10400 in place of {uri}")
    await _refuse_taken(uri, path)

    def enter_unix(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        enter(reader, writer, f"unix client {count}")

    return Door(await asyncio.start_unix_server(enter_unix, path), path)


async def _refuse_taken(uri: str, path: Path) -> None:
    """Raise KwsError where a server listens already, or where another file lies.
    asyncio would take the place of any socket; a socket that a killed server left
    behind may be replaced.
    """
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise KwsError(f"nobody can listen at {uri}: a file that is no socket lies there")
    with suppress(ConnectionRefusedError):
        _, writer = await asyncio.open_unix_connection(path)
        writer.close()
        raise KwsError(f"nobody can listen at {uri}: another server does")


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _enter_tcp(enter: Enter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a satellite without power says no goodbye
    enter(reader, writer, _spelled(writer.get_extra_info("peername") or ("somebody", 0)))


def _host_and_port(uri: str) -> tuple[str, int]:
    with suppress(ValueError):  # a port that is no number
        parts = urlsplit(uri)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    raise KwsError(f"'{uri}' is no place to listen at: give tcp://127.0.0.1:10400, unix:///run/kws.sock or stdio://")


def _spelled(address: tuple[Any, ...]) -> str:
    host, port, *_ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
