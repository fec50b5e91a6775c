"""Spans of OpenTelemetry's SDK in this process, live: what is known at the start is told then."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context
from pytest_django import Settings

from tests.otlp.conftest import _all_is_stored, events_of, nodes
from trace_streaming import TraceEmitter
from trace_streaming.events.spans import Spans
from trace_streaming.exceptions import StopRequestedError
from trace_streaming.integrations.opentelemetry import TraceSpanProcessor
from trace_streaming.models import Trace
from trace_streaming.recording.recorder import recorder

__all__ = ["_all_is_stored"]

pytestmark = pytest.mark.django_db(transaction=True)

AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "solo", "session.id": "c-1"}
MODEL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "fake-1"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup", "gen_ai.tool.call.arguments": '{"k": 1}'}


def tracer_of(processor: TraceSpanProcessor, scope: str = "my.agent") -> trace.Tracer:
    provider = TracerProvider()
    provider.add_span_processor(processor)
    return provider.get_tracer(scope)


def shape(emitter: TraceEmitter) -> list[Any]:
    events = [{**event, "sequence": number} for number, event in enumerate(emitter.events, 1)]
    return nodes(Spans(events).roots())


def test_a_start_tells_what_is_known_and_an_end_the_rest() -> None:
    """Live: before the span has ended."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter))
    with tracer.start_as_current_span("invoke_agent solo", attributes=AGENT):
        with tracer.start_as_current_span("execute_tool lookup", attributes=TOOL) as span:
            assert [event["event"] for event in emitter.events] == ["agent_start", "tool_call_start"]
            assert emitter.events[1]["details"]["args"] == {"k": 1}
            span.set_attribute("gen_ai.tool.call.result", "found")
        end = emitter.events[2]
        assert (end["event"], end["details"]["result"]) == ("tool_call_complete", "found")
        assert "args" not in end["details"]
    assert shape(emitter) == [("agent", "solo", "ok", [("tool", "lookup", "ok", [])])]
    assert not emitter.ended  # the processor ends no trace that it did not begin


async def test_what_a_cancellation_leaves_is_cancelled() -> None:
    """The SDK says nothing of it; what begins while it is handled is not."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter))
    begun = asyncio.Event()

    async def run() -> None:
        with tracer.start_as_current_span("invoke_agent solo", attributes=AGENT):
            try:
                with tracer.start_as_current_span("chat fake-1", attributes=MODEL):
                    begun.set()
                    await asyncio.sleep(60)
            finally:
                with tracer.start_as_current_span("execute_tool lookup", attributes=TOOL):
                    pass

    task = asyncio.create_task(run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    inside: list[Any] = [("llm", "fake-1", "cancelled", []), ("tool", "lookup", "ok", [])]
    assert shape(emitter) == [("agent", "solo", "cancelled", inside)]


def test_a_stop_is_no_failure() -> None:
    """Nor is the run that it ends."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter))
    with pytest.raises(StopRequestedError), tracer.start_as_current_span("invoke_agent solo", attributes=AGENT):
        raise StopRequestedError
    assert shape(emitter) == [("agent", "solo", "cancelled", [])]


def test_without_an_emitter_each_trace_has_one() -> None:
    """With the id of OpenTelemetry's trace, named and ended by its root."""
    user = User.objects.create_user("owner")
    tracer = tracer_of(TraceSpanProcessor(owner=lambda: user))
    with tracer.start_as_current_span("invoke_agent solo", attributes=AGENT) as root:
        otel_id = trace.format_trace_id(root.get_span_context().trace_id)
        assert recorder.flush(60)
        assert Trace.objects.get().state == "running"
        with pytest.raises(ValueError, match="no such row"), tracer.start_as_current_span("t", attributes=TOOL):
            raise ValueError("no such row")
    assert recorder.flush(60)
    told = Trace.objects.values_list("trace_id", "name", "conversation", "owner", "state").get()
    assert told == (otel_id, "solo", "c-1", user.pk, "success")
    (error,) = [event for event in events_of(otel_id) if event["status"] == "error"]
    assert (error["details"]["error"], error["details"]["error_type"]) == ("no such row", "ValueError")
    assert "test_opentelemetry.py" in error["details"]["traceback"]


def test_the_current_emitter_is_found() -> None:
    """Of the block that the code runs in."""
    tracer = tracer_of(TraceSpanProcessor())
    with TraceEmitter() as emitter, tracer.start_as_current_span("chat", attributes=MODEL):
        pass
    assert shape(emitter) == [("llm", "fake-1", "ok", [])]


