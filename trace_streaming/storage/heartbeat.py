"""A thread that says something to the database every few seconds, for as long as the process lives."""

from __future__ import annotations

import logging
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Final
from weakref import WeakSet

from trace_streaming.starting import start
from trace_streaming.telemetry.logs import BurstLog

from .store import with_fresh_connection

END_SECONDS: Final = 2.0
"""How long the end of a process waits for its last word."""
FORK_SECONDS: Final = 1.0
_all: WeakSet[Heartbeat] = WeakSet()


class Heartbeat(ABC):
    """Beats until it is closed; after a fork, not in the child, until it is started there."""

    _thread_name: ClassVar[str]
    _fails: ClassVar[str]
    """What is logged, with the error's name, once per burst."""

    def __init__(self) -> None:
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Begin as another process, in a forked child."""
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._end = threading.Event()
        self._working = threading.Lock()
        """Held while the database is spoken to."""
        self._forking = threading.local()
        self._log = BurstLog(logging.getLogger(type(self).__module__))

    def start(self) -> None:
        """Start the thread; where it runs, this costs nothing."""
        if self._thread is None:
            with self._start_lock, suppress(RuntimeError):  # the process may have no more threads, or be ending
                if self._thread is None:
                    self._end = threading.Event()
                    thread = threading.Thread(target=self._run, args=(self._end,), name=self._thread_name, daemon=True)
                    start(thread)
                    self._thread = thread

    def close(self) -> None:
        """At the end of the process: say so, if the database answers soon. What starts it again is another start."""
        with self._start_lock:
            if (thread := self._thread) is not None:
                self._end.set()
                thread.join(END_SECONDS)
                self._thread = None

    @abstractmethod
    def _seconds(self) -> float:
        """Between two beats."""

    @abstractmethod
    def _beat(self) -> None:
        """Say that the process lives."""

    @abstractmethod
    def _leave(self) -> None:
        """Say that it does no more."""

    def _run(self, end: threading.Event) -> None:
        while True:
            self._try(self._beat)
            if end.wait(self._seconds()):
                break
        self._try(self._leave)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            with self._working:
                with_fresh_connection(work)
        except Exception as error:
            self._log.failed("beat", self._fails, type(error).__name__)
        else:
            self._log.works("beat")

    def _before_fork(self) -> None:
        """Wait for the transaction that runs: SQLite in the child would take its lock for one of its own, for ever."""
        self._forking.held = self._working if self._working.acquire(timeout=FORK_SECONDS) else None

    def _after_fork(self) -> None:
        if (held := self._forking.held) is not None:
            held.release()


def _each(method: Callable[[Heartbeat], None]) -> Callable[[], None]:
    def call() -> None:
        for heartbeat in list(_all):
            method(heartbeat)

    return call


os.register_at_fork(
    before=_each(lambda it: it._before_fork()),
    after_in_parent=_each(lambda it: it._after_fork()),
    after_in_child=_each(lambda it: it.reset()),
)
