"""Where emitters of this process learn of requests to stop: one thread asks the database for all of them."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from typing import Any, Final

from django.db import connections

from trace_streaming.emitting.stopping import Listeners, Stop, StoppableEmitter
from trace_streaming.models import StopRequest
from trace_streaming.signals import stop_looked_for, stop_requested
from trace_streaming.starting import Bell, start
from trace_streaming.storage.store import database, with_fresh_connection
from trace_streaming.telemetry.logs import BurstLog

from .requests import stop_requests

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""Between looks whether another process has taken a request; those of this one are told at once."""
CHUNK_TRACES: Final = 500
"""SQLite may allow 999 parameters."""


class Ear:
    """Of one process; its thread runs while an emitter listens. The module has one, ``ear``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin as another process, in a forked child."""
        self.listeners = Listeners()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell = Bell()
        self._log = BurstLog(logger)

    def listen(self, emitter: StoppableEmitter) -> None:
        """Tell it, from now on."""
        self.listeners.add(emitter)
        if self._thread is None:
            with self._lock, suppress(RuntimeError):  # the process may have no more threads: the next look tries again
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="trace-stops", daemon=True)
                    start(thread)
                    self._thread = thread

    def look_now(self) -> None:
        """Something was asked in this process."""
        self._bell.ring()

    def _run(self) -> None:
        while True:
            try:
                with_fresh_connection(self._look)
            except Exception as error:
                self._log.failed("look", "Looking for requests to stop fails (%s); tried again", type(error).__name__)
            else:
                self._log.works("look")
            finally:
                connections[database()].close()
            with self._lock:
                if not self.listeners.trace_ids():
                    self._thread = None
                    return
            self._bell.wait(LOOK_SECONDS)

    def _look(self) -> None:
        trace_ids = self.listeners.trace_ids()
        for first in range(0, len(trace_ids), CHUNK_TRACES):
            asked = stop_requests().filter(trace_id__in=trace_ids[first : first + CHUNK_TRACES], is_standing=True)
            for stop in asked:
                self.listeners.tell(stop.trace_id, as_told(stop))


def as_told(stop: StopRequest) -> Stop:
    """As emitters know it."""
    return Stop(stop.requested_by_name, stop.comment)


ear = Ear()
os.register_at_fork(after_in_child=ear.reset)


def _listen(sender: object, emitter: StoppableEmitter, **kwargs: Any) -> None:
    ear.listen(emitter)


def _look_now(sender: object, stop: StopRequest, **kwargs: Any) -> None:
    ear.listeners.tell(stop.trace_id, as_told(stop))


def connect() -> None:
    """Have this process's emitters told."""
    stop_looked_for.connect(_listen, dispatch_uid="trace_streaming.stopping")
    stop_requested.connect(_look_now, dispatch_uid="trace_streaming.stopping")
