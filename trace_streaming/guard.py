"""Whoever lost the right to watch is cut off within seconds: the open sockets of a loop are asked again and again."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from itertools import islice
from typing import Final, Protocol

from .admission import EXPIRED, judge
from .authentication import Credentials
from .burst_log import BurstLog
from .conf import conf
from .protocol import Ending
from .store import with_fresh_connection

logger = logging.getLogger(__name__)

CHUNK: Final = 100
"""So many are asked at a time."""


class Guarded(Protocol):
    """An open socket."""

    credentials: Credentials
    trace_id: str
    opened_at: float
    """When it last showed credentials, by the loop's clock."""

    def end(self, ending: Ending) -> None:
        """Close it soon."""


class Guard:
    """Of one event loop, as long as sockets are open there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sockets: set[Guarded] = set()
        self._task: asyncio.Task[None] | None = None
        self._log = BurstLog(logger)

    def add(self, socket: Guarded) -> None:
        """Ask it from now on."""
        self._sockets.add(socket)
        if self._task is None:
            self._task = self._loop.create_task(self._run())

    def discard(self, socket: Guarded) -> None:
        """It has ended; nothing is awaited."""
        self._sockets.discard(socket)
        if not self._sockets:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            _guards.pop(self._loop, None)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(conf.RECHECK_SECONDS)
            try:
                await self._ask()
            except Exception as error:  # the database is away: nothing has been taken from anybody
                self._log.failed("recheck", "Asking whether sockets may stay fails (%s)", type(error).__name__)
            else:
                self._log.works("recheck")

    async def _ask(self) -> None:
        for socket in list(self._sockets):
            if conf.MAX_AGE_SECONDS is not None and self._loop.time() - socket.opened_at > conf.MAX_AGE_SECONDS:
                socket.end(EXPIRED)
        alike: dict[object, list[Guarded]] = defaultdict(list)
        for socket in self._sockets:
            alike[socket.credentials.key, socket.trace_id].append(socket)
        groups = iter(alike.values())
        while chunk := list(islice(groups, CHUNK)):
            await self._ask_some(chunk)

    async def _ask_some(self, groups: list[list[Guarded]]) -> None:
        """Ask one of each group of sockets, for which the answer is the same."""
        asked = [(group[0].credentials, group[0].trace_id) for group in groups]
        endings = await asyncio.to_thread(with_fresh_connection, judge, asked)
        for group, (credentials, _), ending in zip(groups, asked, endings, strict=True):
            for socket in group:
                if ending is not None and socket.credentials.key == credentials.key:  # it was not renewed meanwhile
                    socket.end(ending)


_guards: dict[asyncio.AbstractEventLoop, Guard] = {}
# A forked child has its parent's sockets as little as its loops.
os.register_at_fork(after_in_child=_guards.clear)


def current_guard() -> Guard:
    """The guard of the running loop; made when there is none."""
    loop = asyncio.get_running_loop()
    for closed in [other for other in _guards if other.is_closed()]:
        del _guards[closed]
    return _guards.setdefault(loop, Guard(loop))
