"""``websockets.broadcast``: the quickest way that a pure Python library offers. No framework; it stores nothing.

https://websockets.readthedocs.io/en/stable/topics/broadcast.html
"""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.http11 import Request, Response

from bench.peers import Order, collect_seldom, event_text

CLIENTS: set[ServerConnection] = set()


async def handler(websocket: ServerConnection) -> None:
    CLIENTS.add(websocket)
    try:
        await websocket.wait_closed()
    finally:
        CLIENTS.remove(websocket)


async def emit(connection: ServerConnection, request: Request) -> Response | None:
    url = urlsplit(request.path)
    if url.path != "/emit":
        return None
    order = Order(url.query)
    async for number in order.numbers():
        broadcast(CLIENTS, event_text(number, order.size))
        await asyncio.sleep(0)
    return connection.respond(HTTPStatus.OK, "ok")


async def main(port: int) -> None:
    # The request for events is a handshake to it, which lasts as long as sending them: open_timeout.
    served = serve(handler, "127.0.0.1", port, process_request=emit, compression=None, open_timeout=None)
    async with served as server:
        await server.serve_forever()


if __name__ == "__main__":
    collect_seldom()
    asyncio.run(main(int(sys.argv[1])))
