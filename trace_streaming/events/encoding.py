"""The one encoding of an event: for the database's readers, and for the wire."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from .records import TraceEvent
from .texts import cut

MAX_TOOL_NAME_LENGTH: Final = 200
MAX_DURATION_MS: Final = 1e15
"""Milliseconds, 31,000 years: what is longer was counted in another unit. Sums of what is shorter are finite."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9998, 12, 31, tzinfo=UTC)
_LARGE_INTEGER: Final = re.compile(rb"[0-9]{19}")
_TOKENS: Final = re.compile(rb""""(?:[^"\\]|\\.)*+"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?""", re.DOTALL)
_MAX_INTEGER: Final = 2**63 - 1


class EncodedEvent(NamedTuple):
    """A numbered event as every watcher gets it, with what a filter needs to know of it."""

    sequence: int
    event: str
    status: str
    text: str
    """The JSON object of the wire protocol."""


def lifted_tool_name(details: Mapping[str, Any]) -> str | None:
    """``tool`` or ``tool_name`` of frozen details, at most ``MAX_TOOL_NAME_LENGTH`` characters."""
    name = details.get("tool") or details.get("tool_name")
    if not isinstance(name, str) or not name:
        return None
    # PostgreSQL's text cannot hold NUL; inside the JSON text of the details it is escaped.
    return cut(name, MAX_TOOL_NAME_LENGTH).replace("\x00", "\ufffd")


def lifted_duration_ms(details: Mapping[str, Any]) -> float | None:
    """``duration_ms`` of frozen details, in milliseconds, when it can be a duration."""
    value = details.get("duration_ms")
    return None if value is None else possible_ms(value)


def possible_ms(value: object) -> float | None:
    """A number of milliseconds from 0 to ``MAX_DURATION_MS`` as a float; None for everything else."""
    number = value if type(value) is float else finite_number(value)
    return number if number is not None and 0 <= number <= MAX_DURATION_MS else None


def finite_number(value: object) -> float | None:
    """A number as a float; None for everything else, and for what no float can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def format_timestamp(timestamp: datetime) -> str:
    """ISO 8601 with six digits, of an aware time in UTC."""
    return timestamp.isoformat("T", "microseconds")  # by position: a quarter quicker


def parse_timestamp(text: str) -> datetime:
    """Read ISO 8601; UTC when it names no zone. Raises ``ValueError`` or ``TypeError`` for anything else."""
    timestamp = datetime.fromisoformat(text)
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def check_timestamp(timestamp: datetime) -> datetime:
    """Return an aware time in UTC, or raise ``ValueError`` for what some time zone, or some reader, cannot show.

    That is before 1970, from which browsers, Perfetto and file systems count, and in or behind 9999, the last year of
    Python's and of databases: of its end it is the year 10000 already in the east.
    """
    if not isinstance(timestamp, datetime):
        raise ValueError(f"Bad timestamp: a datetime is expected, and not {type(timestamp).__name__}")  # noqa: TRY004  as for all others
    if timestamp.tzinfo is None or not EARLIEST <= timestamp <= LATEST:
        raise ValueError(f"Bad timestamp: {timestamp.isoformat()} is not from 1970 to 9998")
    return timestamp.astimezone(UTC)


def parse_json(text: str | bytes) -> Any:
    """Like ``orjson.loads``; integers of more than 64 bits, of which that makes floats, become their digits as text.

    :raises orjson.JSONDecodeError: a ``ValueError``, for what is no JSON, and for floats that are too large
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    if _LARGE_INTEGER.search(data) is None:
        return orjson.loads(data)
    orjson.loads(data)  # raises for what is no JSON, of which tokens could be made
    return orjson.loads(_TOKENS.sub(_as_text_if_large, data))


def _as_text_if_large(token: re.Match[bytes]) -> bytes:
    digits = token[0]
    is_integer = len(digits) >= 19 and digits.removeprefix(b"-").isdigit()
    if not is_integer or (len(digits) <= 20 and abs(int(digits)) <= _MAX_INTEGER):
        return digits
    return b'"%s"' % digits


def emitted_at(event: EncodedEvent) -> float:
    """When it was emitted, in seconds since 1970; read from where :func:`event_text` has put it."""
    start = event.text.index('"timestamp":"') + 13
    return datetime.fromisoformat(event.text[start : start + 32]).timestamp()


def event_text(
    event: str,
    trace_id: str,
    timestamp: str,
    details: str,
    status: str,
    sequence: int,
    tool_name: str | None,
    duration_ms: float | None,
) -> str:
    """An event as every watcher gets it: the only place where one becomes text.

    Names, statuses and trace ids hold no character that JSON escapes, so they are spliced, as the details are.

    :param timestamp: as of :func:`format_timestamp`
    :param details: JSON object text
    """
    tool = "" if tool_name is None else f',"tool_name":{orjson.dumps(tool_name).decode()}'
    duration = "" if duration_ms is None else f',"duration_ms":{duration_ms!r}'
    return (
        f'{{"event":"{event}","trace_id":"{trace_id}","timestamp":"{timestamp}",'
        f'"details":{details},"status":"{status}","sequence":{sequence}{tool}{duration}}}'
    )


def encode_event(event: TraceEvent, sequence: int, timestamp: str | None = None) -> EncodedEvent:
    """Number and encode an event.

    :param timestamp: its own, as of :func:`format_timestamp`, where that is known already
    """
    text = event_text(
        event.event,
        event.trace_id,
        timestamp or format_timestamp(event.timestamp),
        event.details,
        event.status,
        sequence,
        event.tool_name,
        event.duration_ms,
    )
    return EncodedEvent(sequence, event.event, event.status, text)
