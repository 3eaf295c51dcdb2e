"""Reads events from untrusted clients with the wyoming library, adds the bounds that it
lacks, and says why an event is refused.

An event is a line of JSON, then as many bytes of further JSON and of payload as the
line says.
"""

from __future__ import annotations

import asyncio

from wyoming.event import Event, async_read_event

from kws.errors import KwsError

MOST_BYTES = 2**20  # of one part of an event: 32 s of sound at 16 kHz and 16 bits


class EventReader:
    """The reader that the library gets. It counts what the library reads, and so knows
    whether an event is too long or incomplete.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._ended = False

    async def read(self) -> Event | None:
        """The next event, or None when the client has ended.

        Raises KwsError for bytes that are no event, for one that is too long, and for
        one that ends in the middle; nothing can follow.
        """
        try:
            event = await async_read_event(self)  # type: ignore[arg-type]
        except asyncio.IncompleteReadError as error:
            raise KwsError("the connection ended in the middle of an event") from error
        except (AttributeError, KeyError, RecursionError, TypeError) as error:
            raise KwsError("what came is not an event of the Wyoming protocol") from error
        if event is None and not self._ended:
            raise KwsError("what came is not an event of the Wyoming protocol: its line is not JSON")
        if event is not None and not (isinstance(event.type, str) and isinstance(event.data, dict)):
            raise KwsError("what came is not an event of the Wyoming protocol")
        return event

    async def readline(self) -> bytes:
        """For the library: the first part of an event, or nothing at the end."""
        try:
            line = await self._reader.readline()
        except ValueError as error:
            raise KwsError("the line that begins an event is too long") from error
        if line and not line.endswith(b"\n"):
            raise asyncio.IncompleteReadError(line, None)
        self._ended = not line
        return line

    async def readexactly(self, size: int) -> bytes:
        """For the library: another part."""
        if not isinstance(size, int):
            raise KwsError(f"what came is not an event of the Wyoming protocol: a length of {size!r:.20}")
        if size > MOST_BYTES:
            raise KwsError(f"an event of {size!r:.20} bytes is too long: a part may have {MOST_BYTES}")
        return await self._reader.readexactly(size)
