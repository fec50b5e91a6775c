"""Pending spans of Logfire: sent at a span's start, as spans of their own inside of it.

https://logfire.pydantic.dev/docs/: they are exported to whoever wants to see a span before it ends.
"""

from __future__ import annotations

from .otel_spans import NO_PARENT, OtelSpan
from .values import text


def begun(span: OtelSpan) -> OtelSpan | None:
    """The span that a pending one stands for, as it is at its start; None for one that is not pending."""
    if span.attributes.get("logfire.span_type") != "pending_span" or not span.parent_id:
        return None
    above = text(span.attributes, "logfire.pending_parent_id")
    parent_id = "" if above == NO_PARENT else above
    return span._replace(span_id=span.parent_id, parent_id=parent_id, end_ns=0)
