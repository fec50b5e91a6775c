"""What is done before a server ends, which is known by whoever has connections open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final


async def _nothing_is_open() -> None:
    """Until the app is set up."""


def _nothing_was_emitted() -> None:
    """Until the app is set up."""


class Shutdown:
    """Of the servers of this process; the app, when it is set up, says what is to be done."""

    def __init__(self) -> None:
        self.close_connections: Callable[[], Awaitable[None]] = _nothing_is_open
        """Tells the clients of the running loop to come back; awaited before its server ends."""
        self.end_process: Callable[[], None] = _nothing_was_emitted
        """Stores what was emitted; called behind that, in a thread, where the process ends without ``atexit``."""
        self._closing: dict[asyncio.AbstractEventLoop, asyncio.Future[None]] = {}

    def begin(self) -> asyncio.Future[None]:
        """Have the clients of the running loop told; once, however many of its connections ask. Done when they are."""
        loop = asyncio.get_running_loop()
        if loop not in self._closing:
            self._closing[loop] = asyncio.ensure_future(self.close_connections())
            self._closing[loop].add_done_callback(lambda _: self._closing.pop(loop, None))
        return self._closing[loop]


shutdown: Final = Shutdown()
