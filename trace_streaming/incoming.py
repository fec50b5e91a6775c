"""Events that come from elsewhere as dictionaries, and become what an emitter would have made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .emitter import make_event
from .events import TraceEvent, check_trace_id, parse_timestamp


def event_from(trace_id: str, event: object) -> TraceEvent:
    """Validate, freeze and redact one; other keys than the five are ignored, so what the wire carries may come back.

    :param event: a mapping with ``event``, and optionally ``details``, ``status``, ``timestamp`` (ISO 8601; UTC when it
        names no zone; absent is now) and ``event_id`` (with one, a repeat is not stored again)
    :raises ValueError: with a text for whoever has sent it; its kinds are those of :func:`.make_event`
    """
    if not isinstance(event, Mapping):
        raise ValueError('An event is an object with "event", "details" and "status"')  # noqa: TRY004  documented
    if "event" not in event:
        raise ValueError("event is missing")
    return make_event(
        check_trace_id(trace_id),
        event["event"],
        event.get("details"),
        event.get("status", "pending"),
        timestamp=_timestamp(event.get("timestamp")),
        event_id=event.get("event_id"),
    )[0]


def _timestamp(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_timestamp(text).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"Bad timestamp: {text!r:.60} is not ISO 8601") from None
