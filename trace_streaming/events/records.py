"""What travels from an emitter to the database, in one queue: events, and what is said of their trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
    by_sender: bool = False
    """Said by whoever sends events over the API: the project's own word replaces it."""
    name: str | None = None
    """Redacted, as the two below; None where nothing is said of it. The last word stays."""
    conversation: str | None = None
    tags: Sequence[str] | None = None


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
    hidden: Sequence[str] = ()
    """Keyed digests of values that are hidden in the trace from now on, for the process that goes on with it."""


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
