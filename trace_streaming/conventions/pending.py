"""Spans that have only begun: pending ones of Logfire, and those that this app has exported while they were open.

https://logfire.pydantic.dev/docs/: Logfire sends one at a span's start, as a span of its own inside of it.
"""

from __future__ import annotations

from .otel_spans import NO_PARENT, OtelSpan
from .values import text


def begun(span: OtelSpan) -> OtelSpan | None:
    """The span that it stands for, as it is at its start; None for one that has ended."""
    if span.attributes.get("trace_streaming.outcome") == "open":
        return span._replace(end_ns=0)
    if span.attributes.get("logfire.span_type") != "pending_span" or not span.parent_id:
        return None
    above = text(span.attributes, "logfire.pending_parent_id")
    parent_id = "" if above == NO_PARENT else above
    return span._replace(span_id=span.parent_id, parent_id=parent_id, end_ns=0)
