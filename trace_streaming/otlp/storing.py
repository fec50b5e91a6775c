"""Events of spans on their way to the store: a piece at a time, so that what is emitted beside them waits less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Final

from trace_streaming.access.views import StoreAwayError
from trace_streaming.api import ingest
from trace_streaming.conf import conf
from trace_streaming.events import TraceEvent
from trace_streaming.recording.recorder import SYNC_SECONDS, recorder
from trace_streaming.storage.pieces import batched

from .requests import Refusals

PIECE: Final = 250
"""Events that are stored at a time."""
_turn = Lock()


@contextmanager
def own_turn() -> Iterator[None]:
    """One of the process's requests at a time: several would have who delivers events wait for the interpreter."""
    if not _turn.acquire(timeout=SYNC_SECONDS):
        raise StoreAwayError
    try:
        yield
    finally:
        _turn.release()


def store(events: Sequence[TraceEvent], refused: Refusals) -> None:
    """Emit them, and wait until they are stored: a piece at a time, and one of the process's requests at a time.

    What is emitted beside them is stored with the next piece, and does not wait for all of them.
    """
    for piece in batched(events, PIECE):
        with own_turn():
            _store_piece(piece, refused)


def _store_piece(events: Sequence[TraceEvent], refused: Refusals) -> None:
    shed, full = recorder.shed, 0
    with recorder.refusals() as lost:
        for event in events:
            if not ingest.announced(event):
                full += 1
                refused.add(ingest.FULL)
        is_flushed = conf.RECORDER == "inline" or recorder.flush(SYNC_SECONDS)
    mine = set(map(id, events))
    for record in lost:
        if id(record) in mine:
            refused.add(ingest.REFUSED)
    if not is_flushed or recorder.shed != shed + full:
        raise StoreAwayError
