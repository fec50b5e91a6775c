"""The way from a trace to OpenTelemetry's span around it: with its API installed and a span active, ids in metadata."""

from __future__ import annotations

try:
    from opentelemetry import trace as _trace
except ImportError:
    _trace = None  # type: ignore[assignment]


def span_ids() -> dict[str, str]:
    """``otel_trace_id`` and ``otel_span_id`` of the active span, in hexadecimal (W3C Trace Context); else empty."""
    if _trace is None:
        return {}
    context = _trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "otel_trace_id": _trace.format_trace_id(context.trace_id),
        "otel_span_id": _trace.format_span_id(context.span_id),
    }
