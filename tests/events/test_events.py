"""An event's names, fields and encoding."""

from __future__ import annotations

import enum
import json
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trace_streaming.events import (
    AGENT_EVENTS,
    CANONICAL_EVENTS,
    MAX_TOOL_NAME_LENGTH,
    STATUSES,
    TRACE_ID_PATTERN,
    TraceEvent,
    check_event_name,
    check_status,
    check_trace_id,
    encode_event,
    event_names,
    format_timestamp,
    lifted_duration_ms,
    lifted_tool_name,
    unknown_names,
)
from trace_streaming.events.freezing import encode
from trace_streaming.exceptions import InvalidTraceIdError, NonCanonicalEventError, NonCanonicalStatusError

NAMES = event_names()


class Name(enum.StrEnum):
    """As a project may name events."""

    PLAN = "plan_created"
    SUCCESS = "success"


class Unhashable(str):
    """A text that no dictionary takes as a key."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


class Nameless:
    """Cannot even be put into an error's text."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize("name", [*CANONICAL_EVENTS, Name.PLAN, Unhashable("plan_created")])
def test_canonical_names_come_back_as_plain_text(name: str) -> None:
    """Whatever kind of text names an event, what goes on is a ``str`` and nothing else."""
    assert type(check_event_name(name, NAMES)) is str
    assert check_event_name(name, NAMES) == str.__str__(name)


@pytest.mark.parametrize("name", ["plan", "", "PLAN_CREATED", "plan_created ", None, 1, b"plan_created", ["a"], {}])
def test_other_names_are_refused_with_the_name_in_the_error(name: object) -> None:
    """The caller reads what was wrong, in the words that existing code looks for."""
    with pytest.raises(NonCanonicalEventError) as raised:
        check_event_name(name, NAMES)
    assert str(raised.value).startswith(f"Non-canonical event: {name}")
    assert isinstance(raised.value, ValueError)


def test_declared_names_are_accepted_beside_the_canonical_ones() -> None:
    """A project's own names add to the canonical ones and replace none."""
    names = event_names(("memory_read",))
    assert check_event_name("memory_read", names) == "memory_read"
    assert check_event_name("plan_created", names) == "plan_created"
    with pytest.raises(NonCanonicalEventError):
        check_event_name("memory_read", NAMES)


@pytest.mark.parametrize("name", AGENT_EVENTS)
def test_names_of_agents_models_and_steps_are_opt_in(name: str) -> None:
    """Whoever has not declared them reads in the error which setting takes them, and which set has them."""
    assert len(CANONICAL_EVENTS) == 10
    assert check_event_name(name, event_names(AGENT_EVENTS)) == name
    with pytest.raises(NonCanonicalEventError, match=r"TRACE_STREAMING_EXTRA_EVENTS.*trace_streaming\.AGENT_EVENTS"):
        check_event_name(name, NAMES)


@pytest.mark.parametrize("status", [*STATUSES, Name.SUCCESS, Unhashable("success")])
def test_statuses_come_back_as_plain_text(status: str) -> None:
    """Whatever kind of text a status is, what goes on is a ``str``."""
    assert type(check_status(status)) is str


@pytest.mark.parametrize("status", ["done", "", "SUCCESS", None, True, [], {}])
def test_other_statuses_are_refused(status: object) -> None:
    """An unknown status is the caller's mistake, and named."""
    with pytest.raises(NonCanonicalStatusError) as raised:
        check_status(status)
    assert str(raised.value).startswith(f"Non-canonical status: {status}")


def test_an_unprintable_name_is_refused_like_any_other() -> None:
    """What cannot be printed is still only a wrong name, not an error of its own."""
    with pytest.raises(NonCanonicalEventError):
        check_event_name(Nameless(), NAMES)


def test_an_unprintable_status_is_refused_like_any_other() -> None:
    """What cannot be printed is still only a wrong status, not an error of its own."""
    with pytest.raises(NonCanonicalStatusError):
        check_status(Nameless())


def test_an_unprintable_trace_id_is_refused_like_any_other() -> None:
    """What cannot be printed is still only a wrong trace id, not an error of its own."""
    with pytest.raises(InvalidTraceIdError):
        check_trace_id(Nameless())


@pytest.mark.parametrize("trace_id", ["a", "t-1", "...", "..a", "A.b_c~d:e@f-9", "x" * 128])
def test_trace_ids_of_the_protocols_letters_are_accepted(trace_id: str) -> None:
    """Every letter of the protocol may be used, up to 128 of them."""
    assert check_trace_id(trace_id) == trace_id


