"""OTLP's JSON: requests as spans, and answers.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: names in camelCase, ids in hexadecimal, enums as
numbers, integers of 64 bits as texts; what is not known is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from rest_framework.exceptions import ParseError

from trace_streaming.access.bodies import read_json
from trace_streaming.conventions.otel_spans import NO_PARENT, OtelSpan, SpanEvent, check_span

from .requests import Refusals, Request
from .turns import give_way

_ERROR: Final = 2
_INTEGER_LENGTH: Final = 20
"""Digits, and a sign, of an integer of 64 bits."""
_DOUBLE_LENGTH: Final = 32
"""Characters of a double, and some more."""


def read(body: bytes) -> Request:
    """The spans of an ``ExportTraceServiceRequest``; :exc:`ParseError` for what is none."""
    told = read_json(body)
    if not isinstance(told, Mapping):
        raise ParseError("An object with resourceSpans is expected")
    request = Request()
    try:
        for group in _list(told, "resourceSpans"):
            resource = _attributes(_object(group, "resource"))
            if not (groups := _list(group, "scopeSpans")):
                request.announce(0)
            for scoped in groups:
                scope = str(_object(scoped, "scope").get("name") or "")
                request.announce(len(spans := _list(scoped, "spans")))
                for each in spans:
                    give_way()
                    _take(request, each, scope, resource)
    except (TypeError, ValueError, RecursionError) as error:
        raise ParseError(f"Not an ExportTraceServiceRequest: {error}") from None
    return request


def _take(request: Request, each: Any, scope: str, resource: dict[str, Any]) -> None:
    """One span; one that is wrong is refused, and the others are taken."""
    try:
        span = _span(each, scope, resource)
        check_span(span)
    except (TypeError, ValueError, RecursionError) as error:
        request.refused.add(error)
    else:
        request.spans.append(span)


def answer(refused: Refusals) -> bytes:
    """An ``ExportTraceServiceResponse``."""
    if not refused.count:
        return b"{}"
    partial = {"rejectedSpans": str(refused.count), "errorMessage": refused.message}
    return orjson.dumps({"partialSuccess": partial})


def failure(code: int, message: str) -> bytes:
    """A ``google.rpc.Status``."""
    return orjson.dumps({"code": code, "message": message})


def _span(each: Any, scope: str, resource: dict[str, Any]) -> OtelSpan:
    if not isinstance(each, Mapping):
        raise ValueError("a span is an object")  # noqa: TRY004  of a value
    status = _object(each, "status")
    parent_id = _text(each, "parentSpanId").lower()
    return OtelSpan(
        _text(each, "traceId").lower(),
        _text(each, "spanId").lower(),
        "" if parent_id == NO_PARENT else parent_id,
        _text(each, "name"),
        _integer(each.get("startTimeUnixNano") or 0),
        _integer(each.get("endTimeUnixNano") or 0),
        _attributes(each),
        scope,
        [SpanEvent(_text(event, "name"), _attributes(event)) for event in _list(each, "events")],
        status.get("code") in {_ERROR, "STATUS_CODE_ERROR"},
        _text(status, "message"),
        resource,
    )


def _object(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"an object with {key} is expected")  # noqa: TRY004  of a value
    inner = value.get(key)
    if inner is None:
        return {}
    if not isinstance(inner, Mapping):
        raise ValueError(f"{key} is no object")  # noqa: TRY004  of a value
    return inner


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"an object with {key} is expected")  # noqa: TRY004  of a value
    inner = value.get(key)
    if inner is None:
        return []
    if not isinstance(inner, list):
        raise ValueError(f"{key} is no list")  # noqa: TRY004  of a value
    return inner


def _text(value: Any, key: str) -> str:
    if not isinstance(value, Mapping):
        raise ValueError(f"an object with {key} is expected")  # noqa: TRY004  of a value
    inner = value.get(key)
    if inner is None:
        return ""
    if not isinstance(inner, str):
        raise ValueError(f"{key} is no text")  # noqa: TRY004  of a value
    return inner


def _integer(value: Any) -> int:
    if isinstance(value, str) and len(value) <= _INTEGER_LENGTH:
        return int(value)
    if isinstance(value, float) and value.is_integer():  # as JavaScript writes 1e21
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("an integer of 64 bits is expected")  # noqa: TRY004  of a value
    return value


def _double(value: Any) -> Any:
    """A number, which may be written as a text: ``NaN`` and the like are in JSON."""
    try:
        return float(value) if isinstance(value, str) and len(value) <= _DOUBLE_LENGTH else value
    except ValueError:
        return value


def _attributes(value: Mapping[str, Any], key: str = "attributes") -> dict[str, Any]:
    return dict(_pairs(value, key))


def _pairs(value: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    for pair in _list(value, key):
        yield _text(pair, "key") if isinstance(pair, Mapping) else "", _value(_object(pair, "value"))


def _value(value: Mapping[str, Any]) -> Any:
    """Of an ``AnyValue``: a value of JSON's types; bytes in base64, as they come."""
    for kind, inner in value.items():
        match kind:
            case "intValue":
                return None if inner is None else _integer(inner)
            case "arrayValue":
                return [_value(item) if isinstance(item, Mapping) else None for item in _list(inner or {}, "values")]
            case "kvlistValue":
                return _attributes(inner or {}, "values")
            case "doubleValue":
                return _double(inner)
            case "stringValue" | "boolValue" | "bytesValue":
                return inner
    return None
