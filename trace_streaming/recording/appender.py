"""The thread that stores, beside the writer, what somebody waits for who can send it again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Final

from django.db import connections

from trace_streaming.events import TraceRecord
from trace_streaming.storage import store
from trace_streaming.telemetry import metrics
from trace_streaming.watching.publisher import Publisher

from .inline import announce

IDLE_SECONDS: Final = 2.0
"""After this long without anything to store, the connection is given back."""

_Asked = tuple[Sequence[TraceRecord], threading.Lock, Future[None]]


class Appender(threading.Thread):
    """Appends what it is asked to, in one transaction each, and tells the watchers."""

    def __init__(self) -> None:
        super().__init__(name="trace-appender", daemon=True)
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()

    def append(self, records: Sequence[TraceRecord], lock: threading.Lock) -> Future[None]:
        """Done when they are stored; has what :func:`.store.append` raises.

        :param lock: that of the writer, held where the database lets one write at a time
        """
        stored = Future[None]()
        self._asked.put((records, lock, stored))
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
                records, lock, stored = asked
                if stored.set_running_or_notify_cancel():  # whoever waited may have given up
                    try:
                        self._append(records, lock, publisher)
                    except Exception as error:
                        connections.close_all()
                        stored.set_exception(error)
                    else:
                        stored.set_result(None)
        finally:
            publisher.close()
            connections.close_all()

    def _next(self) -> _Asked | None:
        try:
            return self._asked.get(timeout=IDLE_SECONDS)
        except Empty:
            connections.close_all()
            return self._asked.get()

    @staticmethod
    def _append(records: Sequence[TraceRecord], lock: threading.Lock, publisher: Publisher) -> None:
        alias, began = store.database(), perf_counter()
        # SQLite has one that finds it locked look again only after a while.
        with lock if connections[alias].vendor == "sqlite" else nullcontext():
            batches = store.append(records, None, (), alias)
        metrics.commit_seconds.observe(perf_counter() - began)
        announce(batches, publisher)
