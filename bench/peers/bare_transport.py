"""The physical limit: frames that were made before, written to the transports of asyncio in a loop, and nothing else.

``TOGETHER`` says how many frames go in one write; ours writes as many as have gathered.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import sys
from typing import Final, cast
from urllib.parse import urlsplit

from bench.peers import Order, collect_seldom, event_text

TOGETHER: Final = int(os.environ.get("TOGETHER", "1"))
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""
_WRITES_IN_A_TURN: Final = 20
"""Of each socket, until the loop may look at what clients say."""

CLIENTS: set[asyncio.Transport] = set()


class Connection(asyncio.Protocol):
    """A WebSocket that nobody listens to, or the request for ``/emit``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.transport in CLIENTS:
            return
        request, *lines = data.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines if b": " in line)
        if b"sec-websocket-key" in headers:
            key = next(line.split(b": ", 1)[1] for line in lines if line.lower().startswith(b"sec-websocket-key"))
            accepted = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
            )
            CLIENTS.add(self.transport)
        else:
            order = Order(urlsplit(request.split(b" ")[1].decode()).query)
            self.emitting = asyncio.get_running_loop().create_task(self.emit(order))

    def connection_lost(self, error: Exception | None) -> None:
        CLIENTS.discard(self.transport)

    async def emit(self, order: Order) -> None:
        """All of it, as fast as the sockets take it."""
        numbers = range(1, order.count + 1)
        frames = [frame(event_text(number, order.size)) for number in numbers]
        writes = [b"".join(frames[first : first + TOGETHER]) for first in range(0, len(frames), TOGETHER)]
        for index, data in enumerate(writes):
            for transport in CLIENTS:
                transport.write(data)
            if index % _WRITES_IN_A_TURN == 0:
                await asyncio.sleep(0)
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def frame(text: str) -> bytes:
    """An unmasked text frame of less than 64 KiB."""
    payload = text.encode()
    size = len(payload).to_bytes(1) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return b"\x81" + size + payload


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    collect_seldom()
    asyncio.run(main(int(sys.argv[1])))
