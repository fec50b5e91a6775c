"""Values, ids and times as OTLP's JSON has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import orjson

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEX: Final = re.compile(r"(?!0+\Z)[0-9a-f]+")


def attributes(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without those that are None."""
    return [{"key": key, "value": value_of(value)} for key, value in told.items() if value is not None]


def value_of(value: Any) -> dict[str, Any]:
    """An ``AnyValue``; what OTLP has no type for is JSON in a text."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list() if all(isinstance(item, str | bool | int | float) for item in value):
            return {"arrayValue": {"values": [value_of(item) for item in value]}}
    return {"stringValue": text_of(value)}


def json_text(value: Any) -> str | None:
    """As :func:`text_of`; None stays None."""
    return None if value is None else text_of(value)


def text_of(value: Any) -> str:
    """A text as it is, all else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def span_id(trace_id: str, name: str) -> str:
    """An id of OpenTelemetry's is its own; another is made one, always the same."""
    return name if len(name) == 16 and _HEX.fullmatch(name) else hex_id(f"{trace_id} {name}", 16)


def hex_id(name: str, length: int) -> str:
    """So many hexadecimal digits: of OpenTelemetry's ids their own, of all other names always the same."""
    return name if len(name) == length and _HEX.fullmatch(name) else sha256(name.encode()).hexdigest()[:length]


def nanoseconds(at: datetime) -> int:
    """Since 1970; what was before that, or then, is behind it: a span has a start."""
    return max((at - _EPOCH) // timedelta(microseconds=1) * 1000, 1)
