"""Threads are started here, so that nobody who emits waits for one that never runs."""

from __future__ import annotations

import sys
import threading


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
