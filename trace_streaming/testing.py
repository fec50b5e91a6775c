"""Helpers for the tests of projects that emit events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from . import recorder
from .events import TraceEvent, format_timestamp
from .signals import event_emitted


@contextmanager
def capture_events() -> Iterator[list[dict[str, Any]]]:
    """Collect what is emitted inside the block, and store none of it: needs no database.

    The list grows as events are emitted; each has ``event``, ``trace_id``, ``timestamp``, ``details``, ``status``.
    To test what is stored, set ``TRACE_STREAMING_RECORDER = "inline"`` instead: then ``emit`` itself stores the
    event, within the test's transaction.
    """
    captured: list[dict[str, Any]] = []

    def capture(sender: object, event: TraceEvent, **kwargs: Any) -> None:
        captured.append(
            {
                "event": event.event,
                "trace_id": event.trace_id,
                "timestamp": format_timestamp(event.timestamp),
                "details": orjson.loads(event.details),
                "status": event.status,
            }
        )

    connected = recorder.disconnect()
    event_emitted.connect(capture, weak=False)
    try:
        yield captured
    finally:
        event_emitted.disconnect(capture)
        if connected:
            recorder.connect()
