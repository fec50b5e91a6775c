"""A flood over one server, from a process of its own, so that the watcher waits for the server alone.

``python -m tests.security.flooding PORT COOKIE SECONDS HANDSHAKES``: so many seconds at least, and until so many
strangers were answered. Prints what it did, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

MOST_SECONDS: Final = 300
STRANGERS, SHOUTERS = 50, 4
MEGABYTE: Final = b"x" * (1024 * 1024 - 64)


@dataclass
class Flood:
    """What comes over the server."""

    traces: str
    """URL of the sockets, up to a trace's id."""
    cookie: str
    """Of one who may watch the trace ``eves``, and no other."""
    seconds: float
    handshakes: int
    codes: Counter[int | None] = field(default_factory=Counter)
    """Of strangers' sockets."""
    megabytes: int = 0
    """That were sent."""
    began: float = field(default_factory=monotonic)

    @property
    def goes_on(self) -> bool:
        seconds = monotonic() - self.began
        return seconds < self.seconds or (self.codes.total() < self.handshakes and seconds < MOST_SECONDS)

    async def come(self) -> None:
        async with asyncio.TaskGroup() as all_of_them:
            for _ in range(STRANGERS):
                all_of_them.create_task(self.knock())
            for _ in range(SHOUTERS):
                all_of_them.create_task(self.shout())

    async def knock(self) -> None:
        """One of those who connect again and again, though they are nobody."""
        while self.goes_on:
            with suppress(OSError, WebSocketException):
                async with connect(f"{self.traces}secret", compression=None, open_timeout=60) as socket:
                    with suppress(ConnectionClosed):
                        while True:
                            await socket.recv()
                    self.codes[socket.close_code] += 1

    async def shout(self) -> None:
        """One who may watch something, and sends a megabyte as often as it is taken."""
        headers = {"Cookie": self.cookie}
        while self.goes_on:
            with suppress(OSError, WebSocketException):
                async with connect(f"{self.traces}eves", additional_headers=headers, compression=None) as socket:
                    while self.goes_on:
                        await socket.send(MEGABYTE)
                        self.megabytes += 1


if __name__ == "__main__":
    port, cookie, seconds, handshakes = sys.argv[1:]
    flood = Flood(f"ws://127.0.0.1:{port}/ws/traces/", cookie, float(seconds), int(handshakes))
    asyncio.run(flood.come())
    print(json.dumps({"codes": flood.codes, "megabytes": flood.megabytes, "seconds": monotonic() - flood.began}))  # noqa: T201