def test_what_is_none_of_an_agents_is_left_out_at_once() -> None:
    """What is inside of it is told to be inside of what is around it; a site's other requests begin no trace."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter))
    with (
        tracer.start_as_current_span("invoke_agent solo", attributes=AGENT),
        tracer.start_as_current_span("POST"),
        tracer.start_as_current_span("execute_tool lookup", attributes=TOOL),
    ):
        assert emitter.events[1]["details"]["parent_call_id"] == emitter.events[0]["details"]["call_id"]
    assert shape(emitter) == [("agent", "solo", "ok", [("tool", "lookup", "ok", [])])]
    other = tracer_of(TraceSpanProcessor())
    with other.start_as_current_span("GET", attributes={"http.request.method": "GET"}):
        pass
    assert recorder.flush(60)
    assert Trace.objects.get().trace_id == emitter.trace_id


def test_what_is_known_at_the_end_alone() -> None:
    """A span that says late that it is an agent's takes its place, and what is inside of it moves."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter))
    outer = tracer.start_as_current_span("invoke_agent outer", attributes=AGENT)
    with outer, tracer.start_as_current_span("late") as late:
        with tracer.start_as_current_span("GET"), tracer.start_as_current_span("execute_tool", attributes=TOOL):
            pass
        late.set_attributes({"openinference.span.kind": "AGENT", "agent.name": "inner"})
    assert shape(emitter) == [("agent", "solo", "ok", [("agent", "inner", "ok", [("tool", "lookup", "ok", [])])])]


def test_libraries_that_say_nothing_at_the_start_are_believed() -> None:
    """All spans of OpenInference are an agent's; what they are comes with the end."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter), "openinference.instrumentation.langchain")
    with tracer.start_as_current_span("FakeModel") as span:
        assert [event["event"] for event in emitter.events] == ["step_start"]
        span.set_attributes({"openinference.span.kind": "LLM", "llm.model_name": "fake-1"})
    assert shape(emitter) == [("llm", "fake-1", "ok", [])]


def test_all_may_be_kept() -> None:
    """As steps."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter, all_spans=True))
    with tracer.start_as_current_span("GET"), tracer.start_as_current_span("execute_tool lookup", attributes=TOOL):
        pass
    assert shape(emitter) == [("step", "GET", "ok", [("tool", "lookup", "ok", [])])]


def test_contents_may_be_kept_back() -> None:
    """Sizes are told instead."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter, contents=False))
    with (
        pytest.raises(ValueError, match="hush"),
        tracer.start_as_current_span("x", attributes={**TOOL, "mine": "hush"}),
    ):
        raise ValueError("hush")
    assert "hush" not in orjson.dumps(emitter.events).decode()
    assert emitter.events[0]["details"]["args_bytes"] == 7


def test_a_trace_that_began_elsewhere_is_not_ended_here(settings: Settings) -> None:
    """Its root is in another process."""
    tracer = tracer_of(TraceSpanProcessor())
    remote = SpanContext(int("1" * 32, 16), int("2" * 16, 16), is_remote=True, trace_flags=TraceFlags(1))
    with tracer.start_as_current_span("t", set_span_in_context(NonRecordingSpan(remote)), attributes=TOOL):
        pass
    assert recorder.flush(60)
    assert Trace.objects.values_list("trace_id", "state").get() == ("1" * 32, "running")


def test_many_threads_at_the_same_time() -> None:
    """Each span has its two events, inside of the right one."""
    emitter = TraceEmitter()
    tracer = tracer_of(TraceSpanProcessor(emitter))

    def work(context: Any) -> None:
        for _ in range(20):
            with tracer.start_as_current_span("GET", context), tracer.start_as_current_span("t", attributes=TOOL):
                pass

    with tracer.start_as_current_span("invoke_agent solo", attributes=AGENT) as root:
        threads = [threading.Thread(target=work, args=[set_span_in_context(root)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert shape(emitter) == [("agent", "solo", "ok", [("tool", "lookup", "ok", [])] * 80)]


def test_nothing_that_fails_here_reaches_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """A guest: logged, and the span goes on."""

    def broken(**options: Any) -> Any:
        raise RuntimeError("no emitter")

    tracer = tracer_of(TraceSpanProcessor(new_emitter=broken))
    with tracer.start_as_current_span("execute_tool lookup", attributes=TOOL) as span:
        span.set_status(Status(StatusCode.ERROR))
    assert "OpenTelemetry" in caplog.text
