"""Whoever lost the right to watch is cut off within seconds: the open sockets of a loop are asked again and again.

A token, a user and a permission cost about a millisecond to ask for, a tenth of it where many can be asked together.
Those of a thousand users could keep a third of a core busy, and the events waiting; so no more than a tenth of the time
is spent on it, a few at a time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import thread_time
from typing import Final, NamedTuple, Protocol

from trace_streaming.conf import conf
from trace_streaming.storage.store import with_fresh_connection
from trace_streaming.telemetry.logs import BurstLog
from trace_streaming.wire.protocol import Ending

from .admission import EXPIRED, judge, judged_alike
from .authentication import Credentials

logger = logging.getLogger(__name__)

CHUNK: Final = 50
"""So many are asked at a time."""
REST: Final = 9
"""Times as long as it took to ask some, nobody is asked."""


class _Answers(NamedTuple):
    endings: list[Ending | None]
    seconds: float
    """That the processor has worked for them."""


class Revocable(Protocol):
    """An open socket."""

    credentials: Credentials
    trace_id: str
    opened_at: float
    """When it last showed credentials, by the loop's clock."""

    def end(self, ending: Ending) -> None:
        """Close it soon."""


class _Shown(NamedTuple):
    socket: Revocable
    credentials: Credentials
    """At this moment; it may renew them."""


class RevocationChecker:
    """Of one event loop, as long as sockets are open there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sockets: set[Revocable] = set()
        self._task: asyncio.Task[None] | None = None
        # Its own: in the loop's threads handshakes are asked, and a flood of them would have to be waited for.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trace-revocation")
        self._log = BurstLog(logger)

    def add(self, socket: Revocable) -> None:
        """Ask it from now on."""
        self._sockets.add(socket)
        if self._task is None:
            self._task = self._loop.create_task(self._run())

    def discard(self, socket: Revocable) -> None:
        """It has ended; nothing is awaited."""
        self._sockets.discard(socket)
        if not self._sockets:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            self.forget()
            _checkers.pop(self._loop, None)

    def forget(self) -> None:
        """Let the thread go, without waiting for it."""
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        began = self._loop.time()
        while True:
            await asyncio.sleep(max(began + conf.RECHECK_SECONDS - self._loop.time(), 0))
            began = self._loop.time()
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
        answered_by, alike = judged_alike(), defaultdict(list)
        for socket in self._sockets:
            alike[answered_by(socket.credentials, socket.trace_id)].append(_Shown(socket, socket.credentials))
        groups = list(alike.values())
        for start in range(0, len(groups), CHUNK):
            seconds = await self._ask_some(groups[start : start + CHUNK])
            await asyncio.sleep(REST * seconds)

    async def _ask_some(self, groups: list[list[_Shown]]) -> float:
        """Ask one of each group of sockets, for which the answer is the same; return the seconds that it took."""
        asked = [(group[0].credentials, group[0].socket.trace_id) for group in groups]
        endings, seconds = await self._loop.run_in_executor(self._thread, with_fresh_connection, _ask_all, asked)
        for group, ending in zip(groups, endings, strict=True):
            for socket, credentials in group:
                if ending is not None and socket.credentials.key == credentials.key:  # it was not renewed meanwhile
                    socket.end(ending)
        return seconds


def _ask_all(asked: Sequence[tuple[Credentials, str]]) -> _Answers:
    began = thread_time()
    return _Answers(judge(asked), thread_time() - began)


_checkers: dict[asyncio.AbstractEventLoop, RevocationChecker] = {}
# A forked child has its parent's sockets as little as its loops.
os.register_at_fork(after_in_child=_checkers.clear)


def revocation_checker() -> RevocationChecker:
    """The checker of the running loop; made when there is none."""
    loop = asyncio.get_running_loop()
    if loop not in _checkers:
        for closed in [other for other in _checkers if other.is_closed()]:
            _checkers.pop(closed).forget()
        _checkers[loop] = RevocationChecker(loop)
    return _checkers[loop]
