"""What an event is: its names, its records, its one encoding; and the golden signals of a list of events.

Every other wing calls this one. It is plain Python: no Django, no threads, no input or output.
"""

from __future__ import annotations

from .encoding import (
    MAX_DURATION_MS,
    MAX_TOOL_NAME_LENGTH,
    EncodedEvent,
    check_timestamp,
    emitted_at,
    encode_event,
    event_text,
    finite_number,
    format_timestamp,
    lifted_duration_ms,
    lifted_tool_name,
    parse_json,
    parse_timestamp,
    possible_ms,
)
from .names import (
    APPROVAL_EVENTS,
    CANONICAL_EVENTS,
    END_STATES,
    EVENT_ID_PATTERN,
    EVENT_NAME_PATTERN,
    STATUSES,
    TRACE_ID_PATTERN,
    check_event_id,
    check_event_name,
    check_status,
    check_trace_id,
    event_names,
    unknown_names,
)
from .records import TraceApproval, TraceEnd, TraceEvent, TraceHidden, TraceLoss, TraceRecord, TraceStart

__all__ = [
    "APPROVAL_EVENTS",
    "CANONICAL_EVENTS",
    "END_STATES",
    "EVENT_ID_PATTERN",
    "EVENT_NAME_PATTERN",
    "MAX_DURATION_MS",
    "MAX_TOOL_NAME_LENGTH",
    "STATUSES",
    "TRACE_ID_PATTERN",
    "EncodedEvent",
    "TraceApproval",
    "TraceEnd",
    "TraceEvent",
    "TraceHidden",
    "TraceLoss",
    "TraceRecord",
    "TraceStart",
    "check_event_id",
    "check_event_name",
    "check_status",
    "check_timestamp",
    "check_trace_id",
    "emitted_at",
    "encode_event",
    "event_names",
    "event_text",
    "finite_number",
    "format_timestamp",
    "lifted_duration_ms",
    "lifted_tool_name",
    "parse_json",
    "parse_timestamp",
    "possible_ms",
    "unknown_names",
]
