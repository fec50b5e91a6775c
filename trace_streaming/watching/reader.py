"""How a hub reads the log: in its own few threads, never in the one that all synchronous code shares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from django.db import Error as DatabaseError

from trace_streaming.storage import store
from trace_streaming.storage.threads import DatabaseThreads
from trace_streaming.telemetry.logs import BurstLog
from trace_streaming.wire.protocol import EVERYTHING

from .contracts import Page, Reader

logger = logging.getLogger(__name__)

READ_THREADS: Final = 4
RETRY_SECONDS: Final = 1.0


class Place(NamedTuple):
    """Where a page is to begin."""

    trace_id: str
    trace_pk: int
    after: int
    """The sequence before it."""
    head: int
    """Up to where the log goes."""
    expected: int
    """So many events are expected to fill a page."""


class LogReader:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads = DatabaseThreads(loop, READ_THREADS, "trace-reader")
        self._log = BurstLog(logger)
        self._asked: set[str] = set()
        """Traces whose heads the next query is for."""
        self._answer: asyncio.Future[Mapping[str, store.Head]] | None = None
        """To the next query."""
        self._asking: asyncio.Task[None] | None = None

    async def page(self, place: Place, reader: Reader) -> Page:
        """A page of the log; waits while the database is away."""
        while True:
            try:
                page = await self._threads.run(_read, place, reader)
            except DatabaseError as error:
                name = type(error).__name__
                self._log.failed("page", "Reading traces fails (%s); tried again until it works", name)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._log.works("page")
                return page

    async def heads(self, trace_ids: Collection[str]) -> Mapping[str, store.Head]:
        """Where logs end, of these traces and maybe of others; raises what the database raises.

        The query begins after this is called. Those who ask while it waits for the one before get it together: after a
        restart all sockets come at once.
        """
        self._asked.update(trace_ids)
        if self._answer is None:
            self._answer = self._loop.create_future()
        answer = self._answer
        if self._asking is None:
            self._asking = self._loop.create_task(self._ask())
        return await asyncio.shield(answer)

    async def _ask(self) -> None:
        """Until nobody waits any more."""
        try:
            while (answer := self._answer) is not None:
                asked, self._asked, self._answer = self._asked, set(), None
                try:
                    answer.set_result(await self._threads.run(store.read_heads, asked))
                except Exception as error:
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may have gone
                except asyncio.CancelledError:
                    answer.cancel()
                    raise
        finally:
            self._asking = None

    def close(self) -> None:
        """Let the threads go, without waiting for them."""
        self._threads.close()
        if self._asking is not None:
            self._asking.cancel()


def _read(place: Place, reader: Reader) -> Page:
    if reader.filter == EVERYTHING:
        joined = store.read_joined(place.trace_pk, place.after, place.expected)
        if joined is not None:
            return reader.joined_page(*joined)
    return reader.page(place.trace_id, place.after, place.head, store.read_page(place.trace_pk, place.after))
