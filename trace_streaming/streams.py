"""Functions for code that has event dictionaries instead of an emitter, and asks who is watching."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from .emitter import announce, make_event
from .events import check_trace_id, parse_timestamp
from .hub import connections_by_trace
from .recorder import recorder
from .redaction import redact_text

logger = logging.getLogger(__name__)

RECORD_TIMEOUT_SECONDS = 5.0


async def emit_trace_event(trace_id: str, event: Mapping[str, Any]) -> bool:
    """Emit one event given as a dictionary: ``event``, and optionally ``details``, ``status``, ``timestamp``.

    An emitter's events reach the watchers by themselves; this is for those that come from elsewhere.

    :param event: ``timestamp`` is ISO 8601; UTC when it names no zone; absent is now
    :returns: True when it was recorded and a connection of this process watches the trace. A bad event or trace id
        is logged and gives False.
    """
    lost = recorder.lost
    if not _emit(trace_id, event):
        return False
    return await _recorded() and recorder.lost == lost and is_trace_streaming(trace_id)


async def broadcast_trace_events(trace_id: str, events: Iterable[Mapping[str, Any]]) -> None:
    """Emit several events given as dictionaries, in their order; a bad one is logged, the others go on."""
    for event in events:
        _emit(trace_id, event)
    await _recorded()


def is_trace_streaming(trace_id: str) -> bool:
    """Whether a connection of this process watches the trace."""
    return trace_id in connections_by_trace()


def get_active_trace_streams() -> list[str]:
    """The traces that connections of this process watch."""
    return list(connections_by_trace())


def _emit(trace_id: str, event: Mapping[str, Any]) -> bool:
    try:
        timestamp = event.get("timestamp")
        emitted, _ = make_event(
            check_trace_id(trace_id),
            event["event"],
            event.get("details"),
            event.get("status", "pending"),
            timestamp=None if timestamp is None else parse_timestamp(timestamp),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        # The error shows what was given as a name, a status or a time: that may be anything, too.
        reason = redact_text(str(error)) if isinstance(error, ValueError) else "it is no event"
        logger.warning("Event not emitted: %s", reason)
        return False
    announce(emitted)
    return True


async def _recorded() -> bool:
    try:
        async with asyncio.timeout(RECORD_TIMEOUT_SECONDS):
            await asyncio.wrap_future(recorder.barrier())
    except TimeoutError:
        return False
    return True
