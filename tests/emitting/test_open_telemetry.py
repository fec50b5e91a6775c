"""The link from a trace to OpenTelemetry's span."""

from __future__ import annotations

import pytest
from opentelemetry import trace

from trace_streaming import TraceEmitter
from trace_streaming.models import Trace

SPAN = trace.NonRecordingSpan(trace.SpanContext(0x4111111111111111 << 64 | 0x4111111111111111, 0xABC, is_remote=False))


@pytest.mark.django_db(transaction=True)
def test_the_ids_of_the_active_span_are_in_the_metadata() -> None:
    """In hexadecimal, as OpenTelemetry's own tools show them, though they look like card numbers; others stay."""
    with trace.use_span(SPAN):
        emitters = TraceEmitter("alone"), TraceEmitter("beside", metadata={"team": "red", "password": "x"})
    for emitter in emitters:
        emitter.emit("plan_created")
    assert emitters[0].flush(10)
    ids = {"otel_trace_id": "41111111111111114111111111111111", "otel_span_id": "0000000000000abc"}
    found = dict(Trace.objects.values_list("trace_id", "metadata"))
    assert found["alone"] == ids
    assert found["beside"] == {"team": "red", "password": found["beside"]["password"], **ids}
    assert found["beside"]["password"] != "x"


@pytest.mark.django_db(transaction=True)
def test_without_a_span_nothing_is_added() -> None:
    """Nor a start that nobody asked for."""
    emitter = TraceEmitter("none")
    emitter.emit("plan_created")
    assert emitter.flush(60)
    assert Trace.objects.get().metadata == {}
