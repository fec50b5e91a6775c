"""The one encoding of an event: for the database's readers, and for the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from .records import TraceEvent

MAX_TOOL_NAME_LENGTH: Final = 200


class EncodedEvent(NamedTuple):
    """A numbered event as every watcher gets it, with what a filter needs to know of it."""

    sequence: int
    event: str
    status: str
    text: str
    """The JSON object of the wire protocol."""


def lifted_tool_name(details: Mapping[str, Any]) -> str | None:
    """``tool`` or ``tool_name`` of frozen details, at most ``MAX_TOOL_NAME_LENGTH`` characters."""
    name = details.get("tool") or details.get("tool_name")
    if not isinstance(name, str) or not name:
        return None
    # PostgreSQL's text cannot hold NUL; inside the JSON text of the details it is escaped.
    return name[:MAX_TOOL_NAME_LENGTH].replace("\x00", "\ufffd")


def lifted_duration_ms(details: Mapping[str, Any]) -> float | None:
    """``duration_ms`` of frozen details as a float, in milliseconds, when it is a number."""
    return finite_number(details.get("duration_ms"))


def finite_number(value: object) -> float | None:
    """A number as a float; None for everything else, and for what no float can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def format_timestamp(timestamp: datetime) -> str:
    """ISO 8601 with six digits, of an aware time in UTC."""
    return timestamp.isoformat("T", "microseconds")  # by position: a quarter quicker


def parse_timestamp(text: str) -> datetime:
    """Read ISO 8601; UTC when it names no zone. Raises ``ValueError`` or ``TypeError`` for anything else."""
    timestamp = datetime.fromisoformat(text)
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def emitted_at(event: EncodedEvent) -> float:
    """When it was emitted, in seconds since 1970; read from where :func:`event_text` has put it."""
    start = event.text.index('"timestamp":"') + 13
    return datetime.fromisoformat(event.text[start : start + 32]).timestamp()


def event_text(
    event: str,
    trace_id: str,
    timestamp: str,
    details: str,
    status: str,
    sequence: int,
    tool_name: str | None,
    duration_ms: float | None,
) -> str:
    """An event as every watcher gets it: the only place where one becomes text.

    Names, statuses and trace ids hold no character that JSON escapes, so they are spliced, as the details are.

    :param timestamp: as of :func:`format_timestamp`
    :param details: JSON object text
    """
    tool = "" if tool_name is None else f',"tool_name":{orjson.dumps(tool_name).decode()}'
    duration = "" if duration_ms is None else f',"duration_ms":{duration_ms!r}'
    return (
        f'{{"event":"{event}","trace_id":"{trace_id}","timestamp":"{timestamp}",'
        f'"details":{details},"status":"{status}","sequence":{sequence}{tool}{duration}}}'
    )


def encode_event(event: TraceEvent, sequence: int, timestamp: str | None = None) -> EncodedEvent:
    """Number and encode an event.

    :param timestamp: its own, as of :func:`format_timestamp`, where that is known already
    """
    text = event_text(
        event.event,
        event.trace_id,
        timestamp or format_timestamp(event.timestamp),
        event.details,
        event.status,
        sequence,
        event.tool_name,
        event.duration_ms,
    )
    return EncodedEvent(sequence, event.event, event.status, text)
