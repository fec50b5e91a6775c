"""OTLP over HTTP as its specification has it: encodings, limits, refusals."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.urls import include, path
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.otlp.conftest import Send, events_of, tree_of
from tests.otlp.spans import JSON, PROTOBUF, TRACE, Sent, agent, as_json, as_protobuf, encoded, http, model, tool
from trace_streaming.conventions.otel_spans import OtelSpan
from trace_streaming.conventions.shapes import Shape
from trace_streaming.conventions.telling import details_of
from trace_streaming.models import Event, Trace
from trace_streaming.otlp import endings as endings_module
from trace_streaming.otlp import receiving, turns
from trace_streaming.otlp.requests import MAX_BYTES, MAX_SPANS
from trace_streaming.recording.recorder import recorder
from trace_streaming.signals import trace_ended
from trace_streaming.storage import left_out

pytestmark = pytest.mark.django_db(transaction=True)

RUN = [model(2, 1, start=1, end=4), tool(3, "lookup", 1, start=5, end=8), agent(1, start=0, end=9)]
TREE: list[Any] = [("agent", "solo", "ok", [("llm", "fake-1", "ok", []), ("tool", "lookup", "ok", [])])]
PACKED = gzip.compress(b"{}", mtime=0)
KINDS = pytest.mark.parametrize("kind", [PROTOBUF, JSON])

urlpatterns = [path("some/where/", include("trace_streaming.otlp.urls"))]


def partial_of(response: Any) -> tuple[int, str]:
    """How many spans were refused, and why."""
    if response["Content-Type"] == JSON:
        told = orjson.loads(response.content).get("partialSuccess", {})
        return int(told.get("rejectedSpans", 0)), told.get("errorMessage", "")
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    return partial.rejected_spans, partial.error_message


def failure_of(response: Any) -> str:
    if response["Content-Type"] == JSON:
        return str(orjson.loads(response.content)["message"])
    return str(Status.FromString(response.content).message)


@KINDS
def test_spans_become_a_trace(send: Send, kind: str, writer: User) -> None:
    """In both encodings, answered in the same; its owner is the token's."""
    response = send(RUN, kind)
    assert (response.status_code, response["Content-Type"]) == (200, kind)
    assert partial_of(response) == (0, "")
    assert tree_of() == TREE
    trace = Trace.objects.get()
    assert (trace.trace_id, trace.owner, trace.owned_by_sender, trace.name) == (TRACE, writer, True, "solo")
    assert (trace.model_calls, trace.tool_calls, trace.input_tokens, trace.output_tokens) == (1, 1, 11, 7)
    assert trace.metadata == {"service": "my-agent"}
    assert [event["timestamp"][17:26] for event in events_of()] == [f"00.00{n}000" for n in (0, 1, 4, 5, 8, 9)]


def test_both_encodings_say_the_same(send: Send) -> None:
    """Of attributes of every type, of errors and of exceptions."""
    said = {"a": "text", "b": True, "c": 2**62, "d": 1.5, "e": ["x", 1]}
    stack = {"exception.type": "openai.RateLimitError", "exception.message": "slow", "exception.stacktrace": "at x"}
    told = []
    for number, kind in enumerate([PROTOBUF, JSON]):
        trace = f"{number + 1:032x}"
        span = model(7, attributes=said, error="bad", exception=stack, trace=trace)
        assert send([span], kind).status_code == 200
        told.append([(event["event"], event["details"], event["timestamp"]) for event in events_of(trace)])
    assert told[0] == told[1]
    end = told[0][1][1]
    assert end["attributes"] == said
    assert (end["error"], end["error_type"], end["traceback"]) == ("slow", "openai.RateLimitError", "at x")


@KINDS
def test_the_route_works_below_a_prefix(writer: User, settings: Settings, kind: str) -> None:
    """A project includes it where it likes."""
    settings.ROOT_URLCONF = __name__
    client: Any = APIClient()
    client.force_authenticate(writer)
    assert client.generic("POST", "/v1/traces", encoded(RUN, kind), kind).status_code == 404
    assert client.generic("POST", "/some/where/v1/traces", encoded(RUN, kind), kind).status_code == 200


@KINDS
def test_a_repeated_request_stores_nothing(send: Send, kind: str) -> None:
    """Exporters send again what they are not sure of."""
    send(RUN, kind)
    before = events_of(), Trace.objects.values().get()
    assert send(RUN, kind).status_code == 200
    assert (events_of(), Trace.objects.values().get()) == before


@KINDS
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_gzip(send: Send, kind: str, encoding: str) -> None:
    """As exporters send it when they are told to."""
    body = gzip.compress(encoded(RUN, kind))
    response = send((), kind, body, **{"Content-Encoding": encoding})
    assert response.status_code == 200
    assert tree_of() == TREE


