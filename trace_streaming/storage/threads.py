"""Threads that ask the database for an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Condition
from typing import Any, Final, ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")


LINGER_SECONDS: Final = 1.0
"""So long a thread without work waits for more: a replay asks for its next page when this one is sent."""


class DatabaseThreads:
    """Of one event loop. A thread keeps its connection as long as there is work for it, and a little longer.

    To connect takes longer than to read a page, twice with SQLite and ten times with PostgreSQL, and is Django's
    default for each.

    :param count: how many work at the same time
    :param name: what their names begin with
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int, name: str) -> None:
        self._loop = loop
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._waiting: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._working = 0
        """Threads that do something, or wait for something to do."""
        self._lingering = 0
        """Those of them that wait."""
        self._is_closed = False
        self._changed = Condition()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in one of the threads; raises what it raises."""
        answer: asyncio.Future[T] = self._loop.create_future()
        with self._changed:
            self._waiting.append((answer, partial(function, *args, **kwargs)))
            is_enough = len(self._waiting) <= self._lingering or self._working == self._count
            self._working += not is_enough
            self._changed.notify()
        if not is_enough:
            self._pool.submit(self._work)
        return await answer

    def close(self) -> None:
        """Let the threads go, without waiting for them."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False)

    def _work(self) -> None:
        is_fresh = False
        try:
            while (next_one := self._next()) is not None:
                answer, work = next_one
                try:
                    if not is_fresh:
                        close_old_connections()
                    is_fresh = True
                    tell = partial(_tell, answer.set_result, answer, work())
                except BaseException as error:
                    is_fresh = False  # it may be dead
                    tell = partial(_tell, answer.set_exception, answer, error)
                with suppress(RuntimeError):  # the loop was closed
                    self._loop.call_soon_threadsafe(tell)
        finally:
            close_old_connections()

    def _next(self) -> tuple[asyncio.Future[Any], Callable[[], Any]] | None:
        """What is to be done now; None when there is nothing, and then this thread is not counted on any more."""
        with self._changed:
            while True:
                while self._waiting:
                    answer, work = self._waiting.popleft()
                    if not answer.cancelled():
                        return answer, work
                self._lingering += 1
                has_changed = not self._is_closed and self._changed.wait(LINGER_SECONDS)
                self._lingering -= 1
                if not has_changed and not self._waiting:
                    self._working -= 1
                    return None


def _tell(how: Callable[[Any], None], answer: asyncio.Future[Any], what: Any) -> None:
    if not answer.done():  # whoever waited may have gone
        how(what)
