"""A service in asyncio: clients send sound over TCP and get a line of JSON for each
event.

`python examples/asyncio_service.py` listens on port 10500 of this machine; a client
sends int16 samples at 16 kHz:

    sox demo/hear.wav -t raw - | nc localhost 10500

All clients share one detector. What they sent in the last 20 ms goes through the model
together, in the loop's own thread: a chunk takes a fraction of a millisecond.
(`kws serve` is the service for Home Assistant.)
"""

import asyncio
import json
from contextlib import suppress

import numpy as np

import kws
from kws.runtime.streams import StreamHandle

TICK_S = 0.02


class Service:
    """Hears any number of clients with one detector."""

    def __init__(self, detector: kws.Detector) -> None:
        self.streams = detector.streams()
        self.writers: dict[StreamHandle, asyncio.StreamWriter] = {}

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first sample to its last."""
        handle = self.streams.join()
        self.writers[handle] = writer
        rest = b""
        try:
            while data := await reader.read(1 << 14):
                data = rest + data
                whole = len(data) // 2 * 2  # a sample may come in two halves
                handle.push(np.frombuffer(data[:whole], "<i2").astype(np.int16))
                rest = data[whole:]
            handle.flush()
            self.hear()
        finally:
            handle.leave()
            del self.writers[handle]
            writer.close()

    def hear(self) -> None:
        """Hears what waits, and tells each client of its own events."""
        for handle, event in self.streams.run():
            line = {"keyword": event.keyword, "score": round(event.score, 3), "end_s": event.end_s}
            self.writers[handle].write(json.dumps(line).encode() + b"\n")

    async def run(self, port: int = 10_500) -> None:
        """Serves until it is cancelled."""
        server = await asyncio.start_server(self.client, "localhost", port)
        async with server:
            while True:
                self.hear()
                await asyncio.sleep(TICK_S)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(Service(kws.Detector.load()).run())