@KINDS
@pytest.mark.parametrize("body", [b"no gzip", PACKED[:-3], PACKED + b"more"], ids=["other", "cut", "more"])
def test_what_is_no_gzip_is_refused(send: Send, kind: str, body: bytes) -> None:
    """400, and no exception."""
    assert send((), kind, body, **{"Content-Encoding": "gzip"}).status_code == 400


@KINDS
def test_what_unpacks_to_too_much_is_refused_early(send: Send, kind: str) -> None:
    """A bomb is unpacked no further than the bound."""
    bomb = gzip.compress(b" " * (MAX_BYTES + 1))
    assert len(bomb) < 10_000
    response = send((), kind, bomb, **{"Content-Encoding": "gzip"})
    assert response.status_code == 413
    assert str(MAX_BYTES) in failure_of(response)


@KINDS
def test_large_requests_are_taken_up_to_a_bound(send: Send, kind: str) -> None:
    """8 MiB, which is more than Django takes of other requests."""
    large = [tool(n, attributes={"filling": "x" * 100_000}) for n in range(1, 83)]
    assert MAX_BYTES - 500_000 < len(encoded(large, kind)) < MAX_BYTES
    assert send(large, kind).status_code == 200
    assert Event.objects.count() == 2 * len(large)
    assert send([*large, *large[:3]], kind).status_code == 413


@KINDS
@pytest.mark.parametrize(
    ("status", "path", "size", "header"),
    [
        (413, "/v1/traces", MAX_BYTES + 1, {}),
        (411, "/v1/traces", 0, {"Transfer-Encoding": "chunked"}),
        (400, "/v1/traces?a=%00", 9, {}),
    ],
)
def test_what_is_refused_before_it_is_read_is_answered_as_it_was_asked(
    writer: User, kind: str, status: int, path: str, size: int, header: dict[str, str]
) -> None:
    """By what its headers and its address say."""
    client: Any = APIClient()
    client.force_authenticate(writer)
    response = client.generic("POST", path, b" " * size, kind, headers=header)
    assert (response.status_code, response["Content-Type"]) == (status, kind)
    assert failure_of(response)


@KINDS
def test_more_spans_than_are_taken_are_refused(send: Send, kind: str) -> None:
    """10,000 in a request."""
    too_many = [http(n) for n in range(1, MAX_SPANS + 2)]
    response = send(too_many, kind)
    assert response.status_code == 413
    assert str(MAX_SPANS) in failure_of(response)
    assert send(too_many[:-1], kind).status_code == 200


@pytest.mark.parametrize("group", [{}, {"scopeSpans": [{}]}])
def test_more_groups_than_spans_are_taken_are_refused(send: Send, group: dict[str, Any]) -> None:
    """They take time, too, and are looked at before any span is."""
    groups = {"resourceSpans": [group] * (MAX_SPANS + 1)}
    assert send((), JSON, orjson.dumps(groups)).status_code == 413
    body = json_format.ParseDict(groups, ExportTraceServiceRequest()).SerializeToString()
    assert send((), PROTOBUF, body).status_code == 413


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (PROTOBUF, b"\xff\xffnonsense"),
        (JSON, b"nonsense"),
        (JSON, b"[]"),
        (JSON, b'{"resourceSpans": 3}'),
        (JSON, b'{"resourceSpans": [{"scopeSpans": {}}]}'),
        (JSON, b'{"resourceSpans": [7]}'),
    ],
)
def test_nonsense_is_a_bad_request(send: Send, kind: str, body: bytes) -> None:
    """400, in the encoding of the request."""
    response = send((), kind, body)
    assert (response.status_code, response["Content-Type"]) == (400, kind)
    assert failure_of(response)


def test_what_is_empty_is_taken(send: Send) -> None:
    """Nothing to say is nothing wrong."""
    assert (send((), PROTOBUF, b"").status_code, send((), JSON, b"{}").status_code) == (200, 200)
    assert not Trace.objects.exists()


@pytest.mark.parametrize("kind", ["text/plain", ""])
def test_other_types_are_not_known(send: Send, kind: str) -> None:
    """415."""
    assert send((), kind, b"{}").status_code == 415
    assert send(RUN, JSON, **{"Content-Encoding": "br"}).status_code == 415


def wrong_in_protobuf() -> bytes:
    request = as_protobuf([*RUN, Sent(4, "x"), Sent(5, "x"), Sent(6, "x")])
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[3].span_id, spans[4].trace_id, spans[5].start_time_unix_nano = b"12", b"", 0
    body: bytes = request.SerializeToString()
    return body


def wrong_in_json() -> bytes:
    request = as_json([*RUN, Sent(4, "x"), Sent(5, "x"), Sent(6, "x")])
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[3]["spanId"], spans[4]["traceId"], spans[5]["attributes"] = "12", None, 3
    return orjson.dumps(request)


