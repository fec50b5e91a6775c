"""A trace as OTLP's JSON: what others open, and what is the same tree when it comes in again."""

from __future__ import annotations

import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from google.protobuf import json_format
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.events.test_spans import CASES
from tests.otlp.conftest import _all_is_stored, events_of
from tests.otlp.spans import JSON, PROTOBUF, TRACE, agent, encoded, http, model, tool
from trace_streaming import AGENT_EVENTS, TraceEmitter
from trace_streaming.conventions.messages import INPUT
from trace_streaming.events.names import STATUSES
from trace_streaming.events.spans import Span, Spans
from trace_streaming.exporting import pages, pairing
from trace_streaming.exporting.pages import otlp_json
from trace_streaming.models import Approval, Trace
from trace_streaming.otlp import requests
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


def requests_in(body: bytes) -> list[bytes]:
    """Each is a line."""
    assert body.endswith(b"\n")
    return body.splitlines()


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
        return [[s.kind, s.name, s.outcome, s.start, _duration(s), nodes(s.children)] for s in spans]

    return nodes(Spans(events_of(trace_id)).roots())


def _duration(span: Span) -> float | None:
    """What has an end alone, which does not say how long it took, has taken no time where it comes in again."""
    if span.duration_ms is None:
        return 0 if span.ended and not span.begun else None
    return round(span.duration_ms, 3)


def in_again(client: Any, trace_id: str) -> tuple[list[Any], list[Any]]:
    """The tree before, and when what was exported has come in where nothing is."""
    before, body = tree(trace_id), exported(trace_id)
    Trace.objects.get(trace_id=trace_id).delete()
    for request in requests_in(body):
        json_format.Parse(request, ExportTraceServiceRequest())
        response = client.post("/v1/traces", request, content_type=JSON)
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


AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
Row = tuple[str, dict[str, Any], str, float]
"""An event, its details, its status, and when it was: milliseconds behind ``AT``."""


def told(rows: Iterable[Row], trace_id: str = "odd") -> None:
    """Emit these, and wait until they are stored."""
    emitter = TraceEmitter(trace_id, name=trace_id)
    for event, details, status, ms in rows:
        emitter.emit(event, details, status, timestamp=AT + timedelta(milliseconds=ms))
    assert recorder.flush(60)


def tool_call(call_id: str, start: int, end: int, **details: Any) -> list[Row]:
    """The two events of one."""
    told = {"tool": "A", "call_id": call_id, **details}
    return [("tool_call_start", told, "pending", start), ("tool_call_complete", told, "success", end)]


