"""The thread that stores, beside the writer, what somebody waits for who can send it again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Final, NamedTuple

from django.db import connections

from trace_streaming.events import TraceRecord
from trace_streaming.storage import store
from trace_streaming.telemetry import metrics
from trace_streaming.watching.publisher import Publisher

from .destinations import is_there
from .inline import announce
from .record_queue import Destination

IDLE_SECONDS: Final = 2.0
"""After this long without anything to store, the connection is given back."""


class _Asked(NamedTuple):
    records: Sequence[TraceRecord]
    destination: Destination
    lock: threading.Lock
    stored: Future[None]


class Appender(threading.Thread):
    """Appends what it is asked to, in one transaction each, and tells the watchers."""

    def __init__(self) -> None:
        super().__init__(name="trace-appender", daemon=True)
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._destination: Destination | None = None
        """The database that this thread is connected to."""

    def append(self, records: Sequence[TraceRecord], destination: Destination, lock: threading.Lock) -> Future[None]:
        """Done when they are stored; has what :func:`.store.append` raises.

        :param lock: that of the writer, held where the database lets one write at a time
        """
        stored = Future[None]()
        self._asked.put(_Asked(records, destination, lock, stored))
        return stored

    def end(self, timeout: float) -> None:
        """Stop behind what it is asked; a database that hangs is not waited for."""
        self._asked.put(None)
        self.join(timeout)

    def run(self) -> None:
        """The thread itself."""
        publisher = Publisher()
        try:
            while (asked := self._next()) is not None:
                if asked.stored.set_running_or_notify_cancel():  # whoever waited may have given up
                    try:
                        self._append(asked, publisher)
                    except Exception as error:
                        connections.close_all()
                        asked.stored.set_exception(error)
                    else:
                        asked.stored.set_result(None)
        finally:
            publisher.close()
            connections.close_all()

    def _next(self) -> _Asked | None:
        try:
            return self._asked.get(timeout=IDLE_SECONDS)
        except Empty:
            connections.close_all()
            return self._asked.get()

    def _append(self, asked: _Asked, publisher: Publisher) -> None:
        if asked.destination != self._destination:
            connections.close_all()  # a connection stays with the database that it was made for
            self._destination = asked.destination
        alias, began = asked.destination.alias, perf_counter()
        connections[alias].ensure_connection()
        if not is_there(asked.destination):  # asked behind the connecting: until then, the name may have changed
            raise LookupError("The database is gone")
        # SQLite has one that finds it locked look again only after a while.
        with asked.lock if connections[alias].vendor == "sqlite" else nullcontext():
            batches = store.append(asked.records, None, (), alias)
        metrics.commit_seconds.observe(perf_counter() - began)
        announce(batches, publisher)
