"""Helpers for users' own tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from trace_streaming import TraceEmitter
from trace_streaming.recorder import connect, disconnect, recorder
from trace_streaming.testing import capture_events


@pytest.fixture(autouse=True)
def _nothing_is_stored(settings: Settings) -> Iterator[None]:
    """Recorded inline, without a database, what reaches the recorder is refused at once and counted as lost."""
    settings.TRACE_STREAMING_RECORDER = "inline"
    yield
    connect()


def recorded() -> bool:
    """Whether an event that is emitted now reaches the recorder."""
    before = recorder.lost
    TraceEmitter().emit("plan_created")
    return recorder.lost > before


def test_emitted_events_are_captured_as_the_emitter_holds_them() -> None:
    """A test sees each event with its five fields, as soon as it is emitted."""
    emitter = TraceEmitter("t-1")
    with capture_events() as events:
        assert events == []
        emitter.emit("plan_created", {"steps": 3}, "success")
        assert events == emitter.events
        TraceEmitter("t-2").emit("route_decision", {"password": "hunter2"})
    assert [(event["trace_id"], event["details"]) for event in events] == [
        ("t-1", {"steps": 3}),
        ("t-2", {"password": "[redacted:key]"}),
    ]


def test_captured_events_are_copies() -> None:
    """What a test does to a captured event does not reach the emitter's own."""
    emitter = TraceEmitter()
    with capture_events() as events:
        emitter.emit("plan_created", {"steps": [1]})
    events[0]["details"]["steps"].append(2)
    assert emitter.events[0]["details"] == {"steps": [1]}


def test_nothing_is_recorded_inside_and_everything_afterwards() -> None:
    """The block needs no database; behind it the recorder has its place again. Events after it are not captured."""
    with capture_events() as events:
        assert not recorded()
        TraceEmitter().end()
        assert TraceEmitter().flush(0)
    assert recorded()
    assert len(events) == 1


def test_an_exception_inside_ends_the_capture() -> None:
    """A test that fails leaves nothing behind for the next."""
    with pytest.raises(ZeroDivisionError), capture_events() as events:
        raise ZeroDivisionError
    assert recorded()
    assert events == []


def test_captures_may_be_nested() -> None:
    """A test that captures inside a fixture that does so needs no database either, and both have the events."""
    with capture_events() as outer:
        with capture_events() as inner:
            TraceEmitter().emit("plan_created")
        assert not recorded()
    assert (len(outer), len(inner)) == (2, 1)


def test_a_project_that_disconnected_the_recorder_finds_it_disconnected() -> None:
    """Capturing leaves the signals as they were."""
    disconnect()
    with capture_events():
        pass
    assert not recorded()
