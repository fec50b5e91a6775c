"""Straight to a client's transport, where the server is known: many frames in one write, and backpressure on daphne.

ASGI sends one frame at a time, through every layer of the server and, on daphne, without ever waiting for a client that
does not read. A wire writes the same bytes to all sockets that watch a trace. Without one, under a server that is not
known, frames go through ASGI.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from trace_streaming.conf import conf
from trace_streaming.wire.frames import Packet

MAX_FRAME_BYTES: Final = 1024 * 1024
"""Of what a client says; daphne's own limit. uvicorn's is 16 MiB, for each of its sockets."""


class Wire(Protocol):
    """The sending side of one open WebSocket."""

    def write(self, packet: Packet) -> bool:
        """Write its frames; False, and nothing is written, while the client has to be waited for, or is gone."""

    def encode(self, packet: Packet) -> bytes:
        """The bytes that ``write`` writes; in any thread."""

    async def wait(self) -> None:
        """Wait until the client takes more; :exc:`ConnectionError` when it is gone."""

    def stop_reading(self) -> None:
        """Leave what the client says where it is, while nobody can take it."""

    def read_on(self) -> None:
        """Take it again."""

    def close(self) -> None:
        """Nothing more is written here; what goes through ASGI is not waited for."""

    def abort(self) -> None:
        """End the connection without a word, where the client takes none."""


def limit_messages(protocol: Any) -> None:
    """Of uvicorn, to what daphne takes."""
    protocol.conn.max_message_size = min(protocol.conn.max_message_size or MAX_FRAME_BYTES, MAX_FRAME_BYTES)


class UvicornWire:
    """Of uvicorn's ``WebSocketsSansIOProtocol``, which waits for slow clients by itself."""

    __slots__ = ("_protocol", "_window_bits", "_write")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._write = protocol.transport.write
        limit_messages(protocol)
        deflate = next((e for e in protocol.conn.extensions if e.name == "permessage-deflate"), None)
        self._window_bits = deflate.local_max_window_bits if deflate and conf.COMPRESSION else None
        if deflate and not deflate.local_no_context_takeover:
            # What it sends must not refer to frames that went past it, and its memory (32 KB) is not needed.
            deflate.local_no_context_takeover = True
            del deflate.encoder

    def write(self, packet: Packet) -> bool:
        """Write, if the transport's buffer is below its high-water mark."""
        if self._is_ending() or not self._protocol.writable.is_set():
            return False
        self._write(self.encode(packet))
        return True

    def encode(self, packet: Packet) -> bytes:
        """Compressed, where the client has agreed to it."""
        return _encoded(packet, self._window_bits)

    async def wait(self) -> None:
        """Wait for the transport's buffer to be taken."""
        await self._protocol.writable.wait()
        if self._is_ending():
            raise ConnectionError

    def _is_ending(self) -> bool:
        protocol = self._protocol
        return bool(protocol.close_sent or protocol.disconnected or protocol.transport.is_closing())

    def stop_reading(self) -> None:
        """The protocol does, until what it has read is taken."""

    def read_on(self) -> None:
        """As it does."""

    def close(self) -> None:
        """The protocol goes on by itself."""

    def abort(self) -> None:
        """What waits in the buffer is dropped."""
        self._protocol.transport.abort()


class DaphneWire:
    """Of daphne's ``WebSocketProtocol``; a streaming producer in Twisted's terms.

    daphne's ``send`` takes everything at once, however little the client reads. So the transport is asked, as Twisted
    offers it: a producer is told when the write buffer is full (64 KiB) and when it is empty again. While it is full,
    nothing is read from the client either: what it says without listening would gather instead.
    """

    __slots__ = ("_open", "_protocol", "_transport", "_window_bits")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._open = asyncio.Event()
        self._open.set()
        deflate = protocol._perMessageCompress
        self._window_bits = deflate.server_max_window_bits if deflate and deflate.server_no_context_takeover else None
        self._transport.unregisterProducer()  # the HTTP channel that the handshake came through
        self._transport.registerProducer(self, True)  # noqa: FBT003

    def write(self, packet: Packet) -> bool:
        """Write, unless the transport's buffer is full."""
        if not self._open.is_set() or self._protocol.state != self._protocol.STATE_OPEN:
            return False
        self._transport.write(self.encode(packet))
        return True

    def encode(self, packet: Packet) -> bytes:
        """Compressed, where the client has agreed to it."""
        return _encoded(packet, self._window_bits)

    async def wait(self) -> None:
        """Wait for the transport's buffer to be empty."""
        await self._open.wait()
        if self._protocol.state != self._protocol.STATE_OPEN:
            raise ConnectionError

    def stop_reading(self) -> None:
        """Frames would gather in the application's queue, which has no end."""
        self._transport.pauseProducing()

    def read_on(self) -> None:
        """Unless its write buffer is full; then it does when that is empty."""
        if self._open.is_set():
            self._transport.resumeProducing()

    def close(self) -> None:
        """Let the transport go: it would wait for its producer before it closes."""
        self._open.set()
        self._transport.unregisterProducer()
        self._transport.resumeProducing()

    def abort(self) -> None:
        """What waits in the buffer is dropped."""
        self._transport.abortConnection()

    def pauseProducing(self) -> None:  # noqa: N802
        """Called by the transport: its write buffer is full."""
        self._open.clear()
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        """Called by the transport: its write buffer is empty."""
        self._open.set()
        self._transport.resumeProducing()

    def stopProducing(self) -> None:  # noqa: N802
        """Called by the transport: the connection is lost."""
        self._open.set()


def _encoded(packet: Packet, window_bits: int | None) -> bytes:
    return packet.data if window_bits is None else packet.deflated(window_bits)
