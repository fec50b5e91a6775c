"""Events as dictionaries: what an emitter would have made of them, or a text for their sender."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from trace_streaming.emitting.project_events import event_from
from trace_streaming.events import encode_event
from trace_streaming.exceptions import InvalidEventIdError, InvalidTraceIdError

FULL = {
    "event": "tool_call_complete",
    "details": {"tool": "search", "duration_ms": 5, "password": "hunter2"},
    "status": "success",
    "timestamp": "2026-01-05T13:00:00+01:00",
    "event_id": "run-1/7",
}


def test_all_of_it_is_taken_and_redacted() -> None:
    """The time is in UTC; what is lifted from the details is there."""
    event = event_from("t", FULL)
    assert (event.event, event.status, event.tool_name, event.duration_ms) == (
        "tool_call_complete",
        "success",
        "search",
        5.0,
    )
    assert (event.timestamp, event.event_id) == (datetime(2026, 1, 5, 12, tzinfo=UTC), "run-1/7")
    assert "hunter2" not in event.details


def test_what_the_wire_carries_may_come_back() -> None:
    """An exported line is an event again, the same one."""
    text = encode_event(event_from("t", FULL), 7).text
    assert encode_event(event_from("t", orjson.loads(text)), 7).text == text


def test_only_the_name_is_needed() -> None:
    """The rest is as an emitter has it."""
    event = event_from("t", {"event": "plan_created"})
    assert (event.details, event.status, event.event_id) == ("{}", "pending", None)
    assert abs((datetime.now(UTC) - event.timestamp).total_seconds()) < 60


@pytest.mark.parametrize("bad", ["", "x" * 65, "a b", "é", "a\n", 7, True, [], {}])
def test_a_bad_event_id(bad: Any) -> None:
    """It would not be found again."""
    with pytest.raises(InvalidEventIdError, match="Invalid event id"):
        event_from("t", {**FULL, "event_id": bad})


@pytest.mark.parametrize("bad", ["yesterday", 12, [], "0001-01-01T00:00:00+05:00"])
def test_a_bad_time(bad: Any) -> None:
    """Named, and not guessed."""
    with pytest.raises(ValueError, match="Bad timestamp"):
        event_from("t", {**FULL, "timestamp": bad})


def test_a_bad_trace_id() -> None:
    """As everywhere."""
    with pytest.raises(InvalidTraceIdError):
        event_from("a b", FULL)
