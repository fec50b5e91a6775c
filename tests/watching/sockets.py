"""WebSockets without a server: the real consumer, behind the smallest thing that speaks ASGI to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from channels.routing import URLRouter
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from trace_streaming.routing import websocket_urlpatterns
from trace_streaming.servers.lines import SCOPE_KEY
from trace_streaming.wire.frames import Packet

application = URLRouter(websocket_urlpatterns)


def _as_it_is(connection: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    return connection


class Wire:
    """The way past ASGI that a known server offers, see ``trace_streaming.servers.wires``."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def write(self, packet: Packet) -> bool:
        self._socket.greeted = True
        if self._socket.is_closed or not self._socket.reads.is_set():
            return False
        for text in texts_of(packet.data):
            self._socket.take(text)
        return True

    def encode(self, packet: Packet) -> bytes:
        return packet.data

    async def wait(self) -> None:
        self._socket.greeted = self._socket.is_accepted
        await self._socket.reads.wait()
        if self._socket.is_closed:
            raise ConnectionError

    def stop_reading(self) -> None:
        """The application takes one frame after the other."""

    def read_on(self) -> None:
        """As before."""

    def close(self) -> None:
        """Nothing is to be let go."""

    def abort(self) -> None:
        self._socket.break_off()


class Line:
    """What leads to the wire."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def wire(self) -> Wire:
        return Wire(self._socket)

    def stop_reading(self) -> None:
        """The application takes one frame after the other."""

    def read_on(self) -> None:
        """As before."""


def texts_of(data: bytes) -> list[str]:
    """The WebSocket frames of a server, as a client reads them."""
    protocol = ClientProtocol(parse_uri("ws://host"), state=State.OPEN, max_size=None)
    protocol.receive_data(data)
    return [bytes(frame.data).decode() for frame in protocol.events_received() if isinstance(frame, Frame)]


class Socket:
    """One connection. It can end in every way that a server knows, and its client can stop reading.

    :param path: trace id and query
    :param take: what the client does with a text frame
    :param has_wire: whether the server is one that is known
    :param wrap: what runs the connection, where a test wants to have a hand in it
    """

    def __init__(
        self,
        path: str,
        subprotocol: str | None,
        take: Callable[[str], None],
        wrap: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]] = _as_it_is,
        *,
        has_wire: bool = False,
    ) -> None:
        self.reads = asyncio.Event()
        """Whether the client reads; while it does not, the server's ``send`` waits, as uvicorn's does."""
        self.reads.set()
        self.is_accepted = False
        self.greeted = False
        """Whether the server has begun to send, that is, has let the client watch or refused it."""
        self.close_code: int | None = None
        """What the server has closed with."""
        self.take = take
        self._gone = False
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        trace_id, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": f"/ws/traces/{trace_id}",
            "query_string": query.encode(),
            "subprotocols": [subprotocol] if subprotocol else [],
        }
        if has_wire:
            scope[SCOPE_KEY] = Line(self)
        self.task = asyncio.create_task(wrap(application(scope, self._inbox.get, self._send)))

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._gone or self.close_code is not None

    def say(self, text: str) -> None:
        """The client sends a text frame."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    def break_off(self) -> None:
        """The connection is gone, and the server tells the application."""
        self._gone = True
        self.reads.set()
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1005})

    async def hang_up(self) -> None:
        """The client goes; raises what the application raises."""
        self.break_off()
        await self._end()

    async def cut(self) -> None:
        """The server cancels the application, without a word to it."""
        self._gone = True
        self.task.cancel()
        await self._end()

    async def _end(self) -> None:
        with suppress(asyncio.CancelledError, ConnectionResetError):
            await self.task

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            self.is_accepted = True
        else:
            self.greeted = True
            await self.reads.wait()
        if self._gone:
            raise ConnectionResetError
        assert self.close_code is None, f"sent behind a close: {message}"
        if message["type"] == "websocket.send":
            self.take(message["text"])
        elif message["type"] == "websocket.close":
            self.close_code = message.get("code", 1000)
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": self.close_code})
