"""Events as this project's settings make them: with its names, and with its redactor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from trace_streaming.conf import conf
from trace_streaming.events import TraceEvent, check_timestamp, check_trace_id, parse_timestamp
from trace_streaming.events.freezing import JSON
from trace_streaming.events.interruptions import is_for_the_process
from trace_streaming.events.texts import cut
from trace_streaming.redaction import Redactor
from trace_streaming.redaction.known import digests

from . import event_factory


def make_event(
    trace_id: str,
    event: str,
    details: object,
    status: str,
    *,
    timestamp: datetime | None = None,
    event_id: str | None = None,
) -> tuple[TraceEvent, dict[str, JSON]]:
    """:func:`.event_factory.make_event`, with the names and the redactor of this project's settings."""
    return event_factory.make_event(
        trace_id,
        event,
        details,
        status,
        extra_events=conf.EXTRA_EVENTS,
        redactor=redactor(),
        timestamp=timestamp,
        event_id=event_id,
        digest=_digest,
    )


def event_from(trace_id: str, event: object) -> TraceEvent:
    """Validate, freeze and redact one; other keys than the five are ignored, so what the wire carries may come back.

    :param event: a mapping with ``event``, and optionally ``details``, ``status``, ``timestamp`` (ISO 8601, from
        1970 to 9998; UTC when it names no zone; absent is now) and ``event_id`` (with one, a repeat is
        not stored again)
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
        timestamp=told_time(event.get("timestamp")),
        event_id=event.get("event_id"),
    )[0]


def told_time(text: Any) -> datetime | None:
    """A time that was sent, as ISO 8601 from 1970 to 9998; None is none. Raises ``ValueError`` for what is no such."""
    if text is None:
        return None
    try:
        timestamp = parse_timestamp(text)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"Bad timestamp: {cut(repr(text), 60)} is not ISO 8601") from None
    return check_timestamp(timestamp)


def redacted(details: object, trace_id: str) -> dict[str, JSON]:
    """Details as everybody but the agent of this trace sees them."""
    return event_factory.safe_details(details, redactor(), trace_id)[0]


def redactor() -> Redactor:
    """That of this project's settings; where it cannot be imported, one that says so when it is called."""
    return _redactor(conf.REDACTOR)


def _digest(value: str) -> str:
    return digests.digest(value, digests.key_of(settings.SECRET_KEY))


def project_redactor() -> Redactor:
    """``TRACE_STREAMING_REDACTOR``; one that cannot be imported raises when it is called."""
    return _redactor(conf.REDACTOR)


@lru_cache(maxsize=8)
def _redactor(path: str) -> Redactor:
    try:
        return import_string(path)  # type: ignore[no-any-return]
    except Exception as error:
        if is_for_the_process(error):
            raise
        return partial(_fail, error)


def _fail(error: Exception, details: dict[str, JSON]) -> dict[str, JSON]:
    raise error
