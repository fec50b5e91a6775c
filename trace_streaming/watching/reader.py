"""How a hub reads the log: in its own few threads, never in the one that all synchronous code shares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from django.db import Error as DatabaseError

from trace_streaming.events import EncodedEvent
from trace_streaming.storage import store
from trace_streaming.telemetry.logs import BurstLog

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

READ_THREADS: Final = 4
RETRY_SECONDS: Final = 1.0


class LogReader:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="trace-reader")
        self._log = BurstLog(logger)

    async def page(self, trace_id: str, trace_pk: int, after: int) -> Sequence[EncodedEvent]:
        """A page of the log; waits while the database is away."""
        while True:
            try:
                page = await self._in_thread(store.read_page, trace_id, trace_pk, after)
            except DatabaseError as error:
                name = type(error).__name__
                self._log.failed("page", "Reading traces fails (%s); tried again until it works", name)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._log.works("page")
                return page

    async def heads(self, trace_ids: Sequence[str]) -> Mapping[str, store.Head]:
        """Where logs end; raises what the database raises."""
        return await self._in_thread(store.read_heads, trace_ids)

    def close(self) -> None:
        """Let the threads go, without waiting for them."""
        self._threads.shutdown(wait=False)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        work = partial(store.with_fresh_connection, function, *args, **kwargs)
        return await self._loop.run_in_executor(self._threads, work)
