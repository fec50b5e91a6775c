"""Threads are started and woken here, so that nobody who emits waits for one that never runs, or for himself."""

from __future__ import annotations

import sys
import threading
from queue import Empty, SimpleQueue


def check_may_start() -> None:
    """Raise :exc:`RuntimeError` while the interpreter is taken down, when a ``__del__`` may still emit.

    Python 3.11 would wait for ever for a thread to begin that is started then.
    """
    if sys.is_finalizing():
        raise RuntimeError("The interpreter is being taken down")


def start(thread: threading.Thread) -> None:
    """Start a thread; :exc:`RuntimeError` where the process may have no more, or as :func:`check_may_start` says."""
    check_may_start()
    thread.start()


class Bell:
    """Wakes the thread that waits for it.

    Not an ``Event``, which has a lock: a finalizer, or a signal's handler, that emits while its own thread holds that
    would wait for ever, and Ctrl-C may leave it locked. What rings here is a single step.
    """

    def __init__(self) -> None:
        self._rung: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake it, or have its next wait be none."""
        if self._rung.empty():
            self._rung.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it rang since the last wait, or does within these seconds; None is without limit."""
        try:
            self._rung.get(timeout=seconds)
        except Empty:
            return False
        return True