RUN: list[Row] = [("agent_start", {"name": "run", "call_id": "p"}, "pending", 0)]
ENDED: dict[str, Any] = {"tool": "A", "call_id": "a", "duration_ms": 2}
ODD: dict[str, list[Row]] = {
    "calls with the same id, and what is inside of each": [
        *tool_call("call_0", 0, 5, tool="first"),
        *tool_call("x", 1, 2, parent_call_id="call_0"),
        *tool_call("call_0", 10, 15, tool="second"),
        *tool_call("y", 11, 12, parent_call_id="call_0"),
        ("plan_created", {"parent_call_id": "call_0"}, "success", 13),
        *tool_call("call_0", 20, 25, tool="third", parent_call_id="x"),
        *tool_call("z", 21, 22, parent_call_id="call_0"),
    ],
    "two open calls with the same id": [
        ("tool_call_start", {"tool": "first", "call_id": "a"}, "pending", 0),
        ("tool_call_start", {"tool": "second", "call_id": "a"}, "pending", 1),
        ("tool_call_complete", {"tool": "first", "call_id": "a"}, "success", 5),
    ],
    "two ends with the same id": [
        *tool_call("a", 0, 1),
        ("tool_call_complete", ENDED, "success", 5),
        ("tool_call_complete", ENDED, "success", 9),
    ],
    "a model's calls with the same id": [
        row
        for n in range(2)
        for row in (
            ("llm_call_start", {"name": "m", "call_id": "a", INPUT: [{"role": "user", "n": n}]}, "pending", n * 10),
            ("llm_call_complete", {"name": "m", "call_id": "a"}, "success", n * 10 + 5),
        )
    ],
    **{
        f"an end with the status {status}": [("tool_call_complete", ENDED, status, 3)]
        for status in ("pending", "running", "warning", "error")
    },
    "an error with the status warning": [("tool_call_error", {**ENDED, "error": "x"}, "warning", 3)],
    "an error that only looks like a cancellation": [
        ("tool_call_error", {**ENDED, "error": "x", "error_type": "CancelledError"}, "error", 3)
    ],
    "an outcome with the status error": [("tool_call_error", {**ENDED, "outcome": "cancelled"}, "error", 3)],
    "an outcome that only the start says": [
        ("tool_call_start", {"tool": "A", "call_id": "a", "outcome": "cancelled", "duration_ms": 9}, "pending", 0),
        ("tool_call_complete", {"tool": "A", "call_id": "a", "outcome": ["odd"]}, "success", 3),
    ],
    "an end whose name and parent are empty": [
        *RUN,
        ("tool_call_start", {"tool": "A", "call_id": "a", "parent_call_id": "p"}, "pending", 1),
        ("tool_call_complete", {"tool": "", "call_id": "a", "parent_call_id": ""}, "success", 3),
    ],
    "an end of another kind, with another word for its name": [
        ("tool_call_start", {"tool": "A", "call_id": "a"}, "pending", 1),
        ("llm_call_complete", {"name": "B", "call_id": "a"}, "success", 3),
    ],
    **{
        f"no name: {family}": [(f"{family}_complete", {"call_id": "a", "duration_ms": 2}, "success", 3)]
        for family in ("tool_call", "llm_call", "agent", "step")
    },
    "details with words of this app": [
        *RUN,
        (
            "tool_call_complete",
            {
                **ENDED,
                **{f"trace_streaming.{key}": "agent" for key in ("kind", "name", "outcome", "status", "trace_id")},
                "trace_streaming.event": "plan_created",
                "trace_streaming.details": "{}",
                "trace_streaming.duration_ms": 7,
                "parent_call_id": "p",
                "logfire.span_type": "pending_span",
                "attributes": {"trace_streaming.outcome": "open", "logfire.span_type": "pending_span"},
            },
            "success",
            3,
        ),
    ],
    "siblings that begin at the same time, and end in another order": [
        *RUN,
        ("tool_call_start", {"tool": "A", "call_id": "a", "parent_call_id": "p"}, "pending", 1),
        ("tool_call_start", {"tool": "B", "call_id": "b", "parent_call_id": "p"}, "pending", 1),
        ("tool_call_start", {"tool": "C", "call_id": "c", "parent_call_id": "p"}, "pending", 1),
        ("tool_call_complete", {"tool": "B", "call_id": "b"}, "success", 2),
        ("tool_call_complete", {"tool": "A", "call_id": "a"}, "success", 3),
        ("agent_complete", {"name": "run", "call_id": "p"}, "success", 4),
    ],
    "parents that are told later": [
        *RUN,
        ("step_start", {"call_id": "a", "parent_call_id": "p", "moved": True}, "pending", 1),
        ("step_start", {"name": "early", "call_id": "a", "moved": True}, "pending", 1.5),
        *tool_call("x", 2, 3, parent_call_id="a"),
        *tool_call("a", 4, 5),
        *tool_call("a", 6, 7),
        ("tool_call_start", {"call_id": "a", "parent_call_id": "x", "moved": True}, "pending", 8),
        ("tool_call_start", {"tool": "nobody's", "parent_call_id": "p", "moved": True}, "pending", 9),
    ],
    "a part of a microsecond": [("tool_call_complete", {**ENDED, "duration_ms": 2.0004}, "success", 3)],
    "circles": [*tool_call("a", 1, 2, parent_call_id="b"), *tool_call("b", 2, 3, parent_call_id="a")],
    "whole numbers": [
        ("agent_start", {"name": "run", "call_id": 1}, "pending", 0),
        ("tool_call_start", {"tool": "A", "call_id": 2, "parent_call_id": 1}, "pending", 1),
    ],
}
"""What the rule for trees allows, and an export has to say in some way."""


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_comes_in_again(client: Any, case: str) -> None:
    """By the rule of the tree itself."""
    told(ODD[case])
    before, after = in_again(client, "odd")
    assert after == before
    assert before


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Events of few ids, so that they meet in every way that there is."""
    made: list[Row] = []
    at = 0
    for _ in range(draw(st.integers(1, 10))):
        at += draw(st.integers(0, 2))
        details = {
            key: value
            for key, value in {
                draw(st.sampled_from(["tool", "name"])): draw(st.sampled_from([None, "", "A", "B"])),
                "call_id": draw(st.sampled_from([None, "a", "b", 1, "1" * 16])),
                "parent_call_id": draw(st.sampled_from([None, "", "a", "b", "1", "1" * 16, "nobody"])),
                "duration_ms": draw(st.sampled_from([None, 0, 1, 2.0004])),
                "outcome": draw(st.sampled_from([None, None, "cancelled", "odd"])),
                "moved": draw(st.sampled_from([None, None, None, True])),
            }.items()
            if value is not None
        }
        family = draw(st.sampled_from(["tool_call", "llm_call", "agent", "step"]))
        part = draw(st.sampled_from(["start", "complete", "error", "plan"]))
        is_alone = part == "plan" or (part == "start" and "moved" in details)
        at += is_alone  # at a time of its own: it would come behind spans
        event = "plan_created" if part == "plan" else f"{family}_{part}"
        made.append((event, details, draw(st.sampled_from(STATUSES)), at - is_alone / 2))
    return made


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows())
def test_whatever_is_emitted_comes_in_again(client: Any, emitted: list[Row]) -> None:
    """Starts, ends and moves in any order."""
    Trace.objects.all().delete()
    told(emitted)
    before, after = in_again(client, "odd")
    assert after == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_the_table_of_trees_comes_in_again(client: Any, case: dict[str, Any], settings: Settings) -> None:
    """That which the viewer obeys, too."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = {*AGENT_EVENTS, *(event[0] for event in case["events"])}
    emitter = TraceEmitter("cases", name="cases")
    for name, time, status, details in case["events"]:
        emitter.emit(name, details, status, timestamp=datetime.fromisoformat(time))
    assert recorder.flush(60)
    before, after = in_again(client, "cases")
    assert after == before


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
    solo, one, two, failed = map(said, spans_in(exported("said")))
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
    (event,) = spans_in(exported("said"))[3]["events"]
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


