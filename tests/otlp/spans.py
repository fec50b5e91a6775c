"""Spans as a program elsewhere would send them, in both encodings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
BEGIN: Final = 1_767_614_400 * 10**9
"""2026-01-05 12:00 UTC."""
MS: Final = 10**6


@dataclass(frozen=True)
class Sent:
    """A span; times are milliseconds since ``BEGIN``."""

    number: int
    name: str
    parent: int = 0
    start: float = 0
    end: float = 10
    attributes: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    exception: dict[str, str] = field(default_factory=dict)
    trace: str = TRACE
    resource: tuple[tuple[str, Any], ...] = (("service.name", "my-agent"),)

    @property
    def span_id(self) -> str:
        return f"{self.number:016x}"

    @property
    def start_ns(self) -> int:
        return BEGIN + round(self.start * MS)

    @property
    def end_ns(self) -> int:
        return BEGIN + round(self.end * MS)


def agent(number: int, name: str = "solo", parent: int = 0, **rest: Any) -> Sent:
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, **rest.pop("attributes", {})}
    return Sent(number, f"invoke_agent {name}", parent, attributes=said, **rest)


def model(number: int, parent: int = 0, tokens: tuple[int, int] = (11, 7), **rest: Any) -> Sent:
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "fake-1",
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        **rest.pop("attributes", {}),
    }
    return Sent(number, "chat fake-1", parent, attributes=said, **rest)


def tool(number: int, name: str = "lookup", parent: int = 0, **rest: Any) -> Sent:
    said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, **rest.pop("attributes", {})}
    return Sent(number, f"execute_tool {name}", parent, attributes=said, **rest)


def http(number: int, parent: int = 0, **rest: Any) -> Sent:
    said = {"http.request.method": "POST", "url.full": "http://model/", **rest.pop("attributes", {})}
    return Sent(number, "POST", parent, attributes=said, **rest)


def as_json(spans: Iterable[Sent]) -> dict[str, Any]:
    """A request, to be changed before it is encoded."""
    groups = groupby(spans, key=lambda span: span.resource)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _json_attributes(dict(resource))},
                "scopeSpans": [{"scope": {"name": "my.agent"}, "spans": [_json_span(span) for span in group]}],
            }
            for resource, group in groups
        ]
    }


def _json_span(span: Sent) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": span.trace,
        "spanId": span.span_id,
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _json_attributes(span.attributes),
        "status": {"code": 2, "message": span.error} if span.error else {},
    }
    if span.parent:
        told["parentSpanId"] = f"{span.parent:016x}"
    if span.exception:
        told["events"] = [{"name": "exception", "attributes": _json_attributes(span.exception)}]
    return told


def _json_attributes(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _json_value(value)} for key, value in attributes.items()]


def _json_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_json_value(item) for item in value]}}
    return {"stringValue": str(value)}


def as_protobuf(spans: Iterable[Sent]) -> Any:
    request = ExportTraceServiceRequest()
    for resource, group in groupby(spans, key=lambda span: span.resource):
        told = request.resource_spans.add()
        told.resource.attributes.extend(_attributes(dict(resource)))
        scoped = told.scope_spans.add()
        scoped.scope.name = "my.agent"
        for span in group:
            each = scoped.spans.add(
                trace_id=bytes.fromhex(span.trace),
                span_id=bytes.fromhex(span.span_id),
                parent_span_id=bytes.fromhex(f"{span.parent:016x}") if span.parent else b"",
                name=span.name,
                start_time_unix_nano=span.start_ns,
                end_time_unix_nano=span.end_ns,
                attributes=_attributes(span.attributes),
            )
            if span.error:
                each.status.code, each.status.message = 2, span.error
            if span.exception:
                each.events.add(name="exception", attributes=_attributes(span.exception))
    return request


def _attributes(attributes: dict[str, Any]) -> Sequence[Any]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Any) -> Any:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case list():
            told = AnyValue()
            told.array_value.values.extend(_value(item) for item in value)
            return told
    return AnyValue(string_value=str(value))


def encoded(spans: Iterable[Sent], kind: str = PROTOBUF) -> bytes:
    if kind == JSON:
        return orjson.dumps(as_json(spans))
    body: bytes = as_protobuf(spans).SerializeToString()
    return body
