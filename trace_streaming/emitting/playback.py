"""Recordings of runs, one JSON event per line, and how they are emitted again as live events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import orjson

from trace_streaming.conf import conf
from trace_streaming.events import (
    check_event_name,
    check_status,
    check_timestamp,
    check_trace_id,
    event_names,
    parse_json,
    parse_timestamp,
)

from .emitter import TraceEmitter

MAX_PAUSE_SECONDS: Final = 86_400.0
"""A longer pause of a recording is as long as this: a wrong clock stands behind it, and no system sleeps centuries."""


class Timed(Protocol):
    """What happens at a time."""

    @property
    def timestamp(self) -> datetime | None:
        """When it happened."""


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event of a recording."""

    event: str
    trace_id: str
    details: dict[str, Any]
    status: str
    timestamp: datetime | None = None
    """When it happened; paces the playing."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a recording that holds no event."""

    number: int
    """Counted from 1."""
    reason: str


def read_recording(lines: Iterable[str | bytes]) -> Iterator[RecordedEvent | BadLine]:
    """Read JSON lines; blank ones are skipped, and what is no event is named."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _parse(parse_json(line))
        except orjson.JSONDecodeError:
            yield BadLine(number, "not JSON")
        except (ValueError, TypeError, KeyError) as error:
            yield BadLine(number, f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error))


def _parse(recorded: Any) -> RecordedEvent:
    if not isinstance(recorded, dict):
        raise TypeError("not a JSON object")
    details = recorded.get("details", {})
    if not isinstance(details, dict):
        raise TypeError("details is not an object")
    timestamp = recorded.get("timestamp")
    return RecordedEvent(
        check_event_name(recorded["event"], event_names(conf.EXTRA_EVENTS)),
        check_trace_id(recorded["trace_id"]),
        details,
        check_status(recorded.get("status", "pending")),
        None if timestamp is None else check_timestamp(parse_timestamp(timestamp)),
    )


def paced(events: Iterable[T], speed: float = 1.0, sleep: Callable[[float], object] = time.sleep) -> Iterator[T]:
    """Each when it is its time.

    :param speed: 2 is twice as fast as recorded, 0 is without pauses
    :param sleep: takes seconds
    """
    last: datetime | None = None
    for event in events:
        if speed and last is not None and event.timestamp is not None:
            pause = max((event.timestamp - last).total_seconds(), 0) / speed
            sleep(min(pause, MAX_PAUSE_SECONDS))
        if event.timestamp is not None:
            last = event.timestamp if last is None else max(last, event.timestamp)
        yield event


def play(
    events: Iterable[RecordedEvent],
    rename: Callable[[str], str] = str,
    speed: float = 1.0,
    sleep: Callable[[float], object] = time.sleep,
    *,
    name: Callable[[str], str | None] = lambda _: None,
) -> dict[str, TraceEmitter]:
    """Emit recorded events as live ones, at the recorded pace, and end their traces.

    A trace ends with ``error`` when one of its events has that status, with ``incomplete`` when the playing is
    interrupted, otherwise with ``success``.

    :param rename: gives the trace id to play a recorded trace under
    :param speed: 2 is twice as fast as recorded, 0 is without pauses
    :param sleep: takes seconds
    :param name: what to call a trace, by its recorded id
    :returns: the emitters, by the trace id they played under
    """
    emitters: dict[str, TraceEmitter] = {}
    failed: set[str] = set()
    try:
        for event in paced(events, speed, sleep):
            trace_id = rename(event.trace_id)
            emitter = emitters.get(trace_id)
            if emitter is None:
                emitter = emitters[trace_id] = TraceEmitter(trace_id, name=name(event.trace_id))
            emitter.emit(event.event, event.details, event.status)
            if event.status == "error":
                failed.add(trace_id)
    except BaseException:
        for emitter in emitters.values():
            emitter.end("incomplete")
        raise
    for trace_id, emitter in emitters.items():
        emitter.end("error" if trace_id in failed else "success")
    return emitters