@contextmanager
def taker() -> Iterator[tuple[int, list[bytes]]]:
    """Somebody who takes spans: his port, and what was sent."""
    bodies: list[bytes] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port, bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_the_documentation_s_examples_send_the_same(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: int
) -> None:
    """In protobuf for those that take nothing else; in one request or in several."""
    monkeypatch.setattr(pages, "MAX_SPANS", size)
    with TraceEmitter("t-1") as emitter, emitter.agent("solo"), emitter.tool_call("lookup", key="a", sign="\u2028"):
        pass
    assert recorder.flush(60)
    before = tree("t-1")
    (tmp_path / "t-1.json").write_bytes(exported("t-1"))
    Trace.objects.get().delete()
    page = (DOCS / "opentelemetry.md").read_text()
    monkeypatch.chdir(tmp_path)
    with taker() as (port, bodies):
        if kind == PROTOBUF:
            (code,) = re.findall(r"# send_to_phoenix.py\n(.*?)```", page, re.DOTALL)
            exec(code.replace("localhost:6006", f"127.0.0.1:{port}"))
        else:
            (code,) = re.findall(r"```console\n\$ (while .*?)```", page, re.DOTALL)
            code = code.replace("localhost:4318", f"127.0.0.1:{port}")
            subprocess.run(["bash", "-e", "-c", code], check=True, timeout=60)
    assert len(bodies) == (2 if size == 1 else 1)
    for body in bodies:
        assert client.post("/v1/traces", body, content_type=kind).status_code == 200
    assert tree("t-1") == before


