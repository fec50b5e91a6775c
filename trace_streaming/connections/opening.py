"""When a socket is opened: once it is known what its client is told, and at the latest before that gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

ANSWER_SECONDS: Final = 1.5
"""A handshake is not kept waiting for longer; daphne would give it up after 5 seconds."""


class Opening:
    """Of one socket, from its handshake on.

    :param accept: opens it
    """

    __slots__ = ("_accept", "_is_done", "_late", "_timer")

    def __init__(self, accept: Callable[[], Awaitable[None]]) -> None:
        self._accept = accept
        self._is_done = False
        self._late: asyncio.Future[None] | None = None
        """While nobody knows yet what the client is to be told."""
        self._timer = asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._open_meanwhile)

    async def done(self) -> None:
        """Open it, if it is not open."""
        self._timer.cancel()
        if self._late is not None:
            await self._late
        elif not self._is_done:
            self._is_done = True
            await self._accept()

    def end(self) -> None:
        """The connection has ended."""
        self._timer.cancel()
        if self._late is not None and not self._late.cancel() and not self._late.cancelled():
            self._late.exception()  # the client has gone, which is known

    def _open_meanwhile(self) -> None:
        self._late = asyncio.ensure_future(self._accept())
