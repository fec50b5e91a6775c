"""What all adapters do, without a framework."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from trace_streaming import AGENT_EVENTS, TraceEmitter, trace_ended, trace_started
from trace_streaming.integrations.tracer import Tracer, guarded
from trace_streaming.testing import capture_events

LOG = "trace_streaming.integrations.tracer"


@pytest.fixture(autouse=True)
def events(settings: Settings) -> Iterator[list[dict[str, Any]]]:
    settings.TRACE_STREAMING_EXTRA_EVENTS = AGENT_EVENTS
    with capture_events() as captured:
        yield captured


@pytest.fixture
def ends() -> Iterator[list[tuple[str, str]]]:
    """Traces that were ended, and how."""
    ended: list[tuple[str, str]] = []

    def note(sender: object, end: Any, **kwargs: Any) -> None:
        ended.append((end.trace_id, end.state))

    trace_ended.connect(note)
    yield ended
    trace_ended.disconnect(note)


def tracer(emitter: Any = None, **options: Any) -> Tracer:
    given = {"owner": None, "new_emitter": None, "contents": True, **options}
    return Tracer("a framework", emitter, **given)


def test_a_given_emitter_is_used_and_not_ended(events: list[dict[str, Any]]) -> None:
    """Whoever made it ends it."""
    emitter = TraceEmitter()
    told = tracer(emitter)
    told.end(told.begin("agent", "solo"))
    assert [event["event"] for event in events] == ["agent_start", "agent_complete"]
    assert not emitter.ended


def test_the_emitter_of_the_block_around_is_found(events: list[dict[str, Any]]) -> None:
    """And the run is inside of the agent that the code around it has begun."""
    told = tracer()
    with TraceEmitter("around") as emitter, emitter.agent("outer") as outer:
        told.end(told.begin("agent", "solo"))
    assert {event["trace_id"] for event in events} == {"around"}
    assert events[1]["details"]["parent_call_id"] == outer.call_id


@pytest.mark.parametrize(
    ("ending", "state"),
    [({}, "success"), ({"error": ValueError("no")}, "error"), ({"outcome": "interrupted"}, "incomplete")],
)
def test_a_new_emitter_ends_with_its_root_run(
    ends: list[tuple[str, str]], events: list[dict[str, Any]], ending: dict[str, Any], state: str
) -> None:
    """It is named after it, of its conversation; what ends later is still in it."""
    started: list[Any] = []

    def note(sender: object, start: Any, **kwargs: Any) -> None:
        started.append(start)

    trace_started.connect(note)
    told = tracer(owner=lambda: User(pk=7))
    root = told.begin("agent", "solo", conversation=12)
    tool = told.begin("tool_call", "slow", root)
    told.end(root, **ending)
    assert ends == []
    told.end(tool)
    trace_started.disconnect(note)
    assert ends == [(events[0]["trace_id"], state)]
    assert [(start.name, start.conversation, start.owner_id) for start in started] == [("solo", "12", 7)]


def test_what_is_asked_in_a_trace_that_has_ended_is_answered_there(
    ends: list[tuple[str, str]], events: list[dict[str, Any]]
) -> None:
    """And that trace does not go on for it."""
    told = tracer()
    root = told.begin("agent", "solo")
    asked = told.ask(root, "send_mail", {"to": "bob"})
    told.end(root, outcome="interrupted")
    told.answered(asked)
    assert {event["trace_id"] for event in events} == {events[0]["trace_id"]}
    assert events[-1]["details"] == {"approval_id": asked.approval_id, "action": "send_mail", "decision": "resumed"}
    assert [state for _, state in ends] == ["incomplete", "incomplete"]


def test_without_agent_events_the_canonical_ones_are_told(
    settings: Settings, events: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """Tools keep the parent that is shown, and one line of the log names the setting."""
    settings.TRACE_STREAMING_EXTRA_EVENTS = ()
    told = tracer()
    with caplog.at_level(logging.WARNING, LOG):
        agent = told.begin("agent", "solo")
        outer = told.begin("tool_call", "search", told.begin("step", "node", agent))
        told.end(told.begin("tool_call", "lookup", told.begin("llm_call", "model", outer)))
        told.end(outer)
        told.end(agent)
    assert [event["details"].get("parent_call_id") for event in events[:2]] == [None, outer.call_id]
    assert [event["event"] for event in events] == ["tool_call_start"] * 2 + ["tool_call_complete"] * 2
    (record,) = caplog.records
    assert "TRACE_STREAMING_EXTRA_EVENTS = trace_streaming.AGENT_EVENTS" in record.getMessage()


class BrokenEmitter(TraceEmitter):
    def emit(self, *args: Any, **kwargs: Any) -> None:
        raise OSError("the secret is hunter2")


def test_what_fails_here_is_logged_once_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The line says what to do, and nothing of what the error's text may hold."""
    told = tracer(BrokenEmitter())
    with caplog.at_level(logging.WARNING, LOG):
        agent = told.begin("agent", "solo")
        told.end(told.begin("tool_call", "lookup", agent))
        told.end(agent)
    (record,) = caplog.records
    assert "OSError" in record.getMessage()
    assert "hunter2" not in caplog.text


def test_a_hook_returns_nothing_where_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Even ``SystemExit`` of a stranger's value ends nothing."""

    class Adapter:
        _tracer = tracer(TraceEmitter())

        @guarded
        def on_start(self, value: object) -> str:
            return str(value)

    class Odd:
        def __str__(self) -> str:
            raise SystemExit(1)

    assert Adapter().on_start("fine") == "fine"
    assert Adapter().on_start(Odd()) is None
    assert "SystemExit" in caplog.text


def test_an_owner_that_fails_leaves_the_trace_without_one(
    events: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """The run is seen by those who see all."""

    def owner() -> Any:
        raise LookupError

    told = tracer(owner=owner)
    told.end(told.begin("agent", "solo"))
    assert len(events) == 2
    assert "LookupError" in caplog.text


def test_without_contents_names_numbers_and_sizes_are_told(events: list[dict[str, Any]]) -> None:
    """No text of an error either."""
    told = tracer(TraceEmitter(), contents=False)
    agent = told.begin("agent", "solo", details=told.content("input", "my secret"))
    told.stream(agent, "my secret")
    told.ask(agent, "send_mail", {"to": "my secret"})
    told.end(agent, error=ValueError("my secret"), details=told.content("result", ["my secret"]))
    assert events[0]["details"]["input_bytes"] == len('"my secret"')
    assert (events[-1]["details"]["error"], events[-1]["details"]["error_type"]) == ("ValueError", "ValueError")
    assert "my secret" not in repr(events)


def test_a_second_end_changes_nothing(events: list[dict[str, Any]]) -> None:
    """A run that was left may be ended again by its framework."""
    told = tracer(TraceEmitter())
    run = told.begin("tool_call", "lookup")
    told.end(run, outcome="abandoned")
    told.end(run)
    assert [event["details"].get("outcome") for event in events] == [None, "abandoned"]
