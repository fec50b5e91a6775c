"""A span of OpenTelemetry, wherever it comes from: the SDK, protobuf or JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

TRACE_ATTRIBUTE: Final = "trace_streaming.trace_id"
"""Of a resource or a span: the trace of this app that it belongs to, if that is not the span's own."""
NAME_ATTRIBUTE: Final = "trace_streaming.trace_name"
"""Of a resource: what the trace is called."""
NO_PARENT: Final = "0" * 16
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS: Final = 253_370_764_800 * 10**9
"""The year 9999, which not every time zone can show."""


class SpanEvent(NamedTuple):
    """What happened at a moment of a span, such as an exception."""

    name: str
    attributes: Mapping[str, Any]


class OtelSpan(NamedTuple):
    """One span; attributes are of JSON's types, or what else the SDK lets them be."""

    trace_id: str
    """32 hexadecimal digits, in small letters."""
    span_id: str
    """16 of them."""
    parent_id: str
    """16 of them; empty for a root."""
    name: str
    start_ns: int
    """Nanoseconds since 1970."""
    end_ns: int
    """The same; 0 while it runs."""
    attributes: Mapping[str, Any]
    scope: str = ""
    """Name of the library that made it."""
    events: Sequence[SpanEvent] = ()
    is_failed: bool = False
    """Whether its status is ERROR."""
    message: str = ""
    """Of its status."""
    resource: Mapping[str, Any] = {}
    """What is known of the program that made it."""

    @property
    def own_trace(self) -> str:
        """``TRACE_ATTRIBUTE``, which the span says before its resource; empty where neither does."""
        told = self.attributes.get(TRACE_ATTRIBUTE) or self.resource.get(TRACE_ATTRIBUTE)
        return told if isinstance(told, str) else ""


def check_span(span: OtelSpan) -> None:
    """Raise :exc:`ValueError`, with a text for whoever has sent it, for ids or times that are none."""
    if not _TRACE_ID.fullmatch(span.trace_id):
        raise ValueError("a trace id is 16 bytes, not all of them zero")
    if not _SPAN_ID.fullmatch(span.span_id):
        raise ValueError("a span id is 8 bytes, not all of them zero")
    if span.parent_id and not _SPAN_ID.fullmatch(span.parent_id):
        raise ValueError("a parent's id is 8 bytes")
    if not (0 < span.start_ns < _LAST_NS and 0 <= span.end_ns < _LAST_NS):
        raise ValueError("a span has a start, and times before the year 9999")


def time_of(ns: int) -> datetime:
    """Aware, UTC, to the microsecond; nanoseconds are cut off."""
    return _EPOCH + timedelta(microseconds=ns // 1000)