@pytest.mark.parametrize(
    "trace_id", ["", ".", "..", "x" * 129, "a b", "a/b", "a\n", "é", "١", "\ud800", "a\x00", b"a", 1, None]
)
def test_other_trace_ids_are_refused(trace_id: object) -> None:
    """A trace id ends up in URLs, groups and JSON, so nothing else gets through."""
    with pytest.raises(InvalidTraceIdError, match="Invalid trace id"):
        check_trace_id(trace_id)


def test_error_of_a_huge_trace_id_is_short() -> None:
    """A megabyte of nonsense does not become a megabyte of error."""
    with pytest.raises(InvalidTraceIdError) as raised:
        check_trace_id("x" * 1_000_000)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("details", "tool"),
    [
        ({"tool": "search"}, "search"),
        ({"tool_name": "search"}, "search"),
        ({"tool": "a", "tool_name": "b"}, "a"),
        ({"tool": "", "tool_name": "b"}, "b"),
        ({"tool": "x" * 500}, "x" * MAX_TOOL_NAME_LENGTH),
        ({"tool": "a\x00b"}, "a\ufffdb"),
        ({"tool": ["a"]}, None),
        ({"tool": 5}, None),
        ({}, None),
    ],
)
def test_tool_name_is_lifted_from_the_details(details: dict[str, Any], tool: str | None) -> None:
    """A tool is found under both its names, when it is a text that a column can hold."""
    assert lifted_tool_name(details) == tool


@pytest.mark.parametrize(
    ("details", "duration"),
    [({"duration_ms": 5}, 5.0), ({"duration_ms": 2.5}, 2.5), ({"duration_ms": 0}, 0.0)]
    + [({"duration_ms": odd}, None) for odd in (True, "5", None, [5])]
    + [({}, None)],
)
def test_duration_is_lifted_when_it_is_a_number(details: dict[str, Any], duration: float | None) -> None:
    """A duration of zero is a duration; what is no number is none."""
    assert lifted_duration_ms(details) == duration


@pytest.mark.parametrize("microsecond", [0, 1, 250_000])
def test_timestamp_has_six_digits_always(microsecond: int) -> None:
    """Clients may compare timestamps as text."""
    assert format_timestamp(datetime(2026, 1, 5, 12, 0, 0, microsecond, UTC)) == (
        f"2026-01-05T12:00:00.{microsecond:06}+00:00"
    )


FINITE = st.floats(allow_nan=False, allow_infinity=False)
DETAILS = st.dictionaries(st.text(), st.none() | st.booleans() | FINITE | st.text() | st.lists(st.text()))


@hypothesis.settings(deadline=None)
@given(
    event=st.sampled_from(CANONICAL_EVENTS),
    trace_id=st.from_regex(TRACE_ID_PATTERN, fullmatch=True),
    timestamp=st.datetimes(timezones=st.just(UTC)),
    details=DETAILS,
    status=st.sampled_from(STATUSES),
    tool=st.none() | st.text(),
    duration=st.none() | FINITE,
    sequence=st.integers(1, 2**63 - 1),
)
def test_an_encoded_event_reads_back_as_it_was(
    event: str,
    trace_id: str,
    timestamp: datetime,
    details: dict[str, Any],
    status: str,
    tool: str | None,
    duration: float | None,
    sequence: int,
) -> None:
    """The text is spliced together, and is the event in JSON all the same, whatever is in it."""
    emitted = TraceEvent(event, trace_id, timestamp, encode(details), status, tool, duration)
    encoded = encode_event(emitted, sequence)
    expected = {
        "event": event,
        "trace_id": trace_id,
        "timestamp": format_timestamp(timestamp),
        "details": details,
        "status": status,
        "sequence": sequence,
    }
    expected |= {} if tool is None else {"tool_name": tool}
    expected |= {} if duration is None else {"duration_ms": duration}
    read = json.loads(encoded.text)
    assert read == expected
    assert list(read)[:6] == ["event", "trace_id", "timestamp", "details", "status", "sequence"]
    assert encoded[:3] == (sequence, event, status)


def test_unknown_names_are_listed_in_order() -> None:
    """An error that lists names reads the same each time."""
    assert unknown_names(["b", "plan_created", "a", "b"], CANONICAL_EVENTS) == ["a", "b"]
