"""Backpressure on daphne: its ``send`` takes everything at once, however little the client reads.

Under uvicorn ``send`` waits for the client by itself. Under daphne a client that pings but never reads would make the
server hold everything that it is sent, so the connection's transport is asked, as Twisted offers it: a streaming
producer is told when the write buffer is full (64 KiB) and when it is empty again.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

SCOPE_KEY: Final = "trace_streaming.transport"
"""Where a scope has the transport of its socket; see ``servers``."""


class Transport(Protocol):
    """What is used of a Twisted transport (``IConsumer`` and ``IPushProducer``)."""

    def registerProducer(self, producer: object, streaming: bool) -> None: ...  # noqa: D102, N802
    def unregisterProducer(self) -> None: ...  # noqa: D102, N802
    def pauseProducing(self) -> None: ...  # noqa: D102, N802
    def resumeProducing(self) -> None: ...  # noqa: D102, N802


class WriteGate:
    """Open while the client reads what it is sent; a streaming producer in Twisted's terms.

    While it is closed nothing is read from the client either: what it says without listening would gather instead.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._open = asyncio.Event()
        self._open.set()
        transport.unregisterProducer()  # the HTTP channel that the handshake came through
        transport.registerProducer(self, streaming=True)

    async def wait(self) -> None:
        """Wait until the client has read enough."""
        if not self._open.is_set():
            await self._open.wait()

    def close(self) -> None:
        """Let the transport go: it would wait for its producer before it closes."""
        self._open.set()
        self._transport.unregisterProducer()
        self._transport.resumeProducing()

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
