"""What an event is: its names, its fields, and its one encoding for the store's readers and the wire."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from .exceptions import (
    InvalidEventIdError,
    InvalidTraceIdError,
    NonCanonicalEventError,
    NonCanonicalStatusError,
)

CANONICAL_EVENTS: Final = (
    "plan_created",
    "route_decision",
    "tool_call_start",
    "tool_call_complete",
    "tool_call_error",
    "budget_warning",
    "budget_exceeded",
    "approval_requested",
    "approval_received",
    "approval_timeout",
)
APPROVAL_EVENTS: Final = frozenset({"approval_requested", "approval_received", "approval_timeout"})
STATUSES: Final = ("pending", "running", "success", "warning", "error")
END_STATES: Final = ("success", "error", "incomplete")

EVENT_NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
TRACE_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._~:@-]{1,128}")
EVENT_ID_PATTERN: Final = re.compile(r"[!-~]{1,64}")
MAX_TOOL_NAME_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class TraceStart:
    """What is known of a trace before its first event; travels ahead of it, through the same queue."""

    trace_id: str
    timestamp: datetime
    """Aware, UTC, microseconds."""
    owner_id: Any = None
    """Primary key of the owning user, or None."""
    metadata: str = "{}"
    """JSON object text, redacted."""


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One emitted event: validated, redacted and frozen, but not yet numbered."""

    event: str
    trace_id: str
    timestamp: datetime
    """Aware, UTC, microseconds."""
    details: str
    """JSON object text, redacted: what is stored and sent, byte for byte."""
    status: str
    tool_name: str | None = None
    duration_ms: float | None = None
    """Milliseconds."""
    event_id: str | None = None
    """The sender's own name for it: of all events of a trace with the same, one is stored."""


@dataclass(frozen=True, slots=True)
class TraceEnd:
    """The end of a trace: it travels behind the trace's last event, through the same queue."""

    trace_id: str
    state: str
    """One of ``END_STATES``."""
    timestamp: datetime
    """Aware, UTC, microseconds."""


@dataclass(frozen=True, slots=True)
class TraceLoss:
    """Events of a trace that were given up before they had a number; what is left of them is their count."""

    trace_id: str
    timestamp: datetime
    """Aware, UTC, microseconds."""
    count: int


@dataclass(frozen=True, slots=True)
class TraceApproval:
    """What an agent asks a human: it travels ahead of its ``approval_requested``, so both are stored at once."""

    trace_id: str
    timestamp: datetime
    """Aware, UTC, microseconds."""
    fields: str
    """JSON object text, redacted: the other fields of :class:`trace_streaming.models.Approval`."""


TraceRecord = TraceStart | TraceApproval | TraceEvent | TraceLoss | TraceEnd


class EncodedEvent(NamedTuple):
    """A numbered event as every watcher gets it, with what a filter needs to know of it."""

    sequence: int
    event: str
    status: str
    text: str
    """The JSON object of the wire protocol."""


@lru_cache(maxsize=8)
def event_names(extra: tuple[str, ...] = ()) -> Mapping[str, str]:
    """The names that may be emitted, each mapped to itself as a plain ``str`` (a ``StrEnum`` member finds its own)."""
    return {name: name for name in (*CANONICAL_EVENTS, *extra)}


_STATUS_NAMES: Final = {name: name for name in STATUSES}


def _shown(value: object, text: Callable[[object], str] = str) -> str:
    """A caller's mistake as text for an error message; its own ``__str__`` may be one, too."""
    try:
        return text(value)
    except Exception:
        return f"[unprintable {type(value).__name__}]"


def check_event_name(event: object, names: Mapping[str, str]) -> str:
    """Return the plain name, or raise :exc:`NonCanonicalEventError`."""
    if isinstance(event, str) and (name := names.get(str.__str__(event))) is not None:
        return name
    raise NonCanonicalEventError(f"Non-canonical event: {_shown(event)}. Must be one of {', '.join(names)}")


def check_status(status: object) -> str:
    """Return the plain status, or raise :exc:`NonCanonicalStatusError`."""
    if isinstance(status, str) and (name := _STATUS_NAMES.get(str.__str__(status))) is not None:
        return name
    raise NonCanonicalStatusError(f"Non-canonical status: {_shown(status)}. Must be one of {', '.join(STATUSES)}")


def check_trace_id(trace_id: object) -> str:
    """Return the id as a plain ``str``, or raise :exc:`InvalidTraceIdError`."""
    if isinstance(trace_id, str) and TRACE_ID_PATTERN.fullmatch(trace_id):
        return str.__str__(trace_id)
    raise InvalidTraceIdError(
        f"Invalid trace id: {_shown(trace_id, repr):.150}. Use 1 to 128 of the characters A-Z a-z 0-9 . _ ~ : @ -"
    )


def check_event_id(event_id: object) -> str:
    """Return the id as a plain ``str``, or raise :exc:`InvalidEventIdError`."""
    if isinstance(event_id, str) and EVENT_ID_PATTERN.fullmatch(event_id):
        return str.__str__(event_id)
    raise InvalidEventIdError(
        f"Invalid event id: {_shown(event_id, repr):.80}. Use 1 to 64 printable ASCII characters without a space"
    )


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


def unknown_names(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names that are not among the known ones, sorted."""
    return sorted(set(names) - set(known))
