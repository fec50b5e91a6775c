"""Events of spans on their way to the store: a piece at a time, beside what is emitted meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from trace_streaming.access.views import StoreAwayError
from trace_streaming.api import ingest
from trace_streaming.conventions.telling import span_id_of
from trace_streaming.events import TraceEvent
from trace_streaming.recording.recorder import SYNC_SECONDS, recorder
from trace_streaming.storage.pieces import batched

from .requests import Refusals
from .turns import give_way, own_turn

PIECE: Final = 100
"""Events in one transaction: making its rows holds up who delivers events, and the traces are locked meanwhile."""


def span_of(event: TraceEvent) -> tuple[str, str]:
    """Trace and id of the span that an event tells of."""
    return event.trace_id, span_id_of(event.event_id or "")


def store(
    events: Sequence[TraceEvent], refused: Refusals, begins: Mapping[str, Callable[[], object]] | None = None
) -> None:
    """Emit and store them: a piece at a time, so that others have their turn meanwhile.

    :param begins: what is to be said first of a trace, by its id; in the order of the events
    """
    begins = dict(begins or {})
    for piece in batched(events, PIECE):
        _store_piece(piece, refused, begins)


def _store_piece(events: Sequence[TraceEvent], refused: Refusals, begins: dict[str, Callable[[], object]]) -> None:
    shed, full = recorder.shed, 0

    @own_turn()
    def emit() -> None:
        nonlocal full
        for event in events:
            if event.trace_id in begins:
                for trace_id in list(islice(begins, PIECE)):  # together: they cost little more than one
                    begins.pop(trace_id)()
            if not ingest.announced(event):
                full += 1
                refused.add(ingest.FULL, span_of(event))
            give_way()

    with recorder.refusals() as lost:
        is_stored = recorder.at_once(emit, SYNC_SECONDS)
    mine = set(map(id, events))
    for record in lost:
        if isinstance(record, TraceEvent) and id(record) in mine:
            refused.add(ingest.REFUSED, span_of(record))
    if not is_stored or recorder.shed != shed + full:
        raise StoreAwayError
