"""Backpressure for long responses, where the server's ``send`` has none."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from .lines import SCOPE_KEY


class Gate(Protocol):
    """What is known of the connection that a long response goes to."""

    async def wait(self) -> None:
        """Wait until the client takes more, where the server's ``send`` does not."""

    def close(self) -> None:
        """The response is made."""

    def abort(self) -> None:
        """End the connection without a word."""


class UvicornGate:
    """Of uvicorn's ``RequestResponseCycle``, whose ``send`` waits."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle

    async def wait(self) -> None:
        """The server does."""

    def close(self) -> None:
        """The cycle goes on by itself."""

    def abort(self) -> None:
        """What waits in the buffer is dropped."""
        self._cycle.transport.abort()


class DaphneGate:
    """Of daphne's ``WebRequest``: a streaming producer that produces nothing, and learns when it should.

    daphne's ``send`` takes a whole response at once, so whoever makes a long one waits here between its parts.
    """

    __slots__ = ("_open", "_request")

    def __init__(self, request: Any) -> None:
        self._request = request
        self._open = asyncio.Event()
        self._open.set()
        if request.channel is not None:  # otherwise the client has gone
            request.registerProducer(self, True)  # noqa: FBT003

    async def wait(self) -> None:
        """Wait for the transport's buffer to be empty."""
        await self._open.wait()

    def close(self) -> None:
        """Let the request go: it is finished by daphne."""
        self._open.set()
        if self._request.producer is self and self._request.channel is not None:
            self._request.unregisterProducer()

    def abort(self) -> None:
        """What waits in the buffer is dropped."""
        if self._request.channel is not None:
            self._request.channel.transport.abortConnection()

    def pauseProducing(self) -> None:  # noqa: N802
        """Called by the channel: its write buffer is full."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        """Called by the channel: its write buffer is empty."""
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802
        """Called by the channel: the connection is lost."""
        self._open.set()


def gate_of(scope: dict[str, Any]) -> Gate | None:
    """Of the request's connection, under a server that is known; called on its loop."""
    new_gate = scope.get(SCOPE_KEY)
    return None if new_gate is None else new_gate()
