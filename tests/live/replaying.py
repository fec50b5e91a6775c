"""Clients that replay a trace again and again: ``python -m tests.live.replaying URL LAST_SEQUENCE COUNT``.

A process of its own, and no frame is parsed: what is measured beside it must not wait for it.
"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import urlsplit


async def replay(url: str, last: bytes) -> None:
    parts = urlsplit(url)
    request = (
        f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request.encode())
    await reader.readuntil(b'"epoch":')  # past the first frame: it names the last sequence, too
    end = b""
    print("replaying", flush=True)  # noqa: T201
    while last not in end:
        chunk = await reader.read(2**20)
        assert chunk, "the server ended a replay"
        end = end[-len(last) :] + chunk
    writer.close()
    await writer.wait_closed()


async def again_and_again(url: str, last: bytes) -> None:
    while True:
        await replay(url, last)


async def main(url: str, last: bytes, count: int) -> None:
    await asyncio.gather(*(again_and_again(url, last) for _ in range(count)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], f'"sequence":{sys.argv[2]}'.encode(), int(sys.argv[3])))
