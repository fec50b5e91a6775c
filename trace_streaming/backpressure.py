"""Backpressure on daphne: its ``send`` takes everything at once, however little the client reads.

Under uvicorn ``send`` waits for the client by itself. Under daphne a client that pings but never reads would make the
server hold everything that it is sent, so the connection's transport is asked, as Twisted offers it: a streaming
producer is told when the write buffer is full (64 KiB) and when it is empty again.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import Any, Final, Protocol

SCOPE_KEY: Final = "trace_streaming.transport"


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


def install() -> None:
    """Have daphne put a socket's transport into its scope, if daphne is what serves this process.

    Nothing else leads from a scope to its transport, and not every daphne is started by a command of ours.
    """
    module = sys.modules.get("daphne.server")
    if module is None or hasattr(module.Server.create_application, "__wrapped__"):
        return
    create_application = module.Server.create_application

    @functools.wraps(create_application)
    def create_application_with_transport(server: Any, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            scope[SCOPE_KEY] = protocol.transport
        return create_application(server, protocol, scope)

    module.Server.create_application = create_application_with_transport
