"""Work with the database that a thread does when somebody asks for it, and that ends with it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

from django.db import connections

from trace_streaming.starting import start
from trace_streaming.telemetry.logs import BurstLog

from .store import with_fresh_connection

logger = logging.getLogger(__name__)


class Errand:
    """One kind of such work in this process.

    :param work: does all that is due
    :param name: of the thread
    :param fails: what is logged where it fails, with the kind of the error
    """

    def __init__(self, work: Callable[[], object], name: str, fails: str) -> None:
        self._work = work
        self._name = name
        self._fails = fails
        self._log = BurstLog(logger, logging.ERROR)
        self.reset()
        _errands.add(self)

    def reset(self) -> None:
        """Begin as another process, in a forked child."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_asked = False

    @property
    def is_running(self) -> bool:
        """Whether its thread is there."""
        return self._thread is not None

    def look(self) -> None:
        """Do what is due, soon; returns at once."""
        with self._lock, suppress(RuntimeError):  # the process may have no more threads: who asks next tries again
            self._is_asked = True
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                start(thread)
                self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._is_asked:
                    self._thread = None
                    return
                self._is_asked = False
            try:
                with_fresh_connection(self._work)
            except BaseException as error:  # the thread goes on, whatever somebody's code does
                self._log.failed(self._name, self._fails, type(error).__name__)
            else:
                self._log.works(self._name)
            finally:
                connections.close_all()


_errands: WeakSet[Errand] = WeakSet()


def _reset_all() -> None:
    for errand in list(_errands):
        errand.reset()


os.register_at_fork(after_in_child=_reset_all)
