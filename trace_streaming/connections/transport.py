"""The sending side of one socket: through its wire where the server is known, else through ASGI, frame by frame."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from trace_streaming.servers.lines import SCOPE_KEY, Line
from trace_streaming.servers.wires import Wire
from trace_streaming.wire.frames import Packet

Send = Callable[[dict[str, Any]], Awaitable[None]]


class SocketTransport:
    """Of one socket.

    :param scope: of the socket
    :param send: ASGI's
    """

    __slots__ = ("_is_unheard", "_line", "_send", "_wire", "is_closed")

    def __init__(self, scope: dict[str, Any], send: Send) -> None:
        self._line: Line | None = scope.pop(SCOPE_KEY, None)
        """To the server, until there is a wire."""
        self._send = send
        self._is_unheard = False
        self._wire: Wire | None = None
        self.is_closed = False
        """Whether the close was sent: nothing may be sent behind it."""

    def open(self) -> None:
        """The socket was accepted: from now on it may have a wire."""
        if self._line is not None:
            self._wire, self._line = self._line.wire(), None
            if self._is_unheard:
                self._wire.stop_reading()

    def send_now(self, packet: Packet) -> bool:
        """Events for the client, at once, if it takes them."""
        return self._wire is not None and self._wire.write(packet)

    def encode(self, packet: Packet) -> None:
        """Make the bytes that the client will be sent, where it has a wire; in any thread."""
        if (wire := self._wire) is not None:
            wire.encode(packet)

    async def send_packet(self, packet: Packet) -> None:
        """Events and notices for the client, as soon as it takes them."""
        if self._wire is None:
            for text in packet.texts:
                await self.send_text(text)
            return
        while not self._wire.write(packet):
            await self._wire.wait()

    async def send_text(self, text: str) -> None:
        """One frame; nothing once the socket is closed."""
        if self.is_closed:
            pass  # by the revocation checker, while a command of the client was carried out
        elif self._wire is None:
            await self._send({"type": "websocket.send", "text": text})
        else:
            with suppress(ConnectionError):  # it has gone; the server's disconnect message follows
                await self.send_packet(Packet([text]))

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Within, nothing is read of what the client says: it would gather."""
        if (reading := self._wire or self._line) is not None:
            reading.stop_reading()
        self._is_unheard = True
        try:
            yield
        finally:
            self._is_unheard = False
            if (reading := self._wire or self._line) is not None:
                reading.read_on()

    def release(self) -> Wire | None:
        """Let the wire go, and return it: what is sent from now on goes through ASGI, and is not waited for."""
        wire, self._wire, self._line = self._wire, None, None
        if wire is not None:
            wire.close()
        return wire