def test_what_one_request_does_not_take_is_several(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each a line, within both limits; a span that is larger is alone."""
    assert (pages.MAX_SPANS, pages.MAX_BYTES) == (requests.MAX_SPANS, requests.MAX_BYTES)
    rows = [row for n in range(20) for row in tool_call(f"c{n}", n, 100 - n, result="x" * (5_000 if n == 9 else 50))]
    told(rows)
    (whole,) = requests_in(exported("odd"))
    assert len(spans_in(whole)) == 20
    assert [said(span)["trace_streaming.name"] for span in spans_in(whole)] == ["A"] * 20
    monkeypatch.setattr(pages, "MAX_SPANS", 6)
    assert [len(spans_in(line)) for line in requests_in(exported("odd"))] == [6, 6, 6, 2]
    monkeypatch.setattr(pages, "MAX_BYTES", 4_000)
    lines = requests_in(exported("odd"))
    assert sorted(map(len, lines))[-2] <= 4_000 < max(map(len, lines))
    assert sum(len(spans_in(line)) for line in lines) == 20
    assert [len(spans_in(line)) for line in lines if len(line) > 4_000] == [1]
    before, after = in_again(client, "odd")
    assert after == before


def test_as_many_bytes_as_a_request_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not one more."""
    told([row for n in range(3) for row in tool_call(f"c{n}", n, 10)])
    size = len(exported("odd"))
    monkeypatch.setattr(pages, "MAX_BYTES", size)
    assert len(requests_in(exported("odd"))) == 1
    monkeypatch.setattr(pages, "MAX_BYTES", size - 1)
    assert [len(spans_in(line)) for line in requests_in(exported("odd"))] == [2, 1]


def test_a_request_is_written_in_pieces() -> None:
    """Of 500 spans."""
    told(("tool_call_complete", {**ENDED, "call_id": f"c{n}"}, "success", n) for n in range(501))
    parts = list(otlp_json(Trace.objects.get(), WatchRequest("odd")))
    assert [part.count(b'"spanId"') for part in parts] == [500, 1, 0]
    assert len(spans_in(b"".join(parts))) == 501


@pytest.mark.thorough
def test_more_spans_than_a_request_takes_come_in_again(client: Any) -> None:
    """All that the endpoint takes in one, and the rest in another."""
    told((("tool_call_complete", {**ENDED, "call_id": f"c{n}"}, "success", n) for n in range(10_001)), "large")
    before, after = in_again(client, "large")
    assert after == before
    assert len(before) == 10_001


def test_an_export_without_spans_is_a_request(client: Any) -> None:
    """Of a trace that has only begun."""
    Trace.objects.create(trace_id="empty", started_at=AT, last_event_at=AT)
    body = exported("empty")
    assert spans_in(body) == []
    assert client.post("/v1/traces", body, content_type=JSON).status_code == 200


def test_messages_of_calls_with_one_id_are_their_own() -> None:
    """And not those of the first."""
    told(ODD["a model's calls with the same id"])
    messages = [orjson.loads(said(span)[INPUT]) for span in spans_in(exported("odd"))]
    assert [message["n"] for (message,) in messages] == [0, 1]


def test_what_waits_too_long_is_written_twice_and_is_one_span(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the ids of its events; what its start has told is told once."""
    monkeypatch.setattr(pairing, "MAX_OPEN", 1)
    told(
        [
            ("agent_start", {"name": "run", "call_id": "p", "input": "go"}, "pending", 0),
            ("tool_call_start", {"tool": "A", "call_id": "a", "parent_call_id": "p"}, "pending", 1),
            ("tool_call_start", {"tool": "B", "call_id": "b", "parent_call_id": "a"}, "pending", 2),
            ("tool_call_complete", {"call_id": "b"}, "success", 6),
            ("tool_call_complete", {**ENDED, "call_id": "c", "parent_call_id": "p"}, "success", 7),
            ("tool_call_complete", {**ENDED, "call_id": "d"}, "success", 8),
            ("agent_complete", {"call_id": "p"}, "success", 9),
        ]
    )
    times = Counter(said(span)["trace_streaming.name"] for span in spans_in(exported("odd")))
    assert times == {"run": 2, "A": 3, "B": 1}
    before, after = in_again(client, "odd")
    assert after == before
    told_once = [event["event"] for event in events_of("odd") if event["details"].get("input") == "go"]
    assert told_once == ["agent_start"]


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