@KINDS
def test_a_wrong_span_is_refused_alone(send: Send, kind: str) -> None:
    """The others are stored; the answer says how many are not, and why."""
    response = send((), kind, wrong_in_protobuf() if kind == PROTOBUF else wrong_in_json())
    assert response.status_code == 200
    count, why = partial_of(response)
    assert count == 3
    assert "a span id is 8 bytes" in why
    assert "a trace id is 16 bytes" in why
    assert tree_of() == TREE


@KINDS
@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.input.messages": '[{"role":"assistant","tool_calls":1}]'},
        {"gen_ai.input.messages": '[{"role":"user","content":[{"text":"x","type":{}}]}]'},
        {"gen_ai.completion.0.tool_calls": 5},
    ],
)
def test_an_odd_attribute_costs_nothing(send: Send, kind: str, said: dict[str, Any]) -> None:
    """Neither its span, nor others."""
    response = send([agent(1), model(2, 1, attributes=said)], kind)
    assert (response.status_code, partial_of(response)) == (200, (0, ""))
    assert [event["event"] for event in events_of()][-1] == "llm_call_complete"


def test_what_nobody_has_thought_of_costs_one_span(
    send: Send, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, without what was said."""

    def told(span: OtelSpan, shape: Shape) -> dict[str, Any]:
        if span.name == "execute_tool odd":
            raise KeyError(span.span_id)
        return details_of(span, shape)

    monkeypatch.setattr(receiving, "details_of", told)
    assert partial_of(send([*RUN, tool(9, "odd", 1)])) == (1, "1 x it cannot be told")
    assert tree_of() == TREE
    (record,) = caplog.records
    assert ("KeyError" in record.getMessage(), f"{9:016x}" in record.getMessage()) == (True, False)


@pytest.mark.parametrize("events", [[None], ["x"], [{"name": 5}], 7])
def test_events_of_a_span_that_are_none(send: Send, events: Any) -> None:
    """The span is refused, and no other."""
    request = as_json([*RUN, tool(9, "odd", 1)])
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][-1]["events"] = events
    assert partial_of(send((), JSON, orjson.dumps(request)))[0] == 1
    assert tree_of() == TREE


def test_integers_as_javascript_writes_them(send: Send) -> None:
    """And one that is none."""
    request = as_json([tool(9, "odd")])
    values = {"whole": 5.0, "large": 1e21, "none": None}
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] += [
        {"key": key, "value": {"intValue": value}} for key, value in values.items()
    ]
    assert partial_of(send((), JSON, orjson.dumps(request))) == (0, "")
    told = events_of()[-1]["details"]["attributes"]
    assert (told["whole"], float(told["large"]), told["none"]) == (5, 1e21, None)


def test_doubles_that_are_texts(send: Send) -> None:
    """As protobuf's JSON may have them; those that JSON has no number for are told as of protobuf."""
    request = as_json([tool(1, "of json")])
    texts, values = ["0.5", "1e3", "NaN", "-Infinity", "odd"], [0.5, 1000.0, float("nan"), float("-inf"), "odd"]
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] += [
        {"key": f"n{number}", "value": {"doubleValue": text}} for number, text in enumerate(texts)
    ]
    send((), JSON, orjson.dumps(request))
    numbers = {f"n{number}": value for number, value in enumerate(values)}
    send([tool(3, "of protobuf", attributes=numbers)])
    ends = [event["details"] for event in events_of() if event["event"] == "tool_call_complete"]
    told = {end["call_id"][-1]: end.get("attributes") for end in ends}
    assert told["1"] == told["3"]
    assert (told["1"]["n0"], told["1"]["n1"], told["1"]["n4"]) == (0.5, 1000.0, "odd")


def test_unknown_fields_and_numbers_as_numbers(send: Send) -> None:
    """Of JSON, what a later version adds is ignored; 64 bits may come as a number."""
    request = as_json(RUN)
    request["later"] = [1]
    span = request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"later": {"a": 1}, "startTimeUnixNano": int(span["startTimeUnixNano"]), "spanId": span["spanId"].upper()}
    assert partial_of(send((), JSON, orjson.dumps(request))) == (0, "")
    assert tree_of() == TREE


@KINDS
def test_no_token_and_no_right(kind: str, settings: Settings) -> None:
    """401 and 403; nothing is stored."""
    settings.TRACE_STREAMING_AUTHENTICATION_CLASSES = ["rest_framework.authentication.BasicAuthentication"]
    client: Any = APIClient()
    response = client.generic("POST", "/v1/traces", encoded(RUN, kind), kind)
    assert (response.status_code, response["Content-Type"]) == (401, kind)
    client.force_authenticate(User.objects.create_user("reader"))
    response = client.generic("POST", "/v1/traces", encoded(RUN, kind), kind)
    assert response.status_code == 403
    assert "takes the permission trace_streaming.add_event" in failure_of(response)
    assert not Trace.objects.exists()


