"""A trace as OTLP's JSON: what others open, and what is the same tree when it comes in again."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rest_framework.test import APIClient

from tests.otlp.conftest import _all_is_stored, events_of
from tests.otlp.spans import JSON, PROTOBUF, TRACE, agent, encoded, http, model, tool
from trace_streaming import TraceEmitter
from trace_streaming.events.spans import Span, Spans
from trace_streaming.exporting.pages import otlp_json
from trace_streaming.models import Approval, Trace
from trace_streaming.recording.recorder import recorder
from trace_streaming.wire.protocol import WatchRequest

__all__ = ["_all_is_stored"]

pytestmark = pytest.mark.django_db(transaction=True)

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def client() -> Any:
    user = User.objects.create_superuser("root")
    client = APIClient()
    client.force_authenticate(user)
    return client


def exported(trace_id: str) -> bytes:
    trace = Trace.objects.get(trace_id=trace_id)
    return b"".join(otlp_json(trace, WatchRequest(trace_id)))


def spans_in(body: bytes) -> list[dict[str, Any]]:
    (group,) = orjson.loads(body)["resourceSpans"]
    (scoped,) = group["scopeSpans"]
    spans: list[dict[str, Any]] = scoped["spans"]
    return spans


def said(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def tree(trace_id: str) -> list[Any]:
    """With times and durations."""

    def nodes(spans: list[Span]) -> list[Any]:
        return [[s.kind, s.name, s.outcome, s.start, _rounded(s.duration_ms), nodes(s.children)] for s in spans]

    return nodes(Spans(events_of(trace_id)).roots())


def _rounded(duration: float | None) -> float | None:
    return None if duration is None else round(duration, 3)


def in_again(client: Any, trace_id: str) -> tuple[list[Any], list[Any]]:
    """The tree before, and when what was exported has come in where nothing is."""
    before, body = tree(trace_id), exported(trace_id)
    json_format.Parse(body, ExportTraceServiceRequest())
    Trace.objects.get(trace_id=trace_id).delete()
    response = client.post("/v1/traces", body, content_type=JSON)
    assert (response.status_code, response.content) == (200, b"{}")
    return before, tree(trace_id)


def test_recordings_of_real_runs_come_in_again(client: Any, recording: Path) -> None:
    """Plans, routes, budgets and approvals among them."""
    call_command("play_trace", str(recording), "--speed", "0", "--trace-id", "played", verbosity=0)
    before, after = in_again(client, "played")
    assert after == before
    assert before


def test_what_came_by_otlp_comes_in_again(client: Any) -> None:
    """Ids of OpenTelemetry are kept; what was moved is where it is now."""
    run = [
        tool(4, "a", 3, start=3, end=5),
        http(3, 1, start=2, end=6),
        model(2, 1, start=7, end=9, error="429"),
        agent(1),
    ]
    for span in run:
        client.post("/v1/traces", encoded([span]), content_type=PROTOBUF)
    before, after = in_again(client, TRACE)
    assert after == before
    assert {span["spanId"]: span.get("parentSpanId") for span in spans_in(exported(TRACE))} == {
        f"{4:016x}": f"{1:016x}",
        f"{2:016x}": f"{1:016x}",
        f"{1:016x}": None,
    }


def test_outcomes_and_halves_come_in_again(client: Any) -> None:
    """What is open, cancelled, has no start, or comes before it."""
    emitter = TraceEmitter("odd", name="odd", conversation="c-1")
    emitter.open_span("agent", "solo", call_id="a")
    emitter.open_span("llm_call", "fake-1", call_id="b", parent_call_id="a")
    emitter.close_span("tool_call", "c", name="lookup", parent_call_id="a", duration_ms=3)
    emitter.close_span("step", "d", name="late", parent_call_id="a", outcome="cancelled")
    emitter.open_span("step", "late", call_id="d", parent_call_id="a", details={"kind": "node"})
    emitter.emit("tool_call_complete", {"tool": "alone", "duration_ms": 2}, "success")
    emitter.emit("plan_created", {"parent_call_id": "a", "steps": 2})
    assert recorder.flush(60)
    before, after = in_again(client, "odd")
    assert after == before
    assert Trace.objects.values_list("name", "conversation").get() == ("odd", "c-1")


def test_attributes_are_those_of_the_conventions(client: Any) -> None:
    """With the whole conversation, of which the log has each message once."""
    with TraceEmitter("said") as emitter, emitter.agent("solo", input="go") as run:
        first = [{"role": "user", "content": "what is a?"}]
        with emitter.llm_call("gpt-5", provider="openai", messages=first, temperature=0.2) as call:
            call.usage(input_tokens=11, output_tokens=7).finish("stop").result = "It is delta."
        with emitter.llm_call("gpt-5", messages=[*first, {"role": "user", "content": "sure?"}]) as call:
            call.result = "Yes."
        with pytest.raises(ValueError, match="no row"), emitter.tool_call("lookup", key="a") as lookup:
            lookup.result = 1
            raise ValueError("no row")
        run.result = "done"
    assert recorder.flush(60)
    one, two, failed, solo = map(said, spans_in(exported("said")))
    assert (one["gen_ai.operation.name"], one["gen_ai.request.model"], one["gen_ai.provider.name"]) == (
        *("chat", "gpt-5", "openai"),
    )
    assert (one["gen_ai.usage.input_tokens"], one["gen_ai.request.temperature"]) == ("11", 0.2)
    assert [message["parts"][0]["content"] for message in orjson.loads(two["gen_ai.input.messages"])] == [
        *("what is a?", "sure?"),
    ]
    assert orjson.loads(one["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "It is delta."}]
    assert (failed["gen_ai.tool.name"], failed["gen_ai.tool.call.arguments"]) == ("lookup", '{"key":"a"}')
    assert (solo["gen_ai.agent.name"], orjson.loads(solo["gen_ai.input.messages"])[0]["role"]) == ("solo", "user")
    (event,) = spans_in(exported("said"))[2]["events"]
    assert said(event)["exception.message"] == "no row"
    before, after = in_again(client, "said")
    assert after == before
    ends = [event["details"] for event in events_of("said") if event["event"] == "agent_complete"]
    assert (ends[0]["input"], ends[0]["result"]) == ("go", "done")


def test_the_api_and_the_command_write_the_same(client: Any, tmp_path: Path) -> None:
    """As a download, and as a file."""
    TraceEmitter("t").emit("plan_created", {"steps": 2})
    assert recorder.flush(60)
    response = client.get("/api/traces/t/export?format=otlp")
    assert response["Content-Disposition"] == 'attachment; filename="t.otlp.json"'
    body = b"".join(response.streaming_content)
    call_command("export_trace", "t", "--format", "otlp", "--output", str(tmp_path / "t.json"), verbosity=0)
    assert (tmp_path / "t.json").read_bytes() == body == exported("t")


def test_the_documentation_s_protobuf_is_the_same(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For those that take nothing else."""
    with TraceEmitter("t-1") as emitter, emitter.agent("solo"), emitter.tool_call("lookup", key="a"):
        pass
    assert recorder.flush(60)
    before = tree("t-1")
    (tmp_path / "t-1.json").write_bytes(exported("t-1"))
    Trace.objects.get().delete()
    bodies: list[bytes] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    (code,) = re.findall(r"# send_to_phoenix.py\n(.*?)```", (DOCS / "opentelemetry.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(
        code.replace("urlopen(", "answer = urlopen(").replace("localhost:6006", f"127.0.0.1:{server.server_port}")
        + "answer.close()"
    )
    thread.join()
    server.server_close()
    assert client.post("/v1/traces", bodies[0], content_type=PROTOBUF).status_code == 200
    assert tree("t-1") == before


def test_approvals_that_wait_here_are_not_told_by_others(client: Any) -> None:
    """As at the door of events: the server alone says what becomes of them."""
    TraceEmitter("asks").emit("approval_requested", {"approval_id": "mine", "action": "pay"})
    assert recorder.flush(60)
    body = exported("asks")
    Trace.objects.get().delete()
    now = timezone.now()
    Approval.objects.create(trace_id="other", approval_id="mine", requested_at=now, expires_at=now)
    response = client.post("/v1/traces", body, content_type=JSON)
    assert orjson.loads(response.content)["partialSuccess"]["rejectedSpans"] == "1"
    assert recorder.flush(60)
    assert not Trace.objects.exists()
