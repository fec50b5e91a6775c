"""OTLP's protobuf: requests as spans, and answers.

https://github.com/open-telemetry/opentelemetry-proto
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from rest_framework.exceptions import ParseError

from trace_streaming.conventions.otel_spans import NO_PARENT, OtelSpan, SpanEvent, check_span
from trace_streaming.extras import needs_extra

from .requests import Refusals, Request
from .turns import give_way

with needs_extra("otlp", "OTLP needs opentelemetry-proto", "google", "opentelemetry"):
    from google.protobuf.message import DecodeError
    from google.rpc.status_pb2 import Status as Failure
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )
    from opentelemetry.proto.trace.v1.trace_pb2 import Status


def read(body: bytes) -> Request:
    """The spans of an ``ExportTraceServiceRequest``; :exc:`ParseError` for what is none."""
    try:
        told = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise ParseError("Not protobuf: an ExportTraceServiceRequest is expected") from None
    request = Request()
    for group in told.resource_spans:
        if not group.scope_spans:
            request.announce(0)
        for scoped in group.scope_spans:
            request.announce(len(scoped.spans))
    for group in told.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            scope = scoped.scope.name
            for each in scoped.spans:
                give_way()
                span = _span(each, scope, resource)
                try:
                    check_span(span)
                except ValueError as error:
                    request.refused.add(error)
                else:
                    request.spans.append(span)
    return request


def answer(refused: Refusals) -> bytes:
    """An ``ExportTraceServiceResponse``."""
    response = ExportTraceServiceResponse()
    if refused.count:
        response.partial_success.rejected_spans = refused.count
        response.partial_success.error_message = refused.message
    encoded: bytes = response.SerializeToString()
    return encoded


def failure(code: int, message: str) -> bytes:
    """A ``google.rpc.Status``."""
    encoded: bytes = Failure(code=code, message=message).SerializeToString()
    return encoded


def _span(each: Any, scope: str, resource: dict[str, Any]) -> OtelSpan:
    status, parent_id = each.status, each.parent_span_id.hex()
    return OtelSpan(
        each.trace_id.hex(),
        each.span_id.hex(),
        "" if parent_id == NO_PARENT else parent_id,
        each.name,
        each.start_time_unix_nano,
        each.end_time_unix_nano,
        _attributes(each.attributes),
        scope,
        [SpanEvent(event.name, _attributes(event.attributes)) for event in each.events],
        status.code == Status.STATUS_CODE_ERROR,
        status.message,
        resource,
    )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    """Of an ``AnyValue``: a value of JSON's types; bytes in base64, as OTLP's JSON has them."""
    match kind := value.WhichOneof("value"):
        case "string_value":  # most are
            return value.string_value
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)