def test_traces_of_others_are_refused_alone(send: Send) -> None:
    """An owner without the permission adds to his own traces, and to no other."""
    send(RUN)
    owner = User.objects.create_user("owner")
    Trace.objects.update(owner=owner)
    client: Any = APIClient()
    client.force_authenticate(owner)
    new = [tool(9, "more", 1), tool(8, trace="1" * 32)]
    response = client.generic("POST", "/v1/traces", encoded(new), PROTOBUF)
    assert partial_of(response) == (1, "1 x the trace is not there, or may not be added to")
    assert Trace.objects.count() == 1
    assert Event.objects.count() == 8


def test_a_full_trace_says_so(send: Send, settings: Settings) -> None:
    """The limits of a trace are those of every door."""
    settings.TRACE_STREAMING_LIMITS = {"total_events_per_trace": 4}
    count, why = partial_of(send(RUN))
    assert 0 < count < len(RUN)
    assert "as many events as it may have" in why
    assert partial_of(send([tool(8), tool(9)]))[0] == 2


def test_a_project_without_agent_events_says_so(send: Send, settings: Settings) -> None:
    """Tools are canonical; models are told to be declared."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ()
    count, why = partial_of(send(RUN))
    assert (count, "AGENT_EVENTS" in why) == (2, True)
    assert [event["event"] for event in events_of()] == ["tool_call_start", "tool_call_complete"]


@KINDS
def test_a_full_queue_is_too_many_requests(send: Send, settings: Settings, kind: str) -> None:
    """429, and when to come again."""
    settings.TRACE_STREAMING_QUEUE_SIZE = 5
    response = send(RUN, kind)
    assert (response.status_code, response["Retry-After"]) == (429, "5")
    assert failure_of(response)


@KINDS
def test_a_database_that_is_away(send: Send, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """503, and when to come again; what comes again then is stored once."""

    def away(*args: object) -> None:
        raise OperationalError

    monkeypatch.setattr(left_out, "leave_out", away)
    response = send(RUN, kind)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    monkeypatch.undo()
    assert (send(RUN, kind).status_code, send(RUN, kind).status_code) == (200, 200)
    assert tree_of() == TREE


@KINDS
def test_who_delivers_events_has_the_interpreter_with_each_span(
    send: Send, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """While they are read, sorted out, told and stored: four times, and once more for the second event of each."""
    given: list[float] = []
    monkeypatch.setattr(turns, "HOLD_SECONDS", -1.0)
    monkeypatch.setattr(turns, "sleep", given.append)
    spans = [tool(number) for number in range(1, 51)]
    assert send(spans, kind).status_code == 200
    assert given == [0] * 5 * len(spans)


@KINDS
def test_who_waits_too_long_for_his_turn(send: Send, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """503, and when to come again; the turn of the other stays his."""
    monkeypatch.setattr(turns, "SYNC_SECONDS", 0.01)
    with turns.own_turn():
        response = send(RUN, kind)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert not Trace.objects.exists()
    assert send(RUN, kind).status_code == 200
    assert tree_of() == TREE


def test_secrets_are_hidden(send: Send) -> None:
    """Before anything is stored, as everywhere."""
    secret = "sk-proj-" + "a1B2" * 12
    send([tool(3, attributes={"gen_ai.tool.call.arguments": f'{{"api_key": "{secret}"}}', "note": f"key {secret}"})])
    assert secret not in str(list(Event.objects.values_list("text", flat=True)))
    assert recorder.flush(60)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in it, with a key or an index."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


STRANGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=4)
    | st.sampled_from(["f" * 16, "-1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_body_makes_the_door_fail(send: Send, data: st.DataObject) -> None:
    """Anything in the place of anything; bytes that are others."""
    request = as_json(RUN)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(list(places(request))))
        container[key] = data.draw(STRANGE)
    assert send((), JSON, orjson.dumps(request)).status_code in {200, 400}
    body = bytearray(encoded(RUN))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert send((), PROTOBUF, bytes(body)).status_code in {200, 400}


def test_the_thread_of_a_process_ends_its_traces(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started by what comes, and looks every two seconds."""
    monkeypatch.setattr(endings_module, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(endings_module, "BEAT_SECONDS", 0.01)
    ended = threading.Event()

    def told(**kwargs: Any) -> None:
        ended.set()

    trace_ended.connect(told)
    try:
        send(RUN)
        assert ended.wait(30)
    finally:
        trace_ended.disconnect(told)
    assert recorder.flush(60)
    assert Trace.objects.get().state == "success"
