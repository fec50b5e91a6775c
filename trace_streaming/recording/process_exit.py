"""How a process may end without losing what it emitted a moment ago: each end that still lets Python speak."""

from __future__ import annotations

import atexit
import multiprocessing.util
import os
import signal
import sys
import threading
from types import FrameType
from typing import Final, Protocol

HOLD_SECONDS: Final = 20.0
"""Longer than closing takes; reached where the signal came while the main thread held a lock that closing needs."""
LOOKS: Final = 50
LOOK_SECONDS: Final = 0.02
"""So often, and with so much between, the main thread is given time to come out of code that may hold such a lock."""
_MAY_HOLD_LOCKS: Final = ("trace_streaming.recording.", "trace_streaming.remote.")


class Recording(Protocol):
    """What is called when a process ends or forks."""

    def close(self) -> None:
        """Store what waits, and return soon."""

    def before_fork(self) -> None:
        """Begin no transaction until ``after_fork``."""

    def after_fork(self) -> None:
        """Go on, in the parent."""

    def forget(self) -> None:
        """In the child: forget what is the parent's to store."""


_installed: Final[list[Recording]] = []


def install(recorder: Recording) -> None:
    """Have what waits be stored when this process, or one that it forks, ends by itself."""
    _installed.append(recorder)
    atexit.register(recorder.close)
    os.register_at_fork(
        before=recorder.before_fork, after_in_parent=recorder.after_fork, after_in_child=recorder.forget
    )
    multiprocessing.util.register_after_fork(recorder, _after_multiprocessing_fork)
    if multiprocessing.parent_process() is not None:  # the app is loaded by the child itself
        _after_multiprocessing_fork(recorder)


def _after_multiprocessing_fork(recorder: Recording) -> None:
    # Such a child ends with os._exit, without atexit, but calls its own finalizers.
    multiprocessing.util.Finalize(None, recorder.close, exitpriority=100)
    # Celery's, which come here too, do not: their pool ends them with os._exit a second after this signal.
    if (celery := sys.modules.get("celery.signals")) is not None:
        celery.worker_process_shutdown.connect(lambda **_: recorder.close(), weak=False)


def outlive_sigterm(recorder: Recording) -> None:
    """Have what waits be stored before SIGTERM ends the process, where nobody else handles it.

    Servers handle it themselves, and end in order. A script would be gone at once. Only the main thread can set this.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda _, frame: _end(recorder, frame))


def _end(recorder: Recording, frame: FrameType | None, looks: int = LOOKS) -> None:
    """Die of the signal, as before, a moment later; a second one is not waited for."""
    if looks and _may_hold_locks(frame):
        signal.signal(signal.SIGTERM, lambda _, frame: _end(recorder, frame, looks - 1))
        again = threading.Timer(LOOK_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
        again.daemon = True
        again.start()
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def close_and_die() -> None:
        for each in {id(each): each for each in (recorder, *_installed)}.values():
            each.close()
        os.kill(os.getpid(), signal.SIGTERM)

    # Not here: the signal may have come while this thread holds another lock that closing needs.
    closer = threading.Thread(target=close_and_die, name="trace-sigterm", daemon=True)
    closer.start()
    closer.join(HOLD_SECONDS)  # what this thread emits meanwhile would be lost


def _may_hold_locks(frame: FrameType | None) -> bool:
    """Whether a thread is in the middle of recording, sending or closing."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_MAY_HOLD_LOCKS):
            return True
        frame = frame.f_back
    return False
