"""Watch an AI agent, or any long job, work: live, inside a Django project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .emitting.contract import current_emitter
from .emitting.emitter import TraceEmitter
from .events import AGENT_EVENTS, CANONICAL_EVENTS
from .exceptions import (
    InvalidEventIdError,
    InvalidTraceIdError,
    NonCanonicalEventError,
    NonCanonicalStatusError,
    TraceStreamingError,
)
from .signals import approval_decided, event_emitted, events_recorded, trace_ended, trace_started

if TYPE_CHECKING:
    from .recording.broadcast import (
        broadcast_trace_events,
        emit_trace_event,
        get_active_trace_streams,
        is_trace_streaming,
    )

__version__ = "0.2.0"

__all__ = [
    "AGENT_EVENTS",
    "CANONICAL_EVENTS",
    "InvalidEventIdError",
    "InvalidTraceIdError",
    "NonCanonicalEventError",
    "NonCanonicalStatusError",
    "TraceEmitter",
    "TraceStreamingError",
    "approval_decided",
    "broadcast_trace_events",
    "current_emitter",
    "emit_trace_event",
    "event_emitted",
    "events_recorded",
    "get_active_trace_streams",
    "is_trace_streaming",
    "trace_ended",
    "trace_started",
]


def __getattr__(name: str) -> Any:
    # These need the models, which Django loads after it has imported this package.
    if name in __all__:
        from .recording import broadcast

        return getattr(broadcast, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
