"""Functions for code that has event dictionaries instead of an emitter, and asks who is watching."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from trace_streaming.emitting.emitter import announce
from trace_streaming.emitting.project_events import event_from
from trace_streaming.redaction import redact_text
from trace_streaming.telemetry.logs import on_one_line
from trace_streaming.watching.hubs import connections_by_trace

from .recorder import recorder

logger = logging.getLogger(__name__)

RECORD_TIMEOUT_SECONDS = 5.0


async def emit_trace_event(trace_id: str, event: Mapping[str, Any]) -> bool:
    """Emit one event given as a dictionary: ``event``, and what else :func:`.event_from` knows.

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
        announce(event_from(trace_id, event))
    except ValueError as error:
        # The error shows what was given as a name, a status or a time: that may be anything.
        # Escaped behind that: a rule that looks for a blank finds none that is escaped.
        logger.warning(
            "Event not emitted: %s",
            on_one_line(redact_text(str(error))),
            extra={"trace_id": on_one_line(redact_text(str(trace_id)[:128]))},
        )
        return False
    return True


async def _recorded() -> bool:
    try:
        async with asyncio.timeout(RECORD_TIMEOUT_SECONDS):
            await asyncio.wrap_future(recorder.barrier())
    except TimeoutError:
        return False
    return True
