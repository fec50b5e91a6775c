"""One of a process's requests is worked on at a time, while others are stored, and gives way to who delivers events.

Several would take turns with the interpreter: an event would wait for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import perf_counter, sleep
from typing import Final

from trace_streaming.access.views import StoreAwayError
from trace_streaming.recording.recorder import SYNC_SECONDS

HOLD_SECONDS: Final = 0.0005
"""How long the interpreter is held at a time.

The loop gives it away with every send, and whoever has it next may keep it for five milliseconds: an event to twenty
sockets then takes a hundred.
"""
_turn = Lock()
_given_way_at = 0.0


@contextmanager
def own_turn() -> Iterator[None]:
    """Wait until no other request has its turn; raise :exc:`.StoreAwayError` where that takes too long."""
    if not _turn.acquire(timeout=SYNC_SECONDS):
        raise StoreAwayError
    try:
        yield
    finally:
        _turn.release()


def give_way() -> None:
    """Let others have the interpreter, unless that was done a moment ago. Called once for each span."""
    global _given_way_at  # noqa: PLW0603  of the interpreter, not of a request
    if perf_counter() - _given_way_at > HOLD_SECONDS:
        sleep(0)
        _given_way_at = perf_counter()
