"""Who tells of a span in two ways, by REST or an emitter and by OTLP, tells it once: events have the same ids."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from rest_framework.test import APIClient

from tests.otlp.conftest import Send, events_of, tree_of
from tests.otlp.spans import TRACE, agent, http, tool
from trace_streaming.conventions.telling import start_id
from trace_streaming.integrations.opentelemetry import TraceSpanProcessor
from trace_streaming.recording.recorder import recorder

pytestmark = pytest.mark.django_db(transaction=True)

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup"}


def test_starts_by_rest_and_ends_by_otlp_meet(send: Send, writer: User) -> None:
    """By the ids of their events; what the start has told is kept, and comes once."""
    rest = APIClient()
    rest.force_authenticate(writer)
    child = f"{3:016x}"
    event = {
        "event": "tool_call_start",
        "details": {"tool": "lookup", "call_id": child, "parent_call_id": f"{2:016x}", "args": {"key": "a"}},
        "event_id": start_id(child, f"{2:016x}"),
        "timestamp": "2026-01-05T12:00:00.002+00:00",
    }
    assert rest.post(f"/api/traces/{TRACE}/events", event, format="json").status_code == 200
    assert tree_of() == [("tool", "lookup", "open", [])]
    send([tool(3, parent=2, start=2, end=7)])
    send([http(2, 1, start=1, end=8)])
    send([agent(1, start=0, end=9)])
    assert tree_of() == [("agent", "solo", "ok", [("tool", "lookup", "ok", [])])]
    starts = [told for told in events_of() if told["event"] == "tool_call_start" and "moved" not in told["details"]]
    assert [told["details"].get("args") for told in starts] == [{"key": "a"}]


def test_the_processor_and_an_exporter_beside_it_tell_once(send: Send, writer: User) -> None:
    """A program may have both: the second of each event is none."""
    provider = TracerProvider()
    provider.add_span_processor(TraceSpanProcessor(owner=lambda: writer))
    tracer = provider.get_tracer("my.agent")
    with tracer.start_as_current_span("execute_tool lookup", attributes=TOOL) as span:
        pass
    assert recorder.flush(60)
    context: Any = span.get_span_context()
    otel_id = trace.format_trace_id(context.trace_id)
    before = events_of(otel_id)
    send([tool(context.span_id, trace=otel_id)])
    assert events_of(otel_id) == before
    assert len(before) == 2


def test_pending_spans_of_logfire_are_starts(send: Send) -> None:
    """They come when a span begins, as a span inside of it."""
    pending = tool(
        77,
        parent=3,
        start=2,
        end=2,
        attributes={
            "logfire.span_type": "pending_span",
            "logfire.pending_parent_id": f"{1:016x}",
            "gen_ai.tool.call.arguments": "[1]",
        },
    )
    send([pending])
    assert tree_of() == [("tool", "lookup", "open", [])]
    send([tool(3, parent=1, start=2, end=7), agent(1, start=0, end=9)])
    assert tree_of() == [("agent", "solo", "ok", [("tool", "lookup", "ok", [])])]
    assert [event["details"].get("args") for event in events_of()][:2] == [[1], None]
